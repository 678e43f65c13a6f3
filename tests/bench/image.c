/* image.c - the floor of a fast restore: a full raw copy of the state in a file, read by nothing but read(2) */
#define _GNU_SOURCE
#include "image.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include "harness.h"
#include "threads.h"

enum { PAGE_BYTES = 4096, CALL_BYTES = 1 << 20 };

struct reading {
    const char *path;
    uint8_t *memory;
    size_t bytes;
    unsigned threads;
};

static size_t call_bytes(size_t left)
{
    return left < CALL_BYTES ? left : CALL_BYTES;
}

void image_write(const char *path, const void *memory, size_t bytes)
{
    const uint8_t *from = memory;
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t done = 0;
    while (file >= 0 && done < bytes) {
        ssize_t count = write(file, from + done, call_bytes(bytes - done));
        if (count <= 0) {
            break;
        }
        done += (size_t)count;
    }
    if (done < bytes || close(file) != 0) {
        bench_fail("%s: cannot write a raw copy of the state", path);
    }
}

static void read_part(void *context, unsigned index)
{
    const struct reading *reading = context;
    const size_t pages = reading->bytes / PAGE_BYTES;
    size_t at = pages * index / reading->threads * PAGE_BYTES;
    const size_t end = pages * (index + 1) / reading->threads * PAGE_BYTES;
    int file = open(reading->path, O_RDONLY | O_CLOEXEC); /* of its own, with its own position */
    bool good = file >= 0 && lseek(file, (off_t)at, SEEK_SET) == (off_t)at;
    while (good && at < end) {
        ssize_t count = read(file, reading->memory + at, call_bytes(end - at));
        good = count > 0;
        at += good ? (size_t)count : 0;
    }
    if (!good) {
        bench_fail("%s: cannot read the raw copy of the state", reading->path);
    }
    close(file);
}

void image_read(const char *path, void *memory, size_t bytes, unsigned threads)
{
    struct reading reading = { path, memory, bytes, threads };
    threads_run(threads, read_part, &reading);
}
