/* catalog.c - the snapshots of an archive: walking them, references, tombstones */
#include "archive/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "archive/ref_set.h"
#include "format/memory.h"
#include "status.h"

/* Of offsets, and of what begins with one. */
static int order_offsets(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Reads one record of a chain that leads back through the file, as `type`, into the catalog; *offset becomes the one
 * before. */
static enum savepoint_status read_link(struct svp_catalog *catalog, struct svp_ref_set *known, struct svp_buffer *body,
                                       unsigned type, uint64_t *offset, struct savepoint_error *error)
{
    struct svp_record record;
    struct svp_ref ref = { 0 };
    struct svp_tombstone tombstone = { 0 };
    uint64_t at = *offset;
    enum savepoint_status status = svp_source_record(catalog->source, &record, body, at, type, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    enum svp_verdict verdict = type == SVP_REF ? svp_ref_read(&ref, body->bytes, body->count)
                                               : svp_tombstone_read(&tombstone, body->bytes, body->count);
    *offset = type == SVP_REF ? ref.previous : tombstone.previous;
    if (verdict == SVP_GOOD && (*offset >= at || ref.target >= at || tombstone.commit >= at)) {
        verdict = SVP_BAD;
    }
    if (verdict != SVP_GOOD) {
        return svp_source_verdict(catalog->source, verdict, at, "reference", error);
    }
    void *grown = NULL;
    if (type == SVP_TOMBSTONE) {
        grown = svp_memory_resize(catalog->dropped, catalog->dropped_count + 1, sizeof *catalog->dropped);
        if (grown != NULL) {
            catalog->dropped = grown;
            catalog->dropped[catalog->dropped_count++] = (struct svp_dropped){ tombstone.commit, SVP_NO_OFFSET };
        }
    } else if (ref.kind == SVP_REF_HEAD || svp_ref_set_has(known, catalog->refs, &ref)) {
        return SAVEPOINT_OK;
    } else {
        grown = svp_memory_resize(catalog->refs, catalog->ref_count + 1, sizeof *catalog->refs);
        if (grown != NULL) {
            catalog->refs = grown;
            catalog->refs[catalog->ref_count++] = ref;
            grown = svp_ref_set_add(known, catalog->refs, catalog->ref_count - 1) ? grown : NULL;
        }
    }
    return grown != NULL ? SAVEPOINT_OK
                         : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "%s: no memory", catalog->source->path);
}

/* Notes damage at *offset and leads past it: *offset becomes that of the last record of `type` before it that can be
 * found. */
static enum savepoint_status
step_over(struct svp_catalog *catalog, uint64_t *offset, unsigned type, struct savepoint_error *error)
{
    if (!svp_catalog_is_damaged(catalog) || catalog->damage_offset < *offset) {
        catalog->damage_offset = *offset;
    }
    return svp_survey_before(&catalog->survey, catalog->source, offset, type, *offset, error);
}

/* A whole chain. References behind damage may since have been moved by one that is lost. */
static enum savepoint_status
load_chain(struct svp_catalog *catalog, unsigned type, uint64_t newest, struct savepoint_error *error)
{
    struct svp_ref_set known = { 0 };
    struct svp_buffer body = { 0 };
    enum savepoint_status status = SAVEPOINT_OK;
    for (uint64_t at = newest; status == SAVEPOINT_OK && at != 0;) {
        uint64_t here = at;
        status = read_link(catalog, &known, &body, type, &at, error);
        if (status == SAVEPOINT_CORRUPT) {
            catalog->chain_damaged = true;
            if (type == SVP_TOMBSTONE && catalog->tombstone_damage == 0) {
                catalog->tombstone_damage = here;
            }
            at = here;
            status = step_over(catalog, &at, type, error);
        } else if (type == SVP_REF && !catalog->chain_damaged) {
            catalog->certain_refs = catalog->ref_count;
        }
    }
    svp_ref_set_close(&known);
    svp_buffer_free(&body);
    return status;
}

/* Deleted names, and those of snapshots that were dropped. */
static void drop_void_refs(struct svp_catalog *catalog)
{
    size_t kept = 0;
    size_t certain = 0;
    for (size_t i = 0; i < catalog->ref_count; i++) {
        if (catalog->refs[i].target != 0 && !svp_catalog_is_dropped(catalog, catalog->refs[i].target)) {
            certain += i < catalog->certain_refs ? 1 : 0;
            catalog->refs[kept++] = catalog->refs[i];
        }
    }
    catalog->ref_count = kept;
    catalog->certain_refs = certain;
}

/* False: no memory. */
static bool list_named(struct svp_catalog *catalog)
{
    catalog->named = svp_memory_alloc((catalog->ref_count + 1) * sizeof *catalog->named);
    for (size_t i = 0; catalog->named != NULL && i < catalog->ref_count; i++) {
        catalog->named[i] = catalog->refs[i].target;
    }
    if (catalog->named != NULL && catalog->ref_count > 1) {
        qsort(catalog->named, catalog->ref_count, sizeof *catalog->named, order_offsets);
    }
    return catalog->named != NULL;
}

enum savepoint_status
svp_catalog_open(struct svp_catalog *catalog, const struct svp_source *source, uint32_t alignment,
                 const struct svp_end *end, bool has_end, uint64_t sealed_bytes, struct savepoint_error *error)
{
    *catalog = (struct svp_catalog){ .source = source,
                                     .alignment = alignment,
                                     .has_end = has_end,
                                     .sealed_bytes = sealed_bytes,
                                     .damage_offset = SVP_NO_OFFSET };
    if (has_end) {
        catalog->end = *end;
    }
    enum savepoint_status status = load_chain(catalog, SVP_REF, catalog->end.newest_ref, error);
    status = status == SAVEPOINT_OK ? load_chain(catalog, SVP_TOMBSTONE, catalog->end.newest_tombstone, error) : status;
    if (status != SAVEPOINT_OK) {
        svp_catalog_close(catalog);
        return status;
    }
    if (catalog->dropped_count > 1) {
        qsort(catalog->dropped, catalog->dropped_count, sizeof *catalog->dropped, order_offsets);
    }
    drop_void_refs(catalog);
    if (!list_named(catalog)) {
        svp_catalog_close(catalog);
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "%s: no memory", source->path);
    }
    return SAVEPOINT_OK;
}

