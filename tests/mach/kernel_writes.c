/* kernel_writes.c - system calls that write into memory, for programs whose memory the emulation of Mach keeps protected
 *
 * On Darwin the kernel's own stores fault like a program's. Here the real kernel would fail with EFAULT, so what it
 * writes goes through a buffer: the calls of this program come here before they come to the C library. */
#define _GNU_SOURCE
#include <errno.h>
#include <emulation.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Gives `got` bytes of the buffer to the program's memory, and the buffer back. */
static ssize_t deliver(void *memory, void *buffer, ssize_t got)
{
    int code = errno;
    if (got > 0 &&
        mach_emulation_kernel_write((mach_vm_address_t)(uintptr_t)memory, (mach_vm_size_t)got) != KERN_SUCCESS) {
        code = EFAULT;
        got = -1;
    }
    if (got > 0) {
        memcpy(memory, buffer, (size_t)got);
    }
    free(buffer);
    errno = code;
    return got;
}

static void *new_buffer(size_t bytes)
{
    void *buffer = malloc(bytes + 1);
    if (buffer == NULL) {
        abort();
    }
    return buffer;
}

ssize_t read(int descriptor, void *memory, size_t bytes)
{
    void *buffer = new_buffer(bytes);
    return deliver(memory, buffer, syscall(SYS_read, descriptor, buffer, bytes));
}

ssize_t pread(int descriptor, void *memory, size_t bytes, off_t offset)
{
    void *buffer = new_buffer(bytes);
    return deliver(memory, buffer, syscall(SYS_pread64, descriptor, buffer, bytes, offset));
}

ssize_t recv(int descriptor, void *memory, size_t bytes, int flags)
{
    void *buffer = new_buffer(bytes);
    return deliver(memory, buffer, syscall(SYS_recvfrom, descriptor, buffer, bytes, flags, NULL, NULL));
}
