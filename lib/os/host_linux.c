/* host_linux.c - randomness and identity on Linux */
#define _GNU_SOURCE
#include "os/host.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

void svp_host_random(void *to, size_t bytes)
{
    uint8_t *at = to;
    size_t done = 0;
    while (done < bytes) {
        ssize_t count = getrandom(at + done, bytes - done, 0);
        if (count > 0) {
            done += (size_t)count;
        } else if (errno != EINTR) {
            break;
        }
    }
    uint64_t fill = svp_host_time_ns() ^ svp_host_process() << 48; /* only where getrandom is denied */
    for (; done < bytes; done++) {
        fill = fill * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        at[done] = (uint8_t)(fill >> 56);
    }
}

unsigned svp_host_cores(void)
{
    cpu_set_t cores;
    bool known = sched_getaffinity(0, sizeof cores, &cores) == 0; /* not so with more than 1024 cores */
    return known ? (unsigned)CPU_COUNT(&cores) : 1;
}

/* Threads of SCHED_BATCH have their share of time, but do not preempt when they wake: sched(7). */
void svp_host_work_behind(void)
{
    const struct sched_param none = { 0 };
    (void)sched_setscheduler(0, SCHED_BATCH, &none); /* of this thread alone, sched_setscheduler(2) */
}

const char *svp_host_abi(void)
{
#if defined(__x86_64__)
    return "linux-x86_64";
#elif defined(__aarch64__)
    return "linux-aarch64";
#else
    return "linux-other";
#endif
}

struct build_id {
    uint8_t *to;
    size_t capacity, bytes;
};

static size_t aligned4(size_t bytes)
{
    return (bytes + 3) & ~(size_t)3;
}

static void read_notes(struct build_id *found, const char *notes, size_t bytes)
{
    while (bytes >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, notes, sizeof note);
        size_t name_bytes = aligned4(note.n_namesz);
        size_t note_bytes = sizeof note + name_bytes + aligned4(note.n_descsz);
        if (note_bytes > bytes) {
            return;
        }
        if (note.n_type == NT_GNU_BUILD_ID && note.n_descsz <= found->capacity) {
            memcpy(found->to, notes + sizeof note + name_bytes, note.n_descsz);
            found->bytes = note.n_descsz;
            return;
        }
        notes += note_bytes;
        bytes -= note_bytes;
    }
}

static int visit_program(struct dl_phdr_info *info, size_t info_bytes, void *user)
{
    (void)info_bytes;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_NOTE) {
            const char *notes = (const char *)(info->dlpi_addr + segment->p_vaddr);
            read_notes(user, notes, segment->p_memsz);
        }
    }
    return 1; /* the first object is the program itself */
}

size_t svp_host_build_id(uint8_t *to, size_t capacity)
{
    struct build_id found = { to, capacity, 0 };
    dl_iterate_phdr(visit_program, &found);
    return found.bytes;
}
