/* adopt.c - takes memory that the program mapped by itself into the model, where it stays, with its contents
 *
 * The range is made read-only first: a thread that stores into it meanwhile faults, and waits in the handler for the
 * lock. Then its pages are copied into frames and the frames are mapped over it. */
#define _GNU_SOURCE
#include "model.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINE_BYTES = 8192 };

/* Reads /proc/self/maps line by line without malloc. */
struct reader {
    int descriptor;
    size_t have, at;
    char text[LINE_BYTES];
};

static bool next_line(struct reader *reader, char *line, size_t line_bytes)
{
    size_t used = 0;
    for (;;) {
        if (reader->at == reader->have) {
            long got = em_syscall(SYS_read, reader->descriptor, (long)reader->text, sizeof reader->text, 0, 0, 0);
            if (got <= 0) {
                return false;
            }
            reader->have = (size_t)got;
            reader->at = 0;
        }
        char c = reader->text[reader->at++];
        if (c == '\n') {
            line[used] = '\0';
            return true;
        }
        if (used + 1 < line_bytes) {
            line[used++] = c;
        }
    }
}

/* "start-end rwxp offset device inode   name" */
static void parse(const char *line, struct em_mapping *mapping)
{
    char *at = NULL;
    mapping->start = strtoull(line, &at, 16);
    mapping->end = strtoull(at + 1, &at, 16);
    at++;
    mapping->protection =
        (at[0] == 'r' ? VM_PROT_READ : 0) | (at[1] == 'w' ? VM_PROT_WRITE : 0) | (at[2] == 'x' ? VM_PROT_EXECUTE : 0);
    mapping->private = at[3] == 'p';
    strtoull(at + 5, &at, 16); /* offset */
    at = strchr(at + 1, ' ');  /* device */
    mapping->inode = strtoull(at, &at, 10);
    mapping->special = strstr(at, "[stack") != NULL || strstr(at, "[v") != NULL;
}

bool em_mapping_at(uint64_t address, struct em_mapping *found)
{
    struct reader *reader = em_alloc(sizeof *reader);
    char line[512];
    bool ok = false;
    reader->descriptor = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while (!ok && reader->descriptor >= 0 && next_line(reader, line, sizeof line)) {
        parse(line, found);
        ok = found->end > address;
    }
    if (reader->descriptor >= 0) {
        close(reader->descriptor);
    }
    em_free(reader, sizeof *reader);
    return ok;
}

/* Which host pages of private anonymous memory exist: present or swapped out. */
static bool page_exists(int pagemap, uint64_t address)
{
    uint64_t bits = 0;
    long offset = (long)(address / HOST_PAGE * sizeof bits);
    long got = em_syscall(SYS_pread64, pagemap, (long)&bits, sizeof bits, offset, 0, 0);
    return got != sizeof bits || (bits >> 62) != 0;
}

static void copy_pages(struct entry *entry)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    struct object *object = NULL;
    for (uint64_t at = entry->start; at < entry->end; at += HOST_PAGE) {
        if (!page_exists(pagemap, at)) {
            continue;
        }
        if (object == NULL) {
            uint64_t bytes = entry->end - entry->start + state.object_page - 1;
            object = em_object_new((size_t)(bytes / state.object_page));
        }
        size_t page = (size_t)((at - entry->start) / state.object_page);
        if (!em_bit(object->present, page)) {
            em_object_add_page(object, page, NULL);
            em_object_mark_modified(object, page);
        }
        memcpy(em_frame_data(object->frame + (at - entry->start) / HOST_PAGE), (const void *)(uintptr_t)at, HOST_PAGE);
    }
    if (pagemap >= 0) {
        close(pagemap);
    }
    em_entry_set_object(entry, object, 0);
}

/* One mapping, not larger than a chunk. */
static void adopt_chunk(uint64_t start, uint64_t end, vm_prot_t protection)
{
    struct entry like = { .start = start,
                          .end = end,
                          .protection = protection,
                          .max_protection = VM_PROT_ALL,
                          .inheritance = VM_INHERIT_COPY,
                          .adopted = true };
    em_mprotect(start, end - start, PROT_READ);
    struct entry *entry = em_entry_new(&like);
    copy_pages(entry);
    em_map_insert(&state.self, entry);
    em_entry_back(entry);
    state.counters.adoptions++;
}

kern_return_t em_adopt(uint64_t start, uint64_t end)
{
    for (uint64_t at = start; at < end;) { /* look first: all or nothing */
        struct em_mapping mapping;
        if (!em_mapping_at(at, &mapping) || mapping.start > at) {
            return KERN_INVALID_ADDRESS;
        }
        if (!mapping.private || mapping.inode != 0 || mapping.special) {
            return KERN_NOT_SUPPORTED; /* file-backed, shared, or a stack */
        }
        at = mapping.end;
    }
    while (start < end) {
        struct em_mapping mapping;
        em_mapping_at(start, &mapping);
        uint64_t stop = mapping.end < end ? mapping.end : end;
        stop = stop - start > ANON_CHUNK_BYTES ? start + ANON_CHUNK_BYTES : stop;
        adopt_chunk(start, stop, mapping.protection);
        start = stop;
    }
    return KERN_SUCCESS;
}
