/* test_trap_kernel.c - writes that come from elsewhere: other processes, debuggers, direct I/O, io_uring */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trap_fixture.h"

/* ---- another process */

struct intrusion {
    const struct watched *watched;
    pid_t parent;
};

static void write_to_parent(void *argument)
{
    const struct intrusion *intrusion = argument;
    char bytes[] = "other";
    struct iovec local = { bytes, 5 };
    struct iovec remote = { page_address(intrusion->watched, 3), 5 };
    ssize_t written = process_vm_writev(intrusion->parent, &local, 1, &remote, 1, 0);
    if (intrusion->watched->caps.kernel_writes_counted) {
        CHECK_EQ(written, 5);
    } else {
        CHECK_EQ(written, -1);
        CHECK_EQ(errno, EFAULT);
    }
}

TRAP_TEST(trap_kernel, process_vm_writev_by_another)
{
    struct intrusion intrusion = { watched, getpid() };
    CHECK_CHILD(write_to_parent, &intrusion);
    if (watched->caps.kernel_writes_counted) {
        CHECK_EQ(page_address(watched, 3)[0], 'o');
        CHECK_REARM(watched, PAGE(3));
    }
    check_alive(watched);
}

/* Pokes a word into page 3 of its parent. In between, the parent waits for this child: it stops there. */
static void poke_parent(void *argument)
{
    const struct intrusion *intrusion = argument;
    int status = 0;
    CHECK_EQ(ptrace(PTRACE_SEIZE, intrusion->parent, NULL, NULL), 0);
    CHECK_EQ(ptrace(PTRACE_INTERRUPT, intrusion->parent, NULL, NULL), 0);
    CHECK_EQ(waitpid(intrusion->parent, &status, __WALL), intrusion->parent);
    CHECK_EQ(ptrace(PTRACE_POKEDATA, intrusion->parent, page_address(intrusion->watched, 3), (void *)0x706f6b65), 0);
    CHECK_EQ(ptrace(PTRACE_DETACH, intrusion->parent, NULL, NULL), 0);
}

TRAP_TEST(trap_kernel, ptrace_pokedata)
{
    struct intrusion intrusion = { watched, getpid() };
    CHECK_CHILD(poke_parent, &intrusion);
    CHECK_EQ(*(const uint32_t *)(const void *)page_address(watched, 3), 0x706f6b65);
    check_seen_by_uffd(watched, 3, 1);
    check_alive(watched);
}

TRAP_TEST(trap_kernel, proc_mem)
{
    int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    CHECK(memory >= 0);
    CHECK_EQ(pwrite(memory, "mem", 3, (off_t)(uintptr_t)page_address(watched, 3)), 3);
    CHECK_EQ(close(memory), 0);
    CHECK_EQ(page_address(watched, 3)[0], 'm');
    check_seen_by_uffd(watched, 3, 1);
    check_alive(watched);
}

/* ---- direct I/O, without a byte copied by the processor */

TRAP_TEST(trap_kernel, direct_read)
{
    char name[] = "/var/tmp/savepoint-trap.XXXXXX";
    int writer = mkstemp(name);
    int reader = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
    CHECK_EQ(unlink(name), 0);
    CHECK_MSG(reader >= 0, "/var/tmp has no direct I/O: %s", strerror(errno));
    fill_pages(watched, 0, 2, 'd');
    CHECK_EQ(write(writer, watched->memory, 2 * watched->page_bytes), 2 * watched->page_bytes);
    CHECK_EQ(fsync(writer), 0);
    CHECK_REARM(watched, PAGES(0, 2));
    ssize_t got = pread(reader, page_address(watched, 4), 2 * watched->page_bytes, 0);
    if (!watched->caps.kernel_writes_counted) {
        CHECK_EQ(got, -1);
        CHECK_EQ(errno, EFAULT);
        CHECK_PEEK(watched, 0);
        CHECK_OK(watched_prepare(watched, 4, 2));
        got = pread(reader, page_address(watched, 4), 2 * watched->page_bytes, 0);
    }
    CHECK_EQ(got, 2 * watched->page_bytes);
    CHECK_MEM(page_address(watched, 4), page_address(watched, 0), 2 * watched->page_bytes);
    CHECK_REARM(watched, PAGES(4, 6));
    check_alive(watched);
    close(reader);
    close(writer);
}

/* ---- io_uring, spoken without a library: one request at a time */

struct ring {
    int file;
    unsigned char *memory;
    size_t bytes;
    struct io_uring_sqe *entries;
    struct io_uring_params params;
};

static _Atomic uint32_t *ring_word(const struct ring *ring, uint32_t offset)
{
    return (_Atomic uint32_t *)(void *)(ring->memory + offset);
}

