/* source.h - verified records out of an archive file */
#ifndef SVP_SOURCE_H
#define SVP_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/body.h"
#include "format/buffer.h"
#include "format/pack.h"
#include "format/record.h"
#include "format/regions.h"
#include "os/file.h"
#include "savepoint.h"

struct svp_source_window { /* bytes looked at ahead of reading them, one call for several pieces */
    uint64_t offset;
    size_t count; /* 0: none */
    uint8_t bytes[32 << 10];
};

/* One thread at a time. Bytes at or behind `limit` do not exist for it: a writer may be at work there. */
struct svp_source {
    struct svp_file file;
    char *path;
    uint64_t salt;
    bool salt_known;
    uint64_t limit;
    struct svp_unpacker *unpacker;
    struct svp_source_window *window;
};

/* Takes the open file over, also on failure (then it is closed). `path` is copied. */
enum savepoint_status
svp_source_open(struct svp_source *source, struct svp_file file, const char *path, struct savepoint_error *error);
void svp_source_close(struct svp_source *source);
/* The same archive for another thread, as long as the first stays open. To be unshared whatever is returned. */
enum savepoint_status
svp_source_share(struct svp_source *shared, const struct svp_source *source, struct savepoint_error *error);
void svp_source_unshare(struct svp_source *shared);

/* Reads exactly `bytes` bytes; fewer are CORRUPT (the record that led here said they exist). */
enum savepoint_status svp_source_bytes(const struct svp_source *source, void *to, size_t bytes, uint64_t offset,
                                       struct savepoint_error *error);

/* Reads ahead what is likely to be asked for next, as much of it as there is and fits: what comes from there needs no
 * call of its own. To be ended before the file may change. */
void svp_source_look(const struct svp_source *source, uint64_t offset, size_t bytes);
void svp_source_look_away(const struct svp_source *source);

/* Reads and checks a header; any type. CORRUPT when it is none, or of another file. */
enum savepoint_status svp_source_header(const struct svp_source *source, struct svp_record *record, uint64_t offset,
                                        struct savepoint_error *error);

/* Reads and checks a whole record; `body` gets the body without padding. `type` 0: any. */
enum savepoint_status
svp_source_record(const struct svp_source *source, struct svp_record *record, struct svp_buffer *body, uint64_t offset,
                  unsigned type, struct savepoint_error *error);

/* The archive's message for a format verdict about the record at `offset`. */
enum savepoint_status svp_source_verdict(const struct svp_source *source, enum svp_verdict verdict, uint64_t offset,
                                         const char *what, struct savepoint_error *error);

/* A record of fixed layout, checked and parsed. */
enum savepoint_status svp_source_commit(const struct svp_source *source, struct svp_commit *commit, uint64_t offset,
                                        struct savepoint_error *error);
enum savepoint_status svp_source_regions(const struct svp_source *source, struct svp_region_table *table,
                                         uint64_t offset, struct savepoint_error *error);

#endif
