/* audit_commit.c - the rules of a snapshot: its regions, its index, and what it may change against its base */
#include "archive/audit_commit.h"

#include <string.h>

#include "archive/audit_chain.h"
#include "archive/audit_pages.h"
#include "format/bytes.h"
#include "status.h"

enum { UNPACKED_AT = 16, STORED_AT = 20 }; /* in an INDEX body: its two sizes (SPEC.md section 4.5) */

enum savepoint_status svp_audit_commit_regions(struct svp_audit *audit, const struct svp_record *record,
                                               const struct svp_buffer *body, struct savepoint_error *error)
{
    struct svp_region_table table = { 0 };
    audit->expected.newest_regions = record->offset;
    enum svp_verdict verdict = svp_regions_read(&table, body->bytes, body->count);
    if (verdict != SVP_GOOD) {
        return svp_source_verdict(audit->source, verdict, record->offset, "table of regions", error);
    }
    bool falls = table.next_id < audit->next_region_id;
    audit->next_region_id = falls ? audit->next_region_id : table.next_id;
    svp_regions_free(&table);
    return falls ? svp_audit_broken(audit, record->offset, "the next region id is below one given before", error)
                 : SAVEPOINT_OK;
}

enum savepoint_status svp_audit_commit_index(struct svp_audit *audit, const struct svp_record *record,
                                             const struct svp_buffer *body, struct savepoint_error *error)
{
    struct svp_index index;
    enum svp_verdict verdict =
        svp_index_read(&index, body->bytes, body->count, record->offset, audit->source->unpacker);
    if (verdict != SVP_GOOD) {
        audit->index.offset = SVP_NO_OFFSET;
        return svp_source_verdict(audit->source, verdict, record->offset, "index", error);
    }
    audit->index = (struct svp_audit_index){ record->offset, index.below, index.kind };
    svp_index_free(&index);
    bool packed = svp_load32(body->bytes + STORED_AT) < svp_load32(body->bytes + UNPACKED_AT);
    return !packed || svp_audit_pages_announced(audit, SVP_FEATURE_ZSTD)
               ? SAVEPOINT_OK
               : svp_audit_broken(audit, record->offset,
                                  "the index is compressed, and no archive header before it announces that", error);
}

/* Where the index goes on: a list at the base, a map at any commit of the base chain. */
static enum savepoint_status check_below(const struct svp_audit *audit, const struct svp_commit *commit,
                                         uint64_t offset, struct savepoint_error *error)
{
    struct svp_commit step = { 0 };
    uint64_t at = commit->base;
    if (audit->index.offset == SVP_NO_OFFSET) { /* said already */
        return SAVEPOINT_OK;
    }
    if (commit->index != audit->index.offset) {
        return svp_audit_broken(audit, offset, "the snapshot's index is not that of its transaction", error);
    }
    if (audit->index.kind == SVP_INDEX_MAP && audit->index.below == 0) {
        return SAVEPOINT_OK;
    }
    if (audit->index.kind == SVP_INDEX_MAP) {
        at = svp_audit_chain_down(audit, at, audit->index.below);
    }
    if (audit->index.kind == SVP_INDEX_MAP && at > audit->index.below) { /* it was not met in its place */
        enum savepoint_status status = svp_source_commit(audit->source, &step, at, error);
        if (status != SAVEPOINT_OK) {
            return svp_audit_follow(audit, status, offset, "the bases of the snapshot cannot be read", error);
        }
    }
    return at == audit->index.below
               ? SAVEPOINT_OK
               : svp_audit_broken(audit, audit->index.offset, "the index goes on at no base of its snapshot", error);
}

/* True when each page that `old` excludes and `now` does not is stored in this transaction, without a base. */
static bool
returned_whole(const struct svp_audit *audit, const struct svp_region_entry *old, const struct svp_region_entry *now)
{
    uint64_t returned = svp_region_returned(old, now);
    if (returned == 0) {
        return true;
    }
    uint64_t whole = 0;
    size_t count;
    const struct svp_audit_place *places = svp_audit_pages_of(audit, now->id, &count);
    for (size_t i = 0; i < count; i++) {
        bool back = svp_region_excludes(old, places[i].page) && !svp_region_excludes(now, places[i].page);
        whole += back && !places[i].has_base ? 1 : 0;
    }
    return whole == returned;
}

/* What section 4.2 allows a table to change. NULL: sound. */
static const char *
compare_tables(const struct svp_audit *audit, const struct svp_region_table *before, const struct svp_region_table *now)
{
    for (uint32_t i = 0; i < now->count; i++) {
        const struct svp_region_entry *entry = &now->entries[i];
        const struct svp_region_entry *old = svp_regions_find_id(before, entry->id);
        if (old == NULL && entry->id < before->next_id) {
            return "a region that was gone comes back under its old id";
        }
        if (old != NULL && (strcmp(old->name, entry->name) != 0 || entry->bytes < old->bytes)) {
            return "a region shrinks, or changes its name, against the snapshot's base";
        }
        if (old != NULL && audit->known && !audit->pages_unread && !returned_whole(audit, old, entry)) {
            return "a page that was excluded comes back without being stored whole";
        }
    }
    return NULL;
}

