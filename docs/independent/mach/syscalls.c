/* syscalls.c - read, recv, fstat and the like into memory of the model: Darwin's kernel faults the pages in by itself
 *
 * Linux' kernel would say EFAULT. So the bytes go to a buffer of ours first, and from there by ordinary stores: exactly
 * the pages that get bytes are written, as by a copyout. */
#define _GNU_SOURCE
#include "model.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* A buffer for a call that stores up to `bytes` at `start`; NULL where the model has no part in it. */
static void *begin(uint64_t start, size_t bytes)
{
    void *buffer = NULL;
    em_lock();
    size_t index = em_map_above(&state.self, start);
    if (bytes > 0 && !state.options.interpose_off && index < state.self.count &&
        state.self.entries[index]->start < start + bytes) {
        buffer = em_alloc(bytes);
    }
    em_unlock();
    return buffer;
}

static ssize_t end(void *target, void *buffer, size_t bytes, long got)
{
    int saved = errno;
    if (got > 0) {
        memcpy(target, buffer, (size_t)got);
    }
    em_lock();
    em_free(buffer, bytes);
    em_unlock();
    errno = saved;
    return got;
}

ssize_t read(int descriptor, void *target, size_t bytes)
{
    void *buffer = begin((uint64_t)(uintptr_t)target, bytes);
    long got = em_syscall(SYS_read, descriptor, (long)(buffer == NULL ? target : buffer), (long)bytes, 0, 0, 0);
    return buffer == NULL ? got : end(target, buffer, bytes, got);
}

ssize_t pread(int descriptor, void *target, size_t bytes, off_t offset)
{
    void *buffer = begin((uint64_t)(uintptr_t)target, bytes);
    long to = (long)(buffer == NULL ? target : buffer);
    long got = em_syscall(SYS_pread64, descriptor, to, (long)bytes, (long)offset, 0, 0);
    return buffer == NULL ? got : end(target, buffer, bytes, got);
}

ssize_t recv(int descriptor, void *target, size_t bytes, int flags)
{
    void *buffer = begin((uint64_t)(uintptr_t)target, bytes);
    long to = (long)(buffer == NULL ? target : buffer);
    long got = em_syscall(SYS_recvfrom, descriptor, to, (long)bytes, flags, 0, 0);
    return buffer == NULL ? got : end(target, buffer, bytes, got);
}

int pipe(int ends[2])
{
    int made[2];
    long result = em_syscall(SYS_pipe2, (long)made, 0, 0, 0, 0, 0);
    if (result == 0) {
        memcpy(ends, made, sizeof made);
    }
    return (int)result;
}

int fstat(int descriptor, struct stat *status)
{
    void *buffer = begin((uint64_t)(uintptr_t)status, sizeof *status);
    long result = em_syscall(SYS_fstat, descriptor, (long)(buffer == NULL ? status : buffer), 0, 0, 0, 0);
    if (buffer != NULL) {
        end(status, buffer, sizeof *status, result == 0 ? (long)sizeof *status : result);
    }
    return (int)result;
}

ssize_t process_vm_writev(pid_t process, const struct iovec *local, unsigned long local_count,
                          const struct iovec *remote, unsigned long remote_count, unsigned long flags)
{
    for (unsigned long i = 0; process == getpid() && i < remote_count; i++) {
        mach_emulation_kernel_write((uint64_t)(uintptr_t)remote[i].iov_base, remote[i].iov_len);
    }
    return em_syscall(SYS_process_vm_writev, process, (long)local, (long)local_count, (long)remote, (long)remote_count,
                      (long)flags);
}