void svp_catalog_close(struct svp_catalog *catalog)
{
    svp_memory_free(catalog->refs);
    svp_memory_free(catalog->named);
    svp_memory_free(catalog->dropped);
    svp_survey_close(&catalog->survey);
    *catalog = (struct svp_catalog){ 0 };
}

bool svp_catalog_is_damaged(const struct svp_catalog *catalog)
{
    return catalog->damage_offset != SVP_NO_OFFSET;
}

/* The dropped snapshot whose COMMIT stands at `commit_offset`; NULL: it is none. */
static struct svp_dropped *find_dropped(const struct svp_catalog *catalog, uint64_t commit_offset)
{
    return catalog->dropped_count > 0 ? bsearch(&commit_offset, catalog->dropped, catalog->dropped_count,
                                                sizeof *catalog->dropped, order_offsets)
                                      : NULL;
}

bool svp_catalog_is_dropped(const struct svp_catalog *catalog, uint64_t commit_offset)
{
    return find_dropped(catalog, commit_offset) != NULL;
}

bool svp_catalog_is_named(const struct svp_catalog *catalog, uint64_t commit_offset)
{
    return catalog->ref_count > 0 &&
           bsearch(&commit_offset, catalog->named, catalog->ref_count, sizeof *catalog->named, order_offsets) != NULL;
}

bool svp_catalog_reserve(struct svp_catalog *catalog, size_t count)
{
    void *grown = svp_memory_resize(catalog->dropped, catalog->dropped_count + count, sizeof *catalog->dropped);
    catalog->dropped = grown != NULL ? grown : catalog->dropped;
    return grown != NULL;
}

