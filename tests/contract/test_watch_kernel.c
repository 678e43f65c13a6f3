/* test_watch_kernel.c - writes that the kernel makes into watched memory: counted, or refused until prepared */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "watch_fixture.h"

/* Each lets the kernel write some bytes at `to` in its own way; returns them, or -1 with errno. */
typedef ssize_t kernel_write(unsigned char *to);

static ssize_t by_pipe(unsigned char *to)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "pipe", 4), 4);
    ssize_t got = read(ends[0], to, 4);
    int code = errno;
    close(ends[0]);
    close(ends[1]);
    errno = code;
    return got;
}

static ssize_t by_socket(unsigned char *to)
{
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    CHECK_EQ(write(ends[1], "sock", 4), 4);
    ssize_t got = recv(ends[0], to, 4, 0);
    int code = errno;
    close(ends[0]);
    close(ends[1]);
    errno = code;
    return got;
}

static ssize_t by_fstat(unsigned char *to)
{
    return fstat(STDIN_FILENO, (struct stat *)(void *)to);
}

static ssize_t by_process_vm(unsigned char *to)
{
    char source[4] = "proc";
    struct iovec local = { source, 4 };
    struct iovec remote = { to, 4 };
    return process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
}

/* Direct I/O where the file system can; buffered else. */
static ssize_t by_file(unsigned char *to)
{
    char name[] = "/var/tmp/test_watch_kernel.XXXXXX";
    int writer = mkstemp(name);
    CHECK(writer >= 0);
    char block[4096];
    memset(block, 'f', sizeof block);
    CHECK_EQ(write(writer, block, sizeof block), sizeof block);
    int reader = open(name, O_RDONLY | O_DIRECT);
    if (reader < 0) {
        reader = open(name, O_RDONLY);
    }
    unlink(name);
    CHECK(reader >= 0);
    ssize_t got = read(reader, to, sizeof block);
    int code = errno;
    close(reader);
    close(writer);
    errno = code;
    return got;
}

static kernel_write *const kernel_writes[] = { by_pipe, by_socket, by_fstat, by_process_vm, by_file };
enum { KERNEL_WRITES = sizeof kernel_writes / sizeof kernel_writes[0] };

static void check_counted(const struct watched *watched, kernel_write *make)
{
    for (int turn = 0; turn < 2; turn++) {
        CHECK(make(watched->memory + 2 * watched->page_bytes) >= 0);
        CHECK_REARM(watched, PAGE(2));
    }
}

static void check_refused_until_prepared(const struct watched *watched, kernel_write *make)
{
    for (int turn = 0; turn < 2; turn++) {
        errno = 0;
        CHECK_EQ(make(watched->memory + 2 * watched->page_bytes), -1);
        CHECK_EQ(errno, EFAULT);
        CHECK_PEEK(watched, 0);
        CHECK_OK(watched_prepare(watched, 1, 3));
        CHECK(make(watched->memory + 2 * watched->page_bytes) >= 0);
        CHECK_REARM(watched, PAGES(1, 4));
    }
}

CHECK_TEST(watch_kernel, writes_are_counted_or_prepared_for)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        for (size_t i = 0; i < KERNEL_WRITES; i++) {
            struct watched watched;
            watched_open(&watched, backend, 8);
            if (watched.caps.kernel_writes_counted) {
                check_counted(&watched, kernel_writes[i]);
            } else {
                check_refused_until_prepared(&watched, kernel_writes[i]);
            }
            watched_close(&watched);
        }
    }
}

CHECK_TEST(watch_kernel, a_read_over_several_pages)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        int ends[2];
        unsigned char *bytes = malloc(3 * watched.page_bytes);
        CHECK(bytes != NULL);
        memset(bytes, 'p', 3 * watched.page_bytes);
        CHECK_EQ(pipe(ends), 0);
        CHECK_EQ(write(ends[1], bytes, 2 * watched.page_bytes + 8), 2 * watched.page_bytes + 8);
        if (!watched.caps.kernel_writes_counted) {
            CHECK_OK(watched_prepare(&watched, 1, 4));
        }
        /* 4 bytes of page 1, all of pages 2 and 3, 4 bytes of page 4 */
        unsigned char *to = watched.memory + 2 * watched.page_bytes - 4;
        CHECK_EQ(read(ends[0], to, 3 * watched.page_bytes), 2 * watched.page_bytes + 8);
        CHECK_MEM(to, bytes, 2 * watched.page_bytes + 8);
        CHECK_REARM(&watched, PAGES(1, 5));
        close(ends[0]);
        close(ends[1]);
        free(bytes);
        watched_close(&watched);
    }
}

/* A debugger's way in ignores protections: signal cannot see it, mark can tell. */
CHECK_TEST(watch_kernel, forced_writes)
{
    const struct svp_watch_backend *backend;
    FOR_EACH_BACKEND(backend)
    {
        struct watched watched;
        watched_open(&watched, backend, 8);
        int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
        CHECK(memory >= 0);
        CHECK_EQ(pwrite(memory, "mem", 3, (off_t)(uintptr_t)(watched.memory + 5 * watched.page_bytes)), 3);
        CHECK_EQ(watched.memory[5 * watched.page_bytes], 'm');
        if (!watched.caps.kernel_writes_counted) {
            CHECK_PEEK(&watched, 0);
            CHECK_OK(watched_mark(&watched, 5, 1));
        }
        CHECK_REARM(&watched, PAGE(5));
        close(memory);
        watched_close(&watched);
    }
}
