/* rewrite.c - the kept snapshots of an archive, written to a new file */
#include "archive/rewrite.h"

#include <string.h>

#include "archive/copy.h"
#include "format/bytes.h"
#include "os/host.h"
#include "status.h"

enum { END_BYTES = 104 + SVP_TRAILER_BYTES, SEAL_BYTES = SVP_HEADER_BYTES + 16 };

struct measure { /* a file that is not there */
    uint64_t at;
    struct svp_buffer body;
};

struct rewrite {
    struct savepoint_archive *archive;
    struct svp_lineage *lineage;
    struct svp_append *append; /* NULL: only measured */
    struct measure measure;
    struct svp_reader written;
    struct svp_copy copy;
    struct svp_end end; /* of the transaction before */
    struct savepoint_error *error;
};

/* ---- where records go */

static enum savepoint_status
measure_record(void *to, enum svp_record_type type, uint64_t *offset, struct savepoint_error *error)
{
    struct measure *measure = to;
    (void)type;
    *offset = measure->at;
    measure->at += SVP_HEADER_BYTES + svp_round_up(measure->body.count, 8);
    return !measure->body.failed ? SAVEPOINT_OK : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "copy", "no memory");
}

static uint64_t measure_offset(const void *to)
{
    return ((const struct measure *)to)->at;
}

static enum savepoint_status
append_record(void *to, enum svp_record_type type, uint64_t *offset, struct savepoint_error *error)
{
    return svp_append_record(to, type, offset, error);
}

static uint64_t append_offset(const void *to)
{
    return svp_append_offset(to);
}

static struct svp_sink sink_of(struct rewrite *rewrite)
{
    return rewrite->append != NULL
               ? (struct svp_sink){ rewrite->append, &rewrite->append->body, append_record, append_offset }
               : (struct svp_sink){ &rewrite->measure, &rewrite->measure.body, measure_record, measure_offset };
}

static enum savepoint_status begin(struct rewrite *rewrite)
{
    return rewrite->append != NULL ? svp_append_begin(rewrite->append, rewrite->error) : SAVEPOINT_OK;
}

static enum savepoint_status finish(struct rewrite *rewrite, bool last)
{
    struct measure *measure = &rewrite->measure;
    if (rewrite->append != NULL) {
        return svp_append_finish(rewrite->append, &rewrite->end, last, rewrite->error);
    }
    measure->at = svp_round_up(measure->at + SVP_HEADER_BYTES + END_BYTES, SVP_FILE_ALIGNMENT);
    measure->at += last ? SEAL_BYTES : 0;
    return SAVEPOINT_OK;
}

static enum savepoint_status add_record(struct rewrite *rewrite, enum svp_record_type type, uint64_t *offset)
{
    struct svp_sink *sink = &rewrite->copy.recode.sink;
    return sink->record(sink->to, type, offset, rewrite->error);
}

/* ---- one snapshot */

static enum savepoint_status write_regions(struct rewrite *rewrite, struct svp_line *line, const struct svp_line *base)
{
    if (base != NULL && base->regions == line->regions) {
        line->target_regions = base->target_regions;
        return SAVEPOINT_OK;
    }
    enum savepoint_status status =
        svp_copy_record(&rewrite->copy, SVP_REGIONS, line->regions, &line->target_regions, rewrite->error);
    rewrite->end.newest_regions = line->target_regions;
    return status;
}

/* The levels of the base chain, for the index, and the pages there: known already where it is the snapshot before. */
static enum savepoint_status stand_at(struct rewrite *rewrite, const struct svp_line *base)
{
    struct svp_copy *copy = &rewrite->copy;
    if (base != NULL && copy->at == base->offset) {
        return SAVEPOINT_OK;
    }
    memset(copy->recode.levels, 0, sizeof copy->recode.levels);
    for (const struct svp_line *at = base; at != NULL; at = at->kept_base) {
        svp_recode_meet(&copy->recode, at->target, at->target_depth);
    }
    return base != NULL ? svp_copy_stand_at(copy, base->offset, base->target, base->target_depth, rewrite->error)
                        : svp_copy_stand_at(copy, 0, 0, 0, rewrite->error);
}