void svp_catalog_drop(struct svp_catalog *catalog, uint64_t commit_offset)
{
    size_t at = catalog->dropped_count++;
    for (; at > 0 && catalog->dropped[at - 1].commit > commit_offset; at--) {
        catalog->dropped[at] = catalog->dropped[at - 1];
    }
    catalog->dropped[at] = (struct svp_dropped){ commit_offset, SVP_NO_OFFSET };
}

static uint32_t flags_of(const struct svp_catalog *catalog, const struct svp_commit *commit, uint64_t offset)
{
    static const struct svp_hash none;
    uint32_t flags = commit->flags; /* the low bits have the same meaning in file and API */
    _Static_assert(SAVEPOINT_SNAPSHOT_UNSYNCED == SVP_COMMIT_UNSYNCED, "same bits");
    _Static_assert(SAVEPOINT_SNAPSHOT_NO_HEAD == SVP_COMMIT_NO_HEAD, "same bits");
    _Static_assert(SAVEPOINT_SNAPSHOT_AUTOSAVE == SVP_COMMIT_AUTOSAVE, "same bits");
    if (offset < catalog->sealed_bytes) {
        flags |= SAVEPOINT_SNAPSHOT_SEALED;
    }
    if (offset == catalog->end.head) {
        flags |= SAVEPOINT_SNAPSHOT_HEAD;
    }
    if (svp_catalog_is_dropped(catalog, offset)) {
        flags |= SAVEPOINT_SNAPSHOT_DROPPED;
    }
    if (memcmp(commit->parent_id.bytes, none.bytes, sizeof none.bytes) == 0) {
        flags |= SAVEPOINT_SNAPSHOT_ROOT;
    }
    return flags;
}

static uint64_t metadata_bytes_of(const struct svp_catalog *catalog, const struct svp_commit *commit)
{
    struct svp_record record;
    bool there =
        commit->metadata != 0 && svp_source_header(catalog->source, &record, commit->metadata, NULL) == SAVEPOINT_OK;
    return there ? record.body_bytes : 0;
}

/* Where the transaction of a COMMIT ends: END follows it, behind references and tombstones where there are any. So many
 * that the way to it is long are not counted all: snapshots whose records lie in one another might share it. */
static uint64_t end_of_transaction(const struct svp_catalog *catalog, const struct svp_commit *commit, uint64_t offset)
{
    enum { RECORDS_MAX = 256 };
    struct svp_record record = { 0 };
    uint64_t at = offset;
    bool behind = svp_source_header(catalog->source, &record, at, NULL) == SAVEPOINT_OK;
    for (unsigned i = 0; i < RECORDS_MAX && behind && record.type != SVP_END; i++) {
        at += svp_record_bytes(&record);
        behind = svp_source_header(catalog->source, &record, at, NULL) == SAVEPOINT_OK && record.type != SVP_COMMIT;
    }
    /* Damaged: as if END stood right behind. */
    return behind ? at + svp_record_bytes(&record) : svp_end_of_commit(offset, commit->label_bytes, catalog->alignment);
}

void svp_catalog_describe(const struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                          const struct svp_commit *commit, uint64_t offset)
{
    memset(snapshot, 0, sizeof *snapshot);
    memcpy(snapshot->id.bytes, commit->id.bytes, sizeof snapshot->id.bytes);
    memcpy(snapshot->parent.bytes, commit->parent_id.bytes, sizeof snapshot->parent.bytes);
    memcpy(snapshot->digest.bytes, commit->state_root.bytes, sizeof snapshot->digest.bytes);
    snapshot->sequence = commit->sequence;
    snapshot->time_ns = commit->time_ns;
    snapshot->changed_pages = commit->pages_stored;
    snapshot->region_pages = commit->region_pages;
    snapshot->stored_bytes = end_of_transaction(catalog, commit, offset) - commit->transaction_start;
    snapshot->pause_ns = commit->pause_ns;
    snapshot->file_offset = offset;
    snapshot->region_count = commit->region_count;
    snapshot->flags = flags_of(catalog, commit, offset);
    snapshot->metadata_bytes = metadata_bytes_of(catalog, commit);
    memcpy(snapshot->label, commit->label, commit->label_bytes);
}

