/* machine.c - what doctor asks of a POSIX system: its facts, memory, files */
#define _GNU_SOURCE /* MADV_DONTNEED */
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "outfile.h"
#include "terminal.h"

enum { SYNC_BYTES = 4096, PIPE_BYTES = 4096 /* fit into any pipe */ };

/* ---- facts */

void machine_name(char out[MACHINE_NAME_BYTES])
{
    struct utsname name;
    if (uname(&name) != 0) {
        snprintf(out, MACHINE_NAME_BYTES, "an unknown system");
        return;
    }
    snprintf(out, MACHINE_NAME_BYTES, "%.60s %.80s %.60s", name.sysname, name.release, name.machine);
}

size_t machine_page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- memory */

void *machine_map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void machine_unmap(void *memory, size_t bytes)
{
    munmap(memory, bytes);
}

bool machine_drop(void *memory, size_t bytes)
{
#ifdef MADV_DONTNEED
    return madvise(memory, bytes, MADV_DONTNEED) == 0;
#else
    (void)memory;
    (void)bytes;
    return false;
#endif
}

int machine_call_writes(void *to, const void *from, size_t bytes)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return errno;
    }
    const char *next = from;
    char *place = to;
    int code = 0;
    while (bytes > 0 && code == 0) {
        size_t part = bytes < PIPE_BYTES ? bytes : PIPE_BYTES;
        ssize_t count = write(ends[1], next, part);
        if (count == (ssize_t)part) {
            count = read(ends[0], place, part);
        }
        if (count != (ssize_t)part) {
            code = count < 0 ? errno : EIO;
        }
        next += part;
        place += part;
        bytes -= part;
    }
    close(ends[0]);
    close(ends[1]);
    return code;
}

/* ---- files */

int machine_make_folder(char **path)
{
    const char *parent = getenv("TMPDIR");
    char *made = outfile_join(parent == NULL || parent[0] == '\0' ? "/tmp" : parent, "savepoint-doctor-XXXXXX");
    if (mkdtemp(made) == NULL) {
        int code = errno;
        free(made);
        return code;
    }
    *path = made;
    return 0;
}

void machine_remove_folder(const char *path)
{
    rmdir(path);
}

static int time_syncs(uint64_t *times_ns, size_t count, int descriptor)
{
    static const char content[SYNC_BYTES] = "savepoint doctor";
    for (size_t i = 0; i < count; i++) {
        uint64_t start_ns = terminal_clock_ns();
        ssize_t written = pwrite(descriptor, content, sizeof content, (off_t)(i * sizeof content));
        if (written != (ssize_t)sizeof content) {
            return written < 0 ? errno : ENOSPC;
        }
        int code = machine_sync(descriptor);
        if (code != 0) {
            return code;
        }
        times_ns[i] = terminal_clock_ns() - start_ns;
    }
    return 0;
}

int machine_time_syncs(uint64_t *times_ns, size_t count, const char *folder)
{
    char *path = outfile_join(folder, ".savepoint-doctor-XXXXXX");
    int descriptor = mkstemp(path);
    int code = descriptor < 0 ? errno : 0;
    if (code == 0) {
        code = time_syncs(times_ns, count, descriptor);
        close(descriptor);
        unlink(path); /* not earlier: some file systems do not sync what has no name */
    }
    free(path);
    return code;
}

void machine_nap(void)
{
    nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
}
