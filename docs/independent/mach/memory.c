/* memory.c - page frames, which are pages of one sparse file, and the memory of the emulated kernel itself
 *
 * The kernel sees all frames at once through its window; the program sees those that its page tables name. */
#define _GNU_SOURCE
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WINDOW_BYTES ((uint64_t)1 << 38)

enum { SMALL_EXTENT = 512, CLASS_MIN = 5, CLASS_MAX = 16, CHUNK_BYTES = 1 << 20 };

struct free_extent {
    uint64_t frame;
    size_t pages;
    struct free_extent *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sigset_t outer_mask; /* of the holder */
static int frames_file = -1;
static unsigned char *window;
static uint64_t next_frame;
static struct free_extent *free_extents[SMALL_EXTENT + 1]; /* by size; [0]: all larger ones */
static void *free_blocks[CLASS_MAX + 1];
static unsigned char *chunk;
static size_t chunk_left;

void em_lock(void)
{
    sigset_t all;
    sigset_t mask;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    pthread_mutex_lock(&lock);
    outer_mask = mask;
}

void em_unlock(void)
{
    sigset_t mask = outer_mask;
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

_Noreturn void em_panic(const char *text)
{
    static const char start[] = "mach-emulation: ";
    if (write(STDERR_FILENO, start, sizeof start - 1) < 0 || write(STDERR_FILENO, text, strlen(text)) < 0 ||
        write(STDERR_FILENO, "\n", 1) < 0) {
        abort();
    }
    abort();
}

long em_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    return syscall(number, a, b, c, d, e, f);
}

void *em_mmap(uint64_t address, size_t bytes, int protection, int flags, int descriptor, uint64_t offset)
{
    void *mapped =
        (void *)em_syscall(SYS_mmap, (long)address, (long)bytes, protection, flags, descriptor, (long)offset);
    if (mapped == MAP_FAILED && errno == ENOMEM) {
        em_panic("no memory, or more mappings than vm.max_map_count allows");
    }
    return mapped;
}

void em_mprotect(uint64_t address, size_t bytes, int protection)
{
    if (em_syscall(SYS_mprotect, (long)address, (long)bytes, protection, 0, 0, 0) != 0) {
        em_panic("mprotect failed: more mappings than vm.max_map_count allows?");
    }
}

/* ---- the kernel's own memory: blocks of powers of two, large ones mapped by themselves */

static unsigned class_of(size_t bytes)
{
    unsigned power = CLASS_MIN;
    while (((size_t)1 << power) < bytes) {
        power++;
    }
    return power;
}

static void *map_block(size_t bytes)
{
    void *block = em_mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) {
        em_panic("no memory for the model");
    }
    return block;
}

void *em_alloc(size_t bytes)
{
    unsigned power = class_of(bytes);
    if (power > CLASS_MAX) {
        return map_block(bytes);
    }
    size_t block_bytes = (size_t)1 << power;
    void *block = free_blocks[power];
    if (block != NULL) {
        memcpy(&free_blocks[power], block, sizeof(void *));
        memset(block, 0, block_bytes);
        return block;
    }
    if (chunk_left < block_bytes) {
        chunk = map_block(CHUNK_BYTES);
        chunk_left = CHUNK_BYTES;
    }
    block = chunk;
    chunk += block_bytes;
    chunk_left -= block_bytes;
    return block;
}

void em_free(void *block, size_t bytes)
{
    if (block == NULL) {
        return;
    }
    unsigned power = class_of(bytes);
    if (power > CLASS_MAX) {
        em_syscall(SYS_munmap, (long)block, (long)bytes, 0, 0, 0, 0);
        return;
    }
    memcpy(block, &free_blocks[power], sizeof(void *));
    free_blocks[power] = block;
}

/* ---- frames */

static int new_frames_file(void)
{
    int descriptor = memfd_create("mach-emulation", MFD_CLOEXEC);
    if (descriptor < 0 || ftruncate(descriptor, (off_t)WINDOW_BYTES) != 0) {
        em_panic("no file for page frames");
    }
    return descriptor;
}

static void map_window(void)
{
    int fixed = window == NULL ? 0 : MAP_FIXED;
    void *mapped = em_mmap((uint64_t)(uintptr_t)window, WINDOW_BYTES, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_NORESERVE | fixed, frames_file, 0);
    if (mapped == MAP_FAILED) {
        em_panic("no address space for the window on page frames");
    }
    window = mapped;
    em_syscall(SYS_madvise, (long)window, (long)WINDOW_BYTES, MADV_DONTDUMP, 0, 0, 0);
}

int em_frame_descriptor(void)
{
    if (frames_file < 0) {
        frames_file = new_frames_file();
        map_window();
    }
    return frames_file;
}

void *em_frame_data(uint64_t frame)
{
    em_frame_descriptor();
    return window + frame * HOST_PAGE;
}

static struct free_extent **extent_list(size_t pages)
{
    return &free_extents[pages <= SMALL_EXTENT ? pages : 0];
}

uint64_t em_frames_alloc(size_t host_pages)
{
    for (struct free_extent **link = extent_list(host_pages); *link != NULL; link = &(*link)->next) {
        struct free_extent *extent = *link;
        if (extent->pages < host_pages) {
            continue;
        }
        uint64_t frame = extent->frame;
        extent->frame += host_pages;
        extent->pages -= host_pages;
        *link = extent->next;
        if (extent->pages > 0) {
            struct free_extent **rest = extent_list(extent->pages);
            extent->next = *rest;
            *rest = extent;
        } else {
            em_free(extent, sizeof *extent);
        }
        return frame;
    }
    uint64_t frame = next_frame;
    next_frame += host_pages;
    if (next_frame > WINDOW_BYTES / HOST_PAGE) {
        em_panic("no page frames left");
    }
    return frame;
}

void em_frames_free(uint64_t frame, size_t host_pages)
{
    fallocate(em_frame_descriptor(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(frame * HOST_PAGE),
              (off_t)(host_pages * HOST_PAGE));
    struct free_extent *extent = em_alloc(sizeof *extent);
    struct free_extent **list = extent_list(host_pages);
    *extent = (struct free_extent){ frame, host_pages, *list };
    *list = extent;
}

void em_frames_move_to_child(void)
{
    int old_file = em_frame_descriptor();
    int new_file = new_frames_file();
    off_t end = (off_t)(next_frame * HOST_PAGE);
    for (off_t at = lseek(old_file, 0, SEEK_DATA); at >= 0 && at < end; at = lseek(old_file, at, SEEK_DATA)) {
        off_t stop = lseek(old_file, at, SEEK_HOLE);
        while (at < stop) {
            ssize_t written = pwrite(new_file, window + at, (size_t)(stop - at), at);
            if (written <= 0) {
                em_panic("no memory for the frames of a child");
            }
            at += written;
        }
    }
    frames_file = new_file;
    map_window();
    close(old_file);
}