enum savepoint_status svp_catalog_at(const struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                     uint64_t offset, struct savepoint_error *error)
{
    struct svp_commit commit;
    enum savepoint_status status = svp_source_commit(catalog->source, &commit, offset, error);
    if (status == SAVEPOINT_OK) {
        svp_catalog_describe(catalog, snapshot, &commit, offset);
    }
    return status;
}

/* The way from *commit_offset to its nearest ancestor that is kept, or to 0: a step. */
static enum savepoint_status
step_to_parent(const struct svp_catalog *catalog, uint64_t *commit_offset, struct savepoint_error *error)
{
    const struct svp_dropped *dropped = find_dropped(catalog, *commit_offset);
    if (dropped != NULL && dropped->parent != SVP_NO_OFFSET) {
        *commit_offset = dropped->parent;
        return SAVEPOINT_OK;
    }
    struct svp_commit commit;
    enum savepoint_status status = svp_source_commit(catalog->source, &commit, *commit_offset, error);
    *commit_offset = status == SAVEPOINT_OK ? commit.parent : *commit_offset;
    return status;
}

/* Each dropped snapshot on the way is told where it led: who comes by again, from another branch, is there at once. */
static void remember_parent(struct svp_catalog *catalog, uint64_t first, uint64_t parent)
{
    struct svp_dropped *dropped = find_dropped(catalog, first);
    while (dropped != NULL && dropped->commit != parent) {
        uint64_t next = dropped->commit;
        if (step_to_parent(catalog, &next, NULL) != SAVEPOINT_OK) {
            return;
        }
        dropped->parent = parent;
        dropped = find_dropped(catalog, next);
    }
}

enum savepoint_status svp_catalog_parent(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                         uint64_t commit_offset, struct savepoint_error *error)
{
    uint64_t parent = commit_offset;
    uint64_t first = 0;
    do {
        enum savepoint_status status = step_to_parent(catalog, &parent, error);
        if (status != SAVEPOINT_OK) { /* so far it is known all the same */
            remember_parent(catalog, first, parent);
            return status;
        }
        first = first == 0 ? parent : first;
    } while (parent != 0 && svp_catalog_is_dropped(catalog, parent));
    remember_parent(catalog, first, parent);
    if (parent == 0) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "find", "%s: there is no older snapshot",
                               catalog->source->path);
    }
    return svp_catalog_at(catalog, snapshot, parent, error);
}

/* The snapshot at `offset`, or where its record is damaged the last one before it that is whole. NOT_FOUND when none
 * is; `offset` 0 is none. */
static enum savepoint_status at_or_before(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                          uint64_t offset, struct savepoint_error *error)
{
    while (offset != 0) {
        enum savepoint_status status = svp_catalog_at(catalog, snapshot, offset, error);
        if (status != SAVEPOINT_CORRUPT) {
            return status;
        }
        status = step_over(catalog, &offset, SVP_COMMIT, error);
        if (status != SAVEPOINT_OK) {
            return status;
        }
    }
    return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "find", "%s: there is no earlier snapshot",
                           catalog->source->path);
}

enum savepoint_status svp_catalog_previous(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot,
                                           uint64_t commit_offset, struct savepoint_error *error)
{
    struct svp_commit commit;
    enum savepoint_status status = svp_source_commit(catalog->source, &commit, commit_offset, error);
    return status == SAVEPOINT_OK ? at_or_before(catalog, snapshot, commit.previous, error) : status;
}

enum savepoint_status
svp_catalog_newest(struct svp_catalog *catalog, struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    uint64_t newest = catalog->end.newest_commit;
    if (newest == 0) {
        return svp_status_fail(error, SAVEPOINT_EMPTY, "find", "%s: the archive holds no snapshot yet",
                               catalog->source->path);
    }
    enum savepoint_status status = at_or_before(catalog, snapshot, newest, error);
    if (status == SAVEPOINT_NOT_FOUND) { /* there were some */
        status = svp_status_at(error, SAVEPOINT_CORRUPT, newest, "find", "%s: the record of every snapshot is damaged",
                               catalog->source->path);
    }
    return status;
}
