/* audit.c - rules between the records of a transaction, and from one transaction to the next */
#include "archive/audit.h"

#include <stdio.h>
#include <string.h>

#include "archive/audit_commit.h"
#include "archive/audit_pages.h"
#include "archive/catalog.h"
#include "format/bytes.h"
#include "format/digest.h"
#include "format/memory.h"
#include "os/host.h"
#include "status.h"

void svp_audit_open(struct svp_audit *audit, const struct svp_source *source, uint32_t alignment)
{
    *audit = (struct svp_audit){ .source = source, .known = true, .stream = alignment == SVP_STREAM_ALIGNMENT };
}

void svp_audit_close(struct svp_audit *audit)
{
    svp_audit_pages_close(audit);
    svp_buffer_free(&audit->chain);
    svp_buffer_free(&audit->holes);
    svp_buffer_free(&audit->links);
    svp_memory_free(audit->dropped);
}

void svp_audit_gap(struct svp_audit *audit, uint64_t start, uint64_t end)
{
    const struct svp_audit_hole hole = { start, end };
    svp_buffer_add(&audit->holes, &hole, sizeof hole);
    audit->known = false;
    audit->features = SVP_AUDIT_FEATURES_ANY;
}

static bool is_skipped(const struct svp_audit *audit, uint64_t offset)
{
    const struct svp_audit_hole *holes = (const struct svp_audit_hole *)(const void *)audit->holes.bytes;
    size_t low = 0;
    size_t high = audit->holes.count / sizeof *holes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (holes[middle].end <= offset) {
            low = middle + 1;
        } else if (holes[middle].start > offset) {
            high = middle;
        } else {
            return true;
        }
    }
    return false;
}

enum savepoint_status
svp_audit_broken(const struct svp_audit *audit, uint64_t offset, const char *what, struct savepoint_error *error)
{
    return svp_status_at(error, SAVEPOINT_CORRUPT, offset, "verify", "%s: %s", audit->source->path, what);
}

enum savepoint_status svp_audit_follow(const struct svp_audit *audit, enum savepoint_status status, uint64_t offset,
                                       const char *what, struct savepoint_error *error)
{
    if (status != SAVEPOINT_CORRUPT) {
        return status;
    }
    return is_skipped(audit, error->file_offset) ? SAVEPOINT_OK : svp_audit_broken(audit, offset, what, error);
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
    audit->running = record->transaction;
    audit->start = record->offset;
    audit->sealed = audit->has_segment = audit->has_commit = false;
    audit->rank = 0;
    audit->index = (struct svp_audit_index){ 0 };
    svp_audit_pages_begin(audit);
    svp_buffer_clear(&audit->chain);
}

/* Number, order and the FLOATING flag. NULL: sound. */
static const char *check_frame(struct svp_audit *audit, const struct svp_record *record, bool first)
{
    bool ancillary = (record->type & SVP_RECORD_ANCILLARY) != 0;
    bool floating = (record->flags & SVP_RECORD_FLOATING) != 0;
    bool seals = record->type == SVP_SEAL;
    bool must_float = audit->known && !audit->stream && audit->has_before && !audit->sealed && !seals;
    if (audit->known && record->transaction != audit->transaction + 1) {
        return "the transaction's number is not one more than the last";
    }
    if (audit->known && first && ancillary) {
        return "a transaction begins with a record that may be skipped";
    }
    if (audit->stream && (seals || record->type == SVP_REF || record->type == SVP_TOMBSTONE)) {
        return "a record of this type has no place in a stream";
    }
    if (floating != must_float && (audit->known || seals)) {
        return "the record's FLOATING flag contradicts the seals before it";
    }
    if (!ancillary) {
        unsigned rank = rank_of(record->type);
        bool misplaced = rank < audit->rank || (rank == audit->rank && !may_repeat(record->type));
        audit->rank = rank;
        return misplaced ? "a record stands at the wrong place in its transaction" : NULL;
    }
    return NULL;
}

static enum savepoint_status check_seal(struct svp_audit *audit, const struct svp_record *record,
                                        const struct svp_buffer *body, struct savepoint_error *error)
{
    struct svp_seal seal;
    audit->sealed = true;
    bool sound = svp_seal_read(&seal, body->bytes, body->count) == SVP_GOOD && seal.sealed_bytes == record->offset;
    return sound ? SAVEPOINT_OK : svp_audit_broken(audit, record->offset, "this seal breaks the format", error);
}

static enum savepoint_status
check_target(const struct svp_audit *audit, const struct svp_ref *ref, uint64_t offset, struct savepoint_error *error)
{
    struct svp_commit target = { 0 };
    enum savepoint_status status =
        ref->target != 0 ? svp_source_commit(audit->source, &target, ref->target, error) : SAVEPOINT_OK;
    if (status != SAVEPOINT_OK) {
        return svp_audit_follow(audit, status, offset, "the reference points to no snapshot", error);
    }
    return memcmp(ref->target_id.bytes, target.id.bytes, SVP_HASH_BYTES) == 0
               ? SAVEPOINT_OK
               : svp_audit_broken(audit, offset, "the reference's id is not that of its snapshot", error);
}

