/* index.h - the INDEX body: where the pages of a snapshot are (SPEC.md section 4.5) */
#ifndef SVP_INDEX_H
#define SVP_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/buffer.h"
#include "format/layout.h"
#include "format/pack.h"

enum svp_index_kind { SVP_INDEX_LIST = 1, SVP_INDEX_MAP = 2 };

struct svp_index_entry { /* pages first_page .. first_page + page_count - 1 */
    uint32_t region_id;
    uint64_t first_page;
    uint64_t page_count; /* of a list: bounds, pages inside may be missing */
    uint64_t record_offset;
};

struct svp_index { /* start with all zero */
    uint64_t below;
    enum svp_index_kind kind;
    uint32_t count, capacity;
    struct svp_index_entry *entries; /* ordered as SPEC.md asks */
};

/* Reads a body; `record_offset` is that of the INDEX record. */
enum svp_verdict svp_index_read(struct svp_index *index, const uint8_t *body, size_t bytes, uint64_t record_offset,
                                struct svp_unpacker *unpacker);
void svp_index_free(struct svp_index *index);
/* False when there is no memory. A map entry that continues the one before is joined with it. */
bool svp_index_add(struct svp_index *index, const struct svp_index_entry *entry);
/* Orders a list's entries. */
void svp_index_sort(struct svp_index *index);
/* False when the entries are too many for one record: use a list, or a smaller span. */
bool svp_index_write(struct svp_buffer *to, const struct svp_index *index, uint64_t record_offset,
                     struct svp_packer *packer);

#endif