static enum savepoint_status check_tables(const struct svp_audit *audit, const struct svp_commit *commit,
                                          const struct svp_commit *base, uint64_t offset, struct savepoint_error *error)
{
    struct svp_region_table before = { 0 };
    struct svp_region_table now = { 0 };
    if (commit->regions == base->regions) {
        return SAVEPOINT_OK;
    }
    enum savepoint_status status = svp_source_regions(audit->source, &before, base->regions, error);
    status = status == SAVEPOINT_OK ? svp_source_regions(audit->source, &now, commit->regions, error) : status;
    if (status == SAVEPOINT_OK) {
        const char *wrong = compare_tables(audit, &before, &now);
        status = wrong == NULL ? SAVEPOINT_OK : svp_audit_broken(audit, offset, wrong, error);
    } else {
        status = svp_audit_follow(audit, status, offset, "the snapshot's tables of regions cannot be read", error);
    }
    svp_regions_free(&before);
    svp_regions_free(&now);
    return status;
}

/* The fields that the transaction and the file before give; `base` NULL: it cannot be read. NULL: sound. */
static const char *check_fields(struct svp_audit *audit, const struct svp_commit *commit, const struct svp_commit *base)
{
    bool counted = commit->transaction_start == audit->start && commit->pages_stored == audit->pages_stored &&
                   commit->delta_bytes == audit->delta_bytes && commit->key_bytes == audit->key_bytes;
    bool fits = base == NULL || (commit->depth == base->depth + 1 &&
                                 memcmp(commit->base_id.bytes, base->id.bytes, SVP_HASH_BYTES) == 0);
    if (!fits) {
        return "the snapshot's depth or base id is not that of its base";
    }
    if (audit->known && !audit->pages_unread && !counted) {
        return "the snapshot's counts are not those of its transaction";
    }
    /* What is received may belong to an older branch. */
    bool rises = commit->sequence > audit->expected.highest_sequence || (commit->flags & SVP_COMMIT_NO_HEAD) != 0;
    if (audit->known && (commit->previous != audit->expected.newest_commit || !rises)) {
        return "the snapshot's sequence or predecessor does not continue the archive";
    }
    if (audit->known && audit->stream && commit->base != audit->expected.newest_commit) {
        return "in this stream a snapshot rests on another one than the last";
    }
    return svp_audit_pages_repeat(audit) ? "a page is stored twice in one transaction" : NULL;
}

static enum savepoint_status
check_commit(struct svp_audit *audit, const struct svp_commit *commit, uint64_t offset, struct savepoint_error *error)
{
    struct svp_commit base = { 0 };
    enum savepoint_status status =
        commit->base != 0 ? svp_source_commit(audit->source, &base, commit->base, error) : SAVEPOINT_OK;
    bool base_read = status == SAVEPOINT_OK;
    if (!base_read) {
        status = svp_audit_follow(audit, status, offset, "the snapshot's base cannot be read", error);
    }
    if (status == SAVEPOINT_OK) {
        const char *wrong = check_fields(audit, commit, base_read ? &base : NULL);
        status = wrong == NULL ? SAVEPOINT_OK : svp_audit_broken(audit, offset, wrong, error);
    }
    if (status == SAVEPOINT_OK && audit->known) {
        status = check_below(audit, commit, offset, error);
    }
    if (status == SAVEPOINT_OK && commit->base != 0 && base_read) {
        status = check_tables(audit, commit, &base, offset, error);
    }
    return status;
}

enum savepoint_status
svp_audit_commit_check(struct svp_audit *audit, const struct svp_record *record, struct savepoint_error *error)
{
    struct svp_commit commit;
    audit->has_commit = true;
    enum savepoint_status status = svp_source_commit(audit->source, &commit, record->offset, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    status = check_commit(audit, &commit, record->offset, error);
    svp_audit_chain_add(audit, record->offset, commit.base);
    if (audit->links.failed) {
        return svp_source_verdict(audit->source, SVP_EXHAUSTED, record->offset, "snapshot record", error);
    }
    audit->expected.newest_commit = record->offset;
    audit->expected.head = (commit.flags & SVP_COMMIT_NO_HEAD) != 0 ? audit->expected.head : record->offset;
    if (commit.sequence > audit->expected.highest_sequence) {
        audit->expected.highest_sequence = commit.sequence;
    }
    audit->expected.snapshot_count++;
    return status;
}
