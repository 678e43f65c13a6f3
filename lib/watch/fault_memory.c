/* fault_memory.c - memory that the fault handler writes to: apart from the heap, so that the heap can be watched
 *
 * Small blocks are slots of one size, cut from chunks that stay; larger ones are mappings of their own. */
#include "fault_memory.h"

#include <string.h>

#include "pages.h"

enum { SLOT_BYTES = 256, CHUNK_BYTES = 65536 };

struct slot {
    struct slot *next;
};
static struct slot *free_slots;

static void cut_chunk(void)
{
    unsigned char *chunk = svp_pages_map(CHUNK_BYTES);
    for (size_t at = 0; chunk != NULL && at < CHUNK_BYTES; at += SLOT_BYTES) {
        svp_fault_memory_free(chunk + at, SLOT_BYTES);
    }
}

void *svp_fault_memory_new(size_t bytes)
{
    if (bytes > SLOT_BYTES) {
        return svp_pages_map(bytes);
    }
    if (free_slots == NULL) {
        cut_chunk();
    }
    struct slot *slot = free_slots;
    if (slot != NULL) {
        free_slots = slot->next;
        memset(slot, 0, SLOT_BYTES);
    }
    return slot;
}

void svp_fault_memory_free(void *block, size_t bytes)
{
    if (bytes > SLOT_BYTES) {
        svp_pages_unmap(block, bytes);
        return;
    }
    struct slot *slot = block;
    slot->next = free_slots;
    free_slots = slot;
}

void svp_fault_memory_forget(void)
{
    free_slots = NULL;
}