/* What the new file says of the snapshot: all that its id is made of stays. */
static void place_commit(struct rewrite *rewrite, struct svp_commit *commit, const struct svp_line *line,
                         const struct svp_line *base, const struct svp_line *parent)
{
    static const struct svp_hash none;
    const struct svp_recode *recode = &rewrite->copy.recode;
    commit->base_id = base != NULL ? base->id : none;
    commit->base = base != NULL ? base->target : 0;
    commit->parent = parent != NULL ? parent->target : 0;
    commit->previous = rewrite->end.newest_commit;
    commit->regions = line->target_regions;
    commit->transaction_start = rewrite->append != NULL ? rewrite->append->tail.committed_bytes : 0;
    commit->pages_stored = recode->pages_stored;
    commit->delta_bytes = recode->delta_bytes;
    commit->key_bytes = recode->key_bytes;
    commit->depth = line->target_depth;
}

static enum savepoint_status
write_commit(struct rewrite *rewrite, struct svp_line *line, const struct svp_commit *from, const struct svp_line *base)
{
    struct svp_commit commit = *from;
    struct svp_copy *copy = &rewrite->copy;
    const struct svp_line *parent = line->kept_parent;
    enum savepoint_status status = write_regions(rewrite, line, base);
    if (status == SAVEPOINT_OK && from->metadata != 0) {
        status = svp_copy_record(copy, SVP_META, from->metadata, &commit.metadata, rewrite->error);
    }
    status = status == SAVEPOINT_OK ? svp_copy_pages(copy, line->offset, line->target_depth, rewrite->error) : status;
    if (status == SAVEPOINT_OK) {
        status = svp_recode_index(&copy->recode, &commit.index, base != NULL ? base->target : 0, true, rewrite->error);
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    place_commit(rewrite, &commit, line, base, parent);
    svp_buffer_clear(copy->recode.sink.body);
    svp_commit_write(copy->recode.sink.body, &commit);
    return add_record(rewrite, SVP_COMMIT, &line->target);
}

static enum savepoint_status write_snapshot(struct rewrite *rewrite, struct svp_line *line)
{
    struct svp_commit commit;
    const struct svp_line *base = line->kept_base;
    line->target_depth = base != NULL ? base->target_depth + 1 : 1;
    enum savepoint_status status = svp_source_commit(&rewrite->archive->source, &commit, line->offset, rewrite->error);
    status = status == SAVEPOINT_OK ? stand_at(rewrite, base) : status;
    status = status == SAVEPOINT_OK ? begin(rewrite) : status;
    status = status == SAVEPOINT_OK ? write_commit(rewrite, line, &commit, base) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct svp_end *end = &rewrite->end;
    end->newest_commit = line->target;
    end->head = (commit.flags & SVP_COMMIT_NO_HEAD) != 0 ? end->head : line->target;
    end->highest_sequence = line->sequence > end->highest_sequence ? line->sequence : end->highest_sequence;
    end->snapshot_count++;
    svp_recode_advance(&rewrite->copy.recode, line->target);
    return finish(rewrite, false);
}

/* ---- references and tombstones */

static enum savepoint_status write_ref(struct rewrite *rewrite, const struct svp_ref *from, uint64_t target)
{
    struct svp_ref ref = *from;
    struct svp_sink *sink = &rewrite->copy.recode.sink;
    ref.previous = rewrite->end.newest_ref;
    ref.target = target;
    svp_buffer_clear(sink->body);
    svp_ref_write(sink->body, &ref);
    return add_record(rewrite, SVP_REF, &rewrite->end.newest_ref);
}

/* Oldest first, as they were set; HEAD last, unless it is what the snapshots say already. */
static enum savepoint_status write_refs(struct rewrite *rewrite)
{
    const struct svp_catalog *catalog = &rewrite->archive->catalog;
    const struct svp_line *head = svp_lineage_at(rewrite->lineage, catalog->end.head);
    enum savepoint_status status = SAVEPOINT_OK;
    for (size_t i = catalog->ref_count; status == SAVEPOINT_OK && i-- > 0;) {
        const struct svp_line *line = svp_lineage_at(rewrite->lineage, catalog->refs[i].target);
        status = line != NULL && line->kept ? write_ref(rewrite, &catalog->refs[i], line->target) : SAVEPOINT_OK;
    }
    uint64_t target = head != NULL ? head->target : 0;
    if (status == SAVEPOINT_OK && rewrite->end.head != target) {
        struct svp_ref ref = { .kind = SVP_REF_HEAD, .time_ns = svp_host_time_ns() };
        ref.target_id = head != NULL ? head->id : ref.target_id;
        status = write_ref(rewrite, &ref, target);
        rewrite->end.head = target;
    }
    return status;
}

static enum savepoint_status write_tombstone(struct rewrite *rewrite, struct svp_tombstone tombstone)
{
    struct svp_sink *sink = &rewrite->copy.recode.sink;
    struct svp_end *end = &rewrite->end;
    tombstone.previous = end->newest_tombstone;
    tombstone.commit = 0;
    end->highest_sequence = tombstone.sequence > end->highest_sequence ? tombstone.sequence : end->highest_sequence;
    svp_buffer_clear(sink->body);
    svp_tombstone_write(sink->body, &tombstone);
    return add_record(rewrite, SVP_TOMBSTONE, &end->newest_tombstone);
}

/* Of snapshots whose bytes went in an earlier compaction only the tombstone is left. */
static enum savepoint_status write_old_tombstones(struct rewrite *rewrite)
{
    const struct svp_source *source = &rewrite->archive->source;
    struct svp_buffer body = { 0 };
    enum savepoint_status status = SAVEPOINT_OK;
    for (uint64_t at = rewrite->archive->catalog.end.newest_tombstone; status == SAVEPOINT_OK && at != 0;) {
        struct svp_record record;
        struct svp_tombstone tombstone = { 0 };
        status = svp_source_record(source, &record, &body, at, SVP_TOMBSTONE, rewrite->error);
        if (status == SAVEPOINT_OK) {
            enum svp_verdict verdict = svp_tombstone_read(&tombstone, body.bytes, body.count);
            status = svp_source_verdict(source, tombstone.previous < at ? verdict : SVP_BAD, at, "tombstone",
                                        rewrite->error);
        }
        at = tombstone.previous;
        if (status == SAVEPOINT_OK && tombstone.commit == 0) {
            status = write_tombstone(rewrite, tombstone);
        }
    }
    svp_buffer_free(&body);
    return status;
}

static enum savepoint_status write_tombstones(struct rewrite *rewrite)
{
    enum savepoint_status status = write_old_tombstones(rewrite);
    for (size_t i = 0; status == SAVEPOINT_OK && i < rewrite->lineage->count; i++) {
        const struct svp_line *line = &rewrite->lineage->lines[i];
        if (!line->kept) {
            status = write_tombstone(rewrite, (struct svp_tombstone){ .id = line->id,
                                                                      .parent_id = line->parent_id,
                                                                      .sequence = line->sequence,
                                                                      .time_ns = line->time_ns });
        }
    }
    return status;
}

/* ---- all of it */

static enum savepoint_status write_all(struct rewrite *rewrite)
{
    enum savepoint_status status = SAVEPOINT_OK;
    for (size_t i = 0; status == SAVEPOINT_OK && i < rewrite->lineage->count; i++) {
        struct svp_line *line = &rewrite->lineage->lines[i];
        status = line->kept ? write_snapshot(rewrite, line) : SAVEPOINT_OK;
    }
    status = status == SAVEPOINT_OK ? begin(rewrite) : status;
    status = status == SAVEPOINT_OK ? write_refs(rewrite) : status;
    status = status == SAVEPOINT_OK ? write_tombstones(rewrite) : status;
    return status == SAVEPOINT_OK ? finish(rewrite, true) : status;
}

enum savepoint_status
svp_rewrite(struct savepoint_archive *archive, struct svp_lineage *lineage, struct svp_append *append, uint64_t *bytes,
            struct svp_verify_pace *pace, struct savepoint_error *error)
{
    struct rewrite rewrite = { .archive = archive, .lineage = lineage, .append = append, .error = error };
    const struct svp_sink sink = sink_of(&rewrite);
    svp_lineage_settle(lineage);
    if (append != NULL) {
        svp_reader_open(&rewrite.written, &append->source);
    } else { /* what a first transaction begins with */
        svp_segment_write(&rewrite.measure.body, &archive->log.segment);
        rewrite.measure.at = SVP_HEADER_BYTES + svp_round_up(rewrite.measure.body.count, 8);
    }
    bool enough = svp_copy_open(&rewrite.copy, &archive->reader, &sink, append != NULL ? &rewrite.written : NULL, pace);
    enum savepoint_status status =
        enough ? write_all(&rewrite)
               : svp_status_fail(error, SAVEPOINT_NO_MEMORY, "copy", "%s: no memory", archive->source.path);
    *bytes = append != NULL ? append->at : rewrite.measure.at;
    svp_copy_close(&rewrite.copy);
    svp_reader_close(&rewrite.written);
    svp_buffer_free(&rewrite.measure.body);
    return status;
}
