/* ref_set.h - which names of references were met: a name is looked for as often as there are references */
#ifndef SVP_REF_SET_H
#define SVP_REF_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/body.h"

struct svp_ref_set {
    size_t count, capacity;
    uint64_t seed;
    size_t *places; /* 1 + where in the array of references; 0: empty */
};

void svp_ref_set_close(struct svp_ref_set *set);

/* Whether a reference of this kind and name is in the set. `refs` is the array that the set's places count in. */
bool svp_ref_set_has(const struct svp_ref_set *set, const struct svp_ref *refs, const struct svp_ref *ref);

/* Adds refs[index], which is not in it yet; false: no memory. */
bool svp_ref_set_add(struct svp_ref_set *set, const struct svp_ref *refs, size_t index);

#endif