static enum savepoint_status check_ref(struct svp_audit *audit, const struct svp_record *record,
                                       const struct svp_buffer *body, struct savepoint_error *error)
{
    struct svp_ref ref;
    if (svp_ref_read(&ref, body->bytes, body->count) != SVP_GOOD || ref.target >= record->offset) {
        return svp_audit_broken(audit, record->offset, "this reference breaks the format", error);
    }
    bool chained = ref.previous == audit->expected.newest_ref;
    audit->expected.newest_ref = record->offset;
    audit->expected.head = ref.kind == SVP_REF_HEAD ? ref.target : audit->expected.head;
    if (ref.kind == SVP_REF_LABEL && svp_name_is_id(ref.name)) {
        return svp_audit_broken(audit, record->offset, "a label's name could be taken for an id", error);
    }
    if (audit->known && !chained) {
        return svp_audit_broken(audit, record->offset, "the reference does not continue the chain of references",
                                error);
    }
    return check_target(audit, &ref, record->offset, error);
}

/* The place of an id in the table: its own, or the empty one where it belongs. The seed is nobody's to know: ids chosen
 * to meet in one place would make the table a list. */
static struct svp_hash *find_dropped(const struct svp_audit *audit, const struct svp_hash *id)
{
    static const struct svp_hash empty;
    size_t at = (size_t)svp_digest64(audit->dropped_seed, id->bytes, SVP_HASH_BYTES) & (audit->dropped_capacity - 1);
    while (memcmp(audit->dropped[at].bytes, id->bytes, SVP_HASH_BYTES) != 0 &&
           memcmp(audit->dropped[at].bytes, empty.bytes, SVP_HASH_BYTES) != 0) {
        at = (at + 1) & (audit->dropped_capacity - 1);
    }
    return &audit->dropped[at];
}

/* Room for one more id, the table never more than half full. */
static bool grow_dropped(struct svp_audit *audit)
{
    enum { CAPACITY_FIRST = 64 };
    static const struct svp_hash empty;
    struct svp_hash *old = audit->dropped;
    size_t old_capacity = audit->dropped_capacity;
    if (audit->dropped_count < old_capacity / 2) {
        return true;
    }
    size_t capacity = old_capacity > 0 ? old_capacity * 2 : CAPACITY_FIRST;
    struct svp_hash *grown = svp_memory_zalloc(capacity, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    if (old_capacity == 0) {
        svp_host_random(&audit->dropped_seed, sizeof audit->dropped_seed);
    }
    audit->dropped = grown;
    audit->dropped_capacity = capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (memcmp(old[i].bytes, empty.bytes, SVP_HASH_BYTES) != 0) {
            *find_dropped(audit, &old[i]) = old[i];
        }
    }
    svp_memory_free(old);
    return true;
}

/* The snapshot that a tombstone drops: what the two say of it must agree. */
static enum savepoint_status check_dropped(const struct svp_audit *audit, const struct svp_tombstone *tombstone,
                                           uint64_t offset, struct savepoint_error *error)
{
    struct svp_commit commit;
    if (audit->known && tombstone->commit == audit->expected.head) {
        return svp_audit_broken(audit, offset, "the snapshot that is HEAD is dropped", error);
    }
    enum savepoint_status status = svp_source_commit(audit->source, &commit, tombstone->commit, error);
    if (status != SAVEPOINT_OK) {
        return svp_audit_follow(audit, status, offset, "the tombstone points to no snapshot", error);
    }
    bool fits = memcmp(commit.id.bytes, tombstone->id.bytes, SVP_HASH_BYTES) == 0 &&
                memcmp(commit.parent_id.bytes, tombstone->parent_id.bytes, SVP_HASH_BYTES) == 0 &&
                commit.sequence == tombstone->sequence;
    return fits ? SAVEPOINT_OK : svp_audit_broken(audit, offset, "the tombstone does not fit its snapshot", error);
}

static enum savepoint_status check_tombstone(struct svp_audit *audit, const struct svp_record *record,
                                             const struct svp_buffer *body, struct savepoint_error *error)
{
    struct svp_tombstone tombstone;
    if (svp_tombstone_read(&tombstone, body->bytes, body->count) != SVP_GOOD || tombstone.commit >= record->offset) {
        return svp_audit_broken(audit, record->offset, "this tombstone breaks the format", error);
    }
    bool chained = tombstone.previous == audit->expected.newest_tombstone;
    audit->expected.newest_tombstone = record->offset;
    if (audit->known && !chained) {
        return svp_audit_broken(audit, record->offset, "the tombstone does not continue the chain of tombstones",
                                error);
    }
    if (!grow_dropped(audit)) {
        return svp_source_verdict(audit->source, SVP_EXHAUSTED, record->offset, "record", error);
    }
    struct svp_hash *dropped = find_dropped(audit, &tombstone.id);
    if (memcmp(dropped->bytes, tombstone.id.bytes, SVP_HASH_BYTES) == 0) {
        return svp_audit_broken(audit, record->offset, "a snapshot is dropped twice", error);
    }
    *dropped = tombstone.id;
    audit->dropped_count++;
    audit->expected.snapshot_count -= tombstone.commit != 0 ? 1 : 0;
    if (tombstone.sequence > audit->expected.highest_sequence) { /* of a snapshot whose bytes are gone */
        audit->expected.highest_sequence = tombstone.sequence;
    }
    return tombstone.commit != 0 ? check_dropped(audit, &tombstone, record->offset, error) : SAVEPOINT_OK;
}

