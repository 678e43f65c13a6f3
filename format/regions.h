/* regions.h - the REGIONS body: the table of regions in force (SPEC.md section 4.2) */
#ifndef SVP_REGIONS_H
#define SVP_REGIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/buffer.h"
#include "format/layout.h"

struct svp_excluded { /* pages left out of snapshots */
    uint64_t first_page;
    uint64_t page_count;
};

struct svp_region_entry {
    uint32_t id;
    uint32_t flags;
    uint64_t address;
    uint64_t bytes;
    uint32_t excluded_count;
    struct svp_excluded *excluded; /* ascending, not touching; owned by the table */
    char name[SVP_NAME_BYTES_MAX + 1];
};

struct svp_region_table { /* start with all zero */
    uint32_t count;
    uint32_t next_id;
    struct svp_region_entry *entries; /* ordered by name */
};

enum svp_verdict svp_regions_read(struct svp_region_table *table, const uint8_t *body, size_t bytes);
void svp_regions_write(struct svp_buffer *to, const struct svp_region_table *table);
void svp_regions_free(struct svp_region_table *table);
/* NULL when there is none of that name, or id. */
const struct svp_region_entry *svp_regions_find(const struct svp_region_table *table, const char *name);
const struct svp_region_entry *svp_regions_find_id(const struct svp_region_table *table, uint32_t id);
bool svp_region_excludes(const struct svp_region_entry *entry, uint64_t page);
/* How many pages `old` excludes and `now` does not. */
uint64_t svp_region_returned(const struct svp_region_entry *old, const struct svp_region_entry *now);

#endif
