/* write.c - the writer: laid out takes go to the file, one after the other */
#include "session/write.h"

#include "os/host.h"
#include "session/drop.h"
#include "session/encoded.h"
#include "session/takes.h"

/* What was written of the take is cut off. A take asked for from now on is refused if that fails, for the end of the
 * file is in doubt then. */
static void fail_take(struct savepoint *session, struct svp_take *take, enum savepoint_status status,
                      const struct savepoint_error *error)
{
    struct svp_output *output = &session->append.output;
    if (output->open) {
        svp_output_abort(output);
    }
    svp_mutex_lock(session->mutex);
    session->writer_poisoned = output->poisoned;
    svp_mutex_unlock(session->mutex);
    svp_take_fail(session, take, status, error);
}

/* Takes all blocks from the take, also those of one that has failed: they must be given back. */
static enum savepoint_status
write_blocks(struct savepoint *session, struct svp_take *take, struct savepoint_error *error)
{
    struct svp_output *output = &session->append.output;
    struct svp_block *block;
    while ((block = svp_encoded_pop(session, take)) != NULL) {
        enum savepoint_status status = svp_take_status(session, take);
        if (status == SAVEPOINT_OK && !output->open) {
            status = svp_output_begin(output, error);
        }
        if (status == SAVEPOINT_OK) {
            status = svp_output_write(output, block->bytes.bytes, block->bytes.count, error);
        }
        if (status != SAVEPOINT_OK) {
            fail_take(session, take, status, error);
        }
        svp_encoded_release(session, block);
    }
    return svp_take_status(session, take);
}

static void count_commit(struct savepoint *session, const struct svp_counts *counts, uint64_t stored_bytes)
{
    struct savepoint_statistics *statistics = &session->statistics;
    svp_mutex_lock(session->mutex);
    statistics->pages_unchanged += counts->unchanged;
    statistics->faults_avoided += counts->faults_avoided;
    statistics->compared_in_vain += counts->compared_in_vain;
    statistics->pages_zero += counts->zero_pages;
    statistics->pages_delta += counts->delta_pages;
    statistics->pages_whole += counts->whole_pages;
    statistics->delta_bytes += counts->delta_bytes;
    statistics->key_bytes += counts->key_bytes;
    statistics->stored_bytes += stored_bytes;
    svp_mutex_unlock(session->mutex);
}

/* After a commit. */
static void publish(struct savepoint *session, const struct svp_take *take, struct savepoint_snapshot *snapshot)
{
    const struct svp_tail *tail = &session->append.output.tail;
    session->catalog.has_end = true;
    session->catalog.end = tail->end;
    session->catalog.sealed_bytes = tail->durable_bytes;
    svp_drop_settle(session, take, &take->commit, take->commit_offset);
    svp_catalog_describe(&session->catalog, snapshot, &take->commit, take->commit_offset);
    count_commit(session, &take->counts, snapshot->stored_bytes);
}

static void write_take(struct savepoint *session, struct svp_take *take)
{
    struct savepoint_error error = { 0 };
    struct savepoint_snapshot snapshot = { 0 };
    enum savepoint_status status = write_blocks(session, take, &error);
    if (status == SAVEPOINT_OK) {
        status =
            svp_output_commit(&session->append.output, &take->after.tail, take->durability == SAVEPOINT_SYNC, &error);
    }
    if (status == SAVEPOINT_OK) {
        publish(session, take, &snapshot);
    } else {
        fail_take(session, take, status, &error);
    }
    svp_take_finish(session, take, &snapshot);
}

void svp_write_run(void *argument)
{
    struct savepoint *session = argument;
    struct svp_take *take;
    svp_host_work_behind();
    while ((take = svp_take_oldest(session)) != NULL) {
        write_take(session, take);
    }
}