static enum savepoint_status check_segment(struct svp_audit *audit, const struct svp_record *record,
                                           const struct svp_buffer *body, struct savepoint_error *error)
{
    struct svp_segment segment;
    audit->has_segment = true;
    audit->expected.newest_segment = record->offset;
    enum svp_verdict verdict = svp_segment_read(&segment, body->bytes, body->count);
    bool streams = segment.alignment == SVP_STREAM_ALIGNMENT;
    if (verdict == SVP_BAD || streams != audit->stream || !segment.all_named) {
        return svp_audit_broken(audit, record->offset, "this archive header breaks the format", error);
    }
    uint64_t lost = audit->features == SVP_AUDIT_FEATURES_ANY ? 0 : audit->features & ~segment.incompatible;
    audit->features = segment.incompatible;
    return lost == 0
               ? SAVEPOINT_OK
               : svp_audit_broken(audit, record->offset, "this archive header forgets a feature that is in use", error);
}

static enum savepoint_status check_end(struct svp_audit *audit, const struct svp_record *record,
                                       const struct svp_buffer *body, struct savepoint_error *error)
{
    struct svp_end end;
    const char *wrong = NULL;
    const struct svp_end *expected = &audit->expected;
    if (svp_end_read(&end, body->bytes, body->count, record->offset, record->salt) != SVP_GOOD) {
        return svp_audit_broken(audit, record->offset, "this end of a transaction breaks the format", error);
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
    } else if (audit->known && audit->pages_stored > 0 && !audit->has_commit) {
        wrong = "pages stand in a transaction without a snapshot";
    }
    audit->expected = end;
    audit->previous_chain = end.chain;
    audit->known = true;
    audit->has_before = true;
    audit->transaction = record->transaction;
    audit->started = false;
    return wrong == NULL ? SAVEPOINT_OK : svp_audit_broken(audit, record->offset, wrong, error);
}

static enum savepoint_status check_inside(struct svp_audit *audit, const struct svp_record *record,
                                          const struct svp_buffer *body, struct savepoint_error *error)
{
    switch (record->type) {
    case SVP_SEAL:
        return check_seal(audit, record, body, error);
    case SVP_SEGMENT:
        return check_segment(audit, record, body, error);
    case SVP_REGIONS:
        return svp_audit_commit_regions(audit, record, body, error);
    case SVP_PAGES:
        return svp_audit_pages_check(audit, record, body, error);
    case SVP_INDEX:
        return svp_audit_commit_index(audit, record, body, error);
    case SVP_COMMIT:
        return svp_audit_commit_check(audit, record, error);
    case SVP_REF:
        return check_ref(audit, record, body, error);
    case SVP_TOMBSTONE:
        return check_tombstone(audit, record, body, error);
    case SVP_END:
        return check_end(audit, record, body, error);
    default:
        return SAVEPOINT_OK;
    }
}

static enum savepoint_status
refuse_type(const struct svp_audit *audit, const struct svp_record *record, struct savepoint_error *error)
{
    char what[32];
    if (record->type == 0 || record->type == SVP_CLOSE) {
        return svp_audit_broken(audit, record->offset, "no record of this type belongs here", error);
    }
    snprintf(what, sizeof what, "record of type %u", (unsigned)record->type);
    return svp_source_verdict(audit->source, SVP_UNSUPPORTED, record->offset, what, error);
}

enum savepoint_status svp_audit_record(struct svp_audit *audit, const struct svp_record *record,
                                       const struct svp_buffer *body, struct savepoint_error *error)
{
    bool end_skipped = audit->started && !audit->known && record->transaction != audit->running;
    bool first = !audit->started || end_skipped;
    bool ancillary = (record->type & SVP_RECORD_ANCILLARY) != 0;
    if (first) {
        begin(audit, record);
    }
    if (record->type != SVP_END) {
        svp_buffer_add64(&audit->chain, record->header_hash);
    }
    if (!ancillary && rank_of(record->type) == 0) {
        return refuse_type(audit, record, error);
    }
    const char *wrong = check_frame(audit, record, first);
    enum savepoint_status status = check_inside(audit, record, body, error);
    if (audit->chain.failed) {
        return svp_source_verdict(audit->source, SVP_EXHAUSTED, record->offset, "record", error);
    }
    bool judged = status == SAVEPOINT_OK || status == SAVEPOINT_CORRUPT || status == SAVEPOINT_UNSUPPORTED;
    return wrong != NULL && judged ? svp_audit_broken(audit, record->offset, wrong, error) : status;
}
