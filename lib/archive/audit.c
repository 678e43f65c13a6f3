/* audit.c - rules between the records of a transaction, and from one transaction to the next */
#include "archive/audit.h"

#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "format/memory.h"
#include "format/pages.h"
#include "status.h"

void svp_audit_open(struct svp_audit *audit, const struct svp_source *source, uint32_t alignment)
{
    *audit = (struct svp_audit){.source = source, .known = true, .alignment = alignment};
}

void svp_audit_close(struct svp_audit *audit)
{
    svp_buffer_free(&audit->chain);
    svp_buffer_free(&audit->places);
    svp_buffer_free(&audit->dropped);
}

void svp_audit_gap(struct svp_audit *audit)
{
    audit->known = false;
}

static enum savepoint_status broken(const struct svp_audit *audit, uint64_t offset, const char *what,
                                    struct savepoint_error *error)
{
    return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "verify", "%s: %s", audit->source->path, what);
}

/* The place of a record type in a transaction (SPEC.md section 3). */
static unsigned rank_of(unsigned type)
{
    static const unsigned ranks[] = {
        [SVP_SEAL] = 1,  [SVP_SEGMENT] = 2, [SVP_REGIONS] = 3, [SVP_META] = 4,      [SVP_PAGES] = 5,
        [SVP_INDEX] = 6, [SVP_COMMIT] = 7,  [SVP_REF] = 8,     [SVP_TOMBSTONE] = 9, [SVP_END] = 10,
    };
    return type < sizeof ranks / sizeof ranks[0] ? ranks[type] : 0;
}

static bool may_repeat(unsigned type)
{
    return type == SVP_PAGES || type == SVP_REF || type == SVP_TOMBSTONE;
}

static void begin(struct svp_audit *audit, const struct svp_record *record)
{
    audit->started = true;
    audit->start = record->offset;
    audit->sealed = audit->has_segment = audit->has_commit = false;
    audit->rank = 0;
    audit->pages_stored = audit->delta_bytes = audit->key_bytes = 0;
    svp_buffer_clear(&audit->places);
    svp_buffer_clear(&audit->chain);
}

/* Number, order and the FLOATING flag. */
static const char *check_frame(struct svp_audit *audit, const struct svp_record *record)
{
    unsigned rank = rank_of(record->type);
    bool files = audit->alignment == SVP_FILE_ALIGNMENT;
    bool floating = (record->flags & SVP_RECORD_FLOATING) != 0;
    if (audit->known && record->transaction != audit->transaction + 1) {
        return "the transaction's number is not one more than the last";
    }
    if (rank < audit->rank || (rank == audit->rank && !may_repeat(record->type))) {
        return "a record stands at the wrong place in its transaction";
    }
    bool must_float = audit->known && files && audit->has_before && !audit->sealed && record->type != SVP_SEAL;
    if (floating != must_float && (audit->known || record->type == SVP_SEAL)) {
        return "the record's FLOATING flag contradicts the seals before it";
    }
    audit->rank = rank;
    return NULL;
}

static const char *check_pages(struct svp_audit *audit, const struct svp_record *record,
                               const struct svp_buffer *body, enum svp_verdict *verdict)
{
    uint16_t coder_id = 0;
    struct svp_pages *pages = svp_memory_alloc(sizeof *pages);
    if (pages == NULL) {
        *verdict = SVP_EXHAUSTED;
        return NULL;
    }
    *verdict = svp_pages_read(pages, body->bytes, body->count, record->offset, &coder_id);
    for (uint32_t i = 0; *verdict == SVP_GOOD && i < pages->count; i++) {
        /* Pages are below 2^34 and ids below 2^30 in any real archive: larger ids only weaken this one check. */
        svp_buffer_add64(&audit->places, (uint64_t)pages->region_id << 34 | pages->pages[i]);
    }
    if (*verdict == SVP_GOOD) {
        audit->pages_stored += pages->count;
        *(pages->coder->has_base ? &audit->delta_bytes : &audit->key_bytes) += pages->stored_bytes;
    }
    svp_memory_free(pages);
    return *verdict == SVP_BAD ? "this batch of pages breaks the format" : NULL;
}

static int order_places(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(uint64_t));
}

