/* catalog.h - the snapshots of an archive by name: HEAD, references, labels, ids, ancestors (DESIGN: names) */
#ifndef SVP_CATALOG_H
#define SVP_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/source.h"
#include "archive/survey.h"
#include "format/body.h"

struct svp_dropped { /* a dropped snapshot */
    uint64_t commit; /* offset of its COMMIT */
    uint64_t parent; /* SVP_NO_OFFSET until it was looked for: an ancestor, all between the two were dropped */
};

struct svp_catalog {
    const struct svp_source *source;
    uint32_t alignment; /* of the archive's transactions */
    bool has_end;
    struct svp_end end;
    uint64_t sealed_bytes;
    size_t ref_count; /* references in force, HEAD not among them; newest first */
    struct svp_ref *refs;
    size_t certain_refs; /* so many of them are in force; the others may have been moved by one that is damaged */
    uint64_t *named;     /* their targets, ascending; ref_count of them */
    size_t dropped_count;
    struct svp_dropped *dropped; /* ascending */
    bool chain_damaged;          /* a reference or a tombstone is */
    uint64_t tombstone_damage;   /* of the last TOMBSTONE in the file that is damaged; 0: none is */
    uint64_t damage_offset;      /* of the last COMMIT, REF or TOMBSTONE in the file that was found damaged so far */
    struct svp_survey survey;
};

/* Loads references and tombstones, as many as are whole. */
enum savepoint_status
svp_catalog_open(struct svp_catalog *catalog, const struct svp_source *source, uint32_t alignment,
                 const struct svp_end *end, bool has_end, uint64_t sealed_bytes, struct savepoint_error *error);
void svp_catalog_close(struct svp_catalog *catalog);

/* What the public API tells about a commit. */
void svp_catalog_describe(const struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                          const struct svp_commit *commit, uint64_t offset);
/* Loads and describes the commit at `offset`. */
enum savepoint_status svp_catalog_at(const struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                     uint64_t offset, struct savepoint_error *error);
bool svp_catalog_is_damaged(const struct svp_catalog *catalog); /* damage_offset is one */
bool svp_catalog_is_dropped(const struct svp_catalog *catalog, uint64_t commit_offset);
/* A reference other than HEAD leads to it. */
bool svp_catalog_is_named(const struct svp_catalog *catalog, uint64_t commit_offset);

/* For a writer: room for `count` more dropped snapshots (false: no memory); notes that one was dropped, where there is
 * room. */
bool svp_catalog_reserve(struct svp_catalog *catalog, size_t count);
void svp_catalog_drop(struct svp_catalog *catalog, uint64_t commit_offset);

/* The nearest kept ancestor; the snapshot before in file order and the newest one, dropped ones included (their flag
 * tells) and damaged ones left out. NOT_FOUND, EMPTY; CORRUPT where an ancestor is damaged, or all are. */
enum savepoint_status svp_catalog_parent(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                         uint64_t commit_offset, struct savepoint_error *error);
enum savepoint_status svp_catalog_previous(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                           uint64_t commit_offset, struct savepoint_error *error);
enum savepoint_status
svp_catalog_newest(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot, struct savepoint_error *error);

/* By expression (savepoint_archive_find), by whole id. */
enum savepoint_status svp_catalog_find(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                       const char *expression, struct savepoint_error *error);
enum savepoint_status svp_catalog_find_id(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                          const struct savepoint_id *id, struct savepoint_error *error);

/* Whether a name would be taken for the digits of an id; a label must not look so. */
bool svp_name_is_id(const char *name);

#endif
