/* audit_chain.c - the base chains of the snapshots met so far, gone down in long steps
 *
 * Each map of a file may go on at the first snapshot: going there base by base would be going over the whole file for
 * each. So every link knows, beside its base, one far below it, chosen such that the way to any link takes a number of
 * steps that grows with the logarithm of the chain (jump pointers, after Myers' skew-binary stacks). */
#include "archive/audit_chain.h"

struct link {
    uint64_t offset, base; /* of COMMITs */
    uint64_t jump;         /* one further down, or the base */
    uint64_t length;       /* links from here to the end of what is known of the chain */
};

/* NULL: none was met there. */
static const struct link *find(const struct svp_audit *audit, uint64_t offset)
{
    const struct link *links = (const struct link *)(const void *)audit->links.bytes;
    size_t low = 0;
    size_t high = audit->links.count / sizeof *links;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (links[middle].offset == offset) {
            return &links[middle];
        }
        low = links[middle].offset < offset ? middle + 1 : low;
        high = links[middle].offset < offset ? high : middle;
    }
    return NULL;
}

static uint64_t length_of(const struct link *link)
{
    return link != NULL ? link->length : 0;
}

void svp_audit_chain_add(struct svp_audit *audit, uint64_t commit_offset, uint64_t base_offset)
{
    struct link link = { commit_offset, base_offset, base_offset, 1 };
    const struct link *base = find(audit, base_offset);
    const struct link *middle = base != NULL ? find(audit, base->jump) : NULL;
    if (base != NULL) {
        link.length += base->length;
    }
    if (middle != NULL && base->length - middle->length == middle->length - length_of(find(audit, middle->jump))) {
        link.jump = middle->jump; /* two jumps of the same length become one */
    }
    svp_buffer_add(&audit->links, &link, sizeof link);
}

uint64_t svp_audit_chain_down(const struct svp_audit *audit, uint64_t from, uint64_t below)
{
    const struct link *link = NULL;
    while (from > below && (link = find(audit, from)) != NULL) {
        from = link->jump >= below ? link->jump : link->base;
    }
    return from;
}