static const char *check_commit(struct svp_audit *audit, const struct svp_record *record)
{
    const struct svp_commit *commit = &audit->commit;
    struct svp_commit base = {0};
    if (commit->base != 0 && svp_source_commit(audit->source, &base, commit->base, NULL) != SAVEPOINT_OK) {
        return "the snapshot's base cannot be read";
    }
    if (commit->depth != base.depth + 1 || memcmp(commit->base_id.bytes, base.id.bytes, SVP_HASH_BYTES) != 0) {
        return "the snapshot's depth or base id is not that of its base";
    }
    bool counted = commit->transaction_start == audit->start && commit->pages_stored == audit->pages_stored &&
                   commit->delta_bytes == audit->delta_bytes && commit->key_bytes == audit->key_bytes;
    if (audit->known && !counted) {
        return "the snapshot's counts are not those of its transaction";
    }
    if (audit->known && (commit->previous != audit->expected.newest_commit ||
                         commit->sequence <= audit->expected.highest_sequence)) {
        return "the snapshot's sequence or predecessor does not continue the archive";
    }
    if (audit->places.count > 8) {
        qsort(audit->places.bytes, audit->places.count / 8, 8, order_places);
    }
    for (size_t i = 8; i < audit->places.count; i += 8) {
        if (memcmp(audit->places.bytes + i, audit->places.bytes + i - 8, 8) == 0) {
            return "a page is stored twice in one transaction";
        }
    }
    audit->expected.newest_commit = record->offset;
    audit->expected.head = (commit->flags & SVP_COMMIT_NO_HEAD) != 0 ? audit->expected.head : record->offset;
    audit->expected.highest_sequence = commit->sequence;
    audit->expected.snapshot_count++;
    return NULL;
}

static bool looks_like_id(const char *name)
{
    size_t digits = strspn(name, "0123456789abcdefABCDEF");
    return name[digits] == '\0' && digits >= 4 && digits <= 32;
}

static const char *check_ref(struct svp_audit *audit, const struct svp_record *record, const struct svp_buffer *body)
{
    struct svp_ref ref;
    struct svp_commit target = {0};
    if (svp_ref_read(&ref, body->bytes, body->count) != SVP_GOOD || ref.target >= record->offset) {
        return "this reference breaks the format";
    }
    if (ref.target != 0 && svp_source_commit(audit->source, &target, ref.target, NULL) != SAVEPOINT_OK) {
        return "the reference points to no snapshot";
    }
    if (memcmp(ref.target_id.bytes, target.id.bytes, SVP_HASH_BYTES) != 0) {
        return "the reference's id is not that of its snapshot";
    }
    if (ref.kind == SVP_REF_LABEL && looks_like_id(ref.name)) {
        return "a label's name could be taken for an id";
    }
    if (audit->known && ref.previous != audit->expected.newest_ref) {
        return "the reference does not continue the chain of references";
    }
    audit->expected.newest_ref = record->offset;
    audit->expected.head = ref.kind == SVP_REF_HEAD ? ref.target : audit->expected.head;
    return NULL;
}

static const char *check_tombstone(struct svp_audit *audit, const struct svp_record *record,
                                   const struct svp_buffer *body)
{
    struct svp_tombstone tombstone;
    if (svp_tombstone_read(&tombstone, body->bytes, body->count) != SVP_GOOD) {
        return "this tombstone breaks the format";
    }
    if (audit->known && tombstone.previous != audit->expected.newest_tombstone) {
        return "the tombstone does not continue the chain of tombstones";
    }
    for (size_t i = 0; i < audit->dropped.count; i += SVP_HASH_BYTES) {
        if (memcmp(audit->dropped.bytes + i, tombstone.id.bytes, SVP_HASH_BYTES) == 0) {
            return "a snapshot is dropped twice";
        }
    }
    svp_buffer_add(&audit->dropped, tombstone.id.bytes, SVP_HASH_BYTES);
    audit->expected.newest_tombstone = record->offset;
    audit->expected.snapshot_count -= tombstone.commit != 0 ? 1 : 0;
    return NULL;
}