static bool ring_open(struct ring *ring)
{
    *ring = (struct ring){ .file = -1 };
    ring->file = (int)syscall(SYS_io_uring_setup, 4, &ring->params);
    if (ring->file < 0) {
        return false;
    }
    CHECK((ring->params.features & IORING_FEAT_SINGLE_MMAP) != 0);
    ring->bytes = ring->params.cq_off.cqes + ring->params.cq_entries * sizeof(struct io_uring_cqe);
    void *memory = mmap(NULL, ring->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->file,
                        (off_t)IORING_OFF_SQ_RING);
    void *entries = mmap(NULL, ring->params.sq_entries * sizeof *ring->entries, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_POPULATE, ring->file, (off_t)IORING_OFF_SQES);
    CHECK(memory != MAP_FAILED && entries != MAP_FAILED);
    ring->memory = memory;
    ring->entries = entries;
    return true;
}

static void ring_close(struct ring *ring)
{
    munmap(ring->entries, ring->params.sq_entries * sizeof *ring->entries);
    munmap(ring->memory, ring->bytes);
    close(ring->file);
}

/* Submits one request and returns its result. */
static int ring_request(struct ring *ring, struct io_uring_sqe request)
{
    uint32_t tail = atomic_load(ring_word(ring, ring->params.sq_off.tail));
    uint32_t slot = tail & (ring->params.sq_entries - 1);
    ring->entries[slot] = request;
    atomic_store(ring_word(ring, ring->params.sq_off.array + slot * 4), slot);
    atomic_store(ring_word(ring, ring->params.sq_off.tail), tail + 1);
    CHECK_EQ(syscall(SYS_io_uring_enter, ring->file, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
    uint32_t head = atomic_load(ring_word(ring, ring->params.cq_off.head));
    CHECK(head != atomic_load(ring_word(ring, ring->params.cq_off.tail)));
    const struct io_uring_cqe *done = (const void *)(ring->memory + ring->params.cq_off.cqes);
    int result = done[head & (ring->params.cq_entries - 1)].res;
    atomic_store(ring_word(ring, ring->params.cq_off.head), head + 1);
    return result;
}

static int ring_read(struct ring *ring, uint8_t operation, int file, unsigned char *to, size_t bytes)
{
    struct io_uring_sqe request = { .opcode = operation, .fd = file };
    request.addr = (uintptr_t)to;
    request.len = (uint32_t)bytes;
    return ring_request(ring, request);
}

static void open_ring_or_skip(struct ring *ring)
{
    if (!ring_open(ring)) {
        CHECK_SKIP("this system has no io_uring: %s", strerror(errno));
    }
}

/* An ordinary request is as any system call. */
TRAP_TEST(trap_kernel, io_uring_read)
{
    struct ring ring;
    open_ring_or_skip(&ring);
    int file = disk_file(1, 'u');
    int got = ring_read(&ring, IORING_OP_READ, file, page_address(watched, 3), watched->page_bytes);
    if (!watched->caps.kernel_writes_counted) {
        CHECK_EQ(got, -EFAULT);
        CHECK_PEEK(watched, 0);
        CHECK_OK(watched_prepare(watched, 3, 1));
        got = ring_read(&ring, IORING_OP_READ, file, page_address(watched, 3), watched->page_bytes);
    }
    CHECK_EQ(got, watched->page_bytes);
    CHECK_EQ(page_address(watched, 3)[0], 'u');
    CHECK_REARM(watched, PAGE(3));
    check_alive(watched);
    close(file);
    ring_close(&ring);
}

/* A registered buffer is pinned: writes go past the page tables, and nobody sees them. mark is the way. */
TRAP_TEST(trap_kernel, io_uring_registered_buffer)
{
    struct ring ring;
    open_ring_or_skip(&ring);
    int file = disk_file(2, 'u');
    struct iovec buffer = { page_address(watched, 4), 2 * watched->page_bytes };
    if (!watched->caps.kernel_writes_counted) {
        errno = 0;
        CHECK_EQ(syscall(SYS_io_uring_register, ring.file, IORING_REGISTER_BUFFERS, &buffer, 1), -1);
        CHECK_EQ(errno, EFAULT);
        CHECK_OK(watched_prepare(watched, 4, 2));
    }
    CHECK_EQ(syscall(SYS_io_uring_register, ring.file, IORING_REGISTER_BUFFERS, &buffer, 1), 0);
    CHECK_REARM(watched, PAGES(4, 6)); /* pinning is a write to them */
    for (int turn = 0; turn < 2; turn++) {
        fill_pages(watched, 4, 2, 0);
        CHECK_REARM(watched, PAGES(4, 6));
        CHECK_EQ(ring_read(&ring, IORING_OP_READ_FIXED, file, page_address(watched, 4), 2 * watched->page_bytes),
                 2 * watched->page_bytes);
        CHECK_EQ(page_address(watched, 5)[0], 'u');
        check_unseen(watched, 4, 2);
    }
    close(file);
    ring_close(&ring);
    check_alive(watched);
}
