/* ref_set.c - which names of references were met: a name is looked for as often as there are references */
#include "archive/ref_set.h"

#include <string.h>

#include "format/digest.h"
#include "format/memory.h"
#include "os/host.h"

enum { CAPACITY_FIRST = 64 };

void svp_ref_set_close(struct svp_ref_set *set)
{
    svp_memory_free(set->places);
    *set = (struct svp_ref_set){ 0 };
}

/* Its place, or the empty one where it belongs. The seed is nobody's to know: names chosen to meet in one place would
 * make the table a list. */
static size_t *find(const struct svp_ref_set *set, const struct svp_ref *refs, const struct svp_ref *ref)
{
    size_t mask = set->capacity - 1;
    size_t at = (size_t)svp_digest64(set->seed + ref->kind, (const uint8_t *)ref->name, strlen(ref->name)) & mask;
    while (set->places[at] != 0) {
        const struct svp_ref *there = &refs[set->places[at] - 1];
        if (there->kind == ref->kind && strcmp(there->name, ref->name) == 0) {
            break;
        }
        at = (at + 1) & mask;
    }
    return &set->places[at];
}

bool svp_ref_set_has(const struct svp_ref_set *set, const struct svp_ref *refs, const struct svp_ref *ref)
{
    return set->count > 0 && *find(set, refs, ref) != 0;
}

/* Room for one more, the table never more than half full. */
static bool grow(struct svp_ref_set *set, const struct svp_ref *refs)
{
    struct svp_ref_set grown = *set;
    if (set->count < set->capacity / 2) {
        return true;
    }
    grown.capacity = set->capacity > 0 ? set->capacity * 2 : CAPACITY_FIRST;
    grown.places = svp_memory_zalloc(grown.capacity, sizeof *grown.places);
    if (grown.places == NULL) {
        return false;
    }
    if (set->capacity == 0) {
        svp_host_random(&grown.seed, sizeof grown.seed);
    }
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->places[i] != 0) {
            *find(&grown, refs, &refs[set->places[i] - 1]) = set->places[i];
        }
    }
    svp_memory_free(set->places);
    *set = grown;
    return true;
}

bool svp_ref_set_add(struct svp_ref_set *set, const struct svp_ref *refs, size_t index)
{
    if (!grow(set, refs)) {
        return false;
    }
    *find(set, refs, &refs[index]) = index + 1;
    set->count++;
    return true;
}