static const char *check_segment(struct svp_audit *audit, const struct svp_record *record,
                                 const struct svp_buffer *body)
{
    struct svp_segment segment;
    audit->has_segment = true;
    audit->expected.newest_segment = record->offset;
    enum svp_verdict verdict = svp_segment_read(&segment, body->bytes, body->count);
    bool sound = verdict != SVP_BAD && segment.alignment == audit->alignment && segment.all_named;
    return sound ? NULL : "this archive header breaks the format";
}

static const char *check_end(struct svp_audit *audit, const struct svp_record *record, const struct svp_buffer *body)
{
    struct svp_end end;
    const char *wrong = NULL;
    const struct svp_end *expected = &audit->expected;
    if (svp_end_read(&end, body->bytes, body->count, record->offset, record->salt) != SVP_GOOD) {
        return "this end of a transaction breaks the format";
    }
    bool fits = end.newest_commit == expected->newest_commit && end.head == expected->head &&
                end.newest_ref == expected->newest_ref && end.newest_tombstone == expected->newest_tombstone &&
                end.newest_segment == expected->newest_segment && end.newest_regions == expected->newest_regions &&
                end.highest_sequence == expected->highest_sequence && end.snapshot_count == expected->snapshot_count;
    bool chained = end.transaction_start == audit->start && end.previous_chain == audit->previous_chain &&
                   end.chain == svp_digest64(record->salt, audit->chain.bytes, audit->chain.count);
    if (audit->known && !chained) {
        wrong = "the end of the transaction does not fit its records";
    } else if (audit->known && !audit->has_before && !audit->has_segment) {
        wrong = "the first transaction has no archive header";
    } else if (audit->known && !fits) {
        wrong = "the end of the transaction does not tell what the records before it say";
    } else if (audit->pages_stored > 0 && !audit->has_commit) {
        wrong = "pages stand in a transaction without a snapshot";
    }
    audit->expected = end;
    audit->previous_chain = end.chain;
    audit->known = true;
    audit->has_before = true;
    audit->transaction = record->transaction;
    audit->started = false;
    return wrong;
}

static enum savepoint_status judge(const struct svp_audit *audit, const struct svp_record *record, const char *wrong,
                                   enum svp_verdict verdict, struct savepoint_error *error)
{
    if (wrong != NULL) {
        return broken(audit, record->offset, wrong, error);
    }
    if (audit->places.failed || audit->dropped.failed || audit->chain.failed) {
        verdict = SVP_EXHAUSTED;
    }
    return svp_source_verdict(audit->source, verdict, record->offset, "record", error);
}

enum savepoint_status svp_audit_record(struct svp_audit *audit, const struct svp_record *record,
                                       const struct svp_buffer *body, struct savepoint_error *error)
{
    enum svp_verdict verdict = SVP_GOOD;
    if (!audit->started) {
        begin(audit, record);
    }
    if (record->type != SVP_END) {
        svp_buffer_add64(&audit->chain, record->header_hash);
    }
    if ((record->type & SVP_RECORD_ANCILLARY) != 0) {
        return SAVEPOINT_OK;
    }
    if (rank_of(record->type) == 0) {
        bool reserved = record->type == 0 || record->type == SVP_CLOSE;
        return judge(audit, record, reserved ? "no record of this type belongs here" : NULL, SVP_UNSUPPORTED, error);
    }
    const char *wrong = check_frame(audit, record);
    const char *inside = NULL;
    switch (record->type) {
    case SVP_SEAL:
        audit->sealed = true;
        break;
    case SVP_SEGMENT:
        inside = check_segment(audit, record, body);
        break;
    case SVP_REGIONS:
        audit->expected.newest_regions = record->offset;
        break;
    case SVP_PAGES:
        inside = check_pages(audit, record, body, &verdict);
        break;
    case SVP_COMMIT:
        audit->has_commit = true;
        inside = svp_commit_read(&audit->commit, body->bytes, body->count) == SVP_GOOD ? check_commit(audit, record)
                                                                                       : "this snapshot breaks the format";
        break;
    case SVP_REF:
        inside = check_ref(audit, record, body);
        break;
    case SVP_TOMBSTONE:
        inside = check_tombstone(audit, record, body);
        break;
    case SVP_END:
        inside = check_end(audit, record, body);
        break;
    default:
        break;
    }
    return judge(audit, record, wrong != NULL ? wrong : inside, verdict, error);
}
