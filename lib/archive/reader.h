/* reader.h - pages of any snapshot: finding them through the indexes, decoding their chains (SPEC.md 4.4, 4.5) */
#ifndef SVP_READER_H
#define SVP_READER_H

#include <stdint.h>

#include "archive/page_map.h"
#include "archive/source.h"
#include "archive/survey.h"
#include "format/index.h"
#include "format/pages.h"

struct svp_cached_pages { /* one PAGES record, parsed and, once needed, unpacked */
    uint64_t offset;      /* 0: empty place */
    uint64_t used;        /* clock of the last use */
    struct svp_buffer body;
    bool is_unpacked;
    struct svp_buffer unpacked; /* the payload, once it is */
    struct svp_pages pages;
};
struct svp_cached_index {
    uint64_t commit; /* 0: empty place */
    uint64_t used;
    struct svp_index index;
};

enum { SVP_READER_PAGES = 96, SVP_READER_INDEXES = 24 };
/* Above this many bytes the least used are given up: large records, which no writer of ours makes, cost speed only. */
#define SVP_READER_PAGES_BYTES (UINT64_C(96) << 20)
#define SVP_READER_INDEX_BYTES (UINT64_C(64) << 20)

/* Reads pages of the archive behind `source`; keeps recently used records. One thread at a time. */
struct svp_reader {
    const struct svp_source *source;
    uint64_t clock;
    uint64_t index_bytes;
    uint64_t work; /* done to find pages one by one: about how many entries of indexes were looked at */
    struct svp_cached_pages *pages[SVP_READER_PAGES];
    struct svp_cached_index indexes[SVP_READER_INDEXES];
    struct svp_survey survey; /* for indexes whose COMMIT is damaged */
};

void svp_reader_open(struct svp_reader *reader, const struct svp_source *source);
void svp_reader_close(struct svp_reader *reader);
void svp_reader_forget(struct svp_reader *reader); /* empties it: the file behind it was cut */

/* The PAGES record that holds the newest version of a page at the commit; 0: none, the page is zeros. */
enum savepoint_status svp_reader_find(struct svp_reader *reader, uint64_t *record_offset, uint64_t commit_offset,
                                      uint32_t region_id, uint64_t page, struct savepoint_error *error);

struct svp_page_origin { /* what decoding told about a page */
    struct svp_hash hash;
    uint32_t links;       /* deltas replayed */
    uint32_t delta_bytes; /* about what replaying them costs, unpacked */
    uint32_t key_bytes;   /* about what the whole page cost */
};
/* Decodes a page from its record into page[0..4096), every link verified. record_offset 0 gives zeros. */
enum savepoint_status
svp_reader_page(struct svp_reader *reader, uint8_t *page, struct svp_page_origin *origin, uint64_t record_offset,
                uint32_t region_id, uint64_t page_index, struct savepoint_error *error);

/* Fills in where all pages of some regions are at a commit; the maps are open and empty. */
enum savepoint_status svp_reader_map(struct svp_reader *reader, struct svp_page_map *maps, size_t map_count,
                                     uint64_t commit_offset, struct savepoint_error *error);
/* The same, of the pages stored since `base_offset`, a commit on the base chain; older ones may be among them. */
enum savepoint_status svp_reader_map_above(struct svp_reader *reader, struct svp_page_map *maps, size_t map_count,
                                           uint64_t commit_offset, uint64_t base_offset, struct savepoint_error *error);

#endif
