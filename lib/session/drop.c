/* drop.c - keep_last: an autosave that is committed drops older ones, in its own transaction
 *
 * A dropped snapshot is only hidden: its bytes stay, and it may be the base and the parent of others, even of the
 * autosave that drops it. So nothing but its names stands against dropping a snapshot; HEAD is the new one by then. */
#include "session/drop.h"

#include "format/memory.h"

void svp_drop_close(struct svp_drops *drops)
{
    svp_memory_free(drops->kept);
    *drops = (struct svp_drops){ 0 };
}

static bool is_autosave(uint32_t flags)
{
    return (flags & SVP_COMMIT_AUTOSAVE) != 0;
}

/* Adds an autosave to the list; false: no memory. */
static bool add(struct svp_drops *drops, const struct svp_commit *commit, uint64_t commit_offset)
{
    struct svp_kept *grown = svp_memory_resize(drops->kept, drops->count + 1, sizeof *drops->kept);
    if (grown == NULL) {
        return false;
    }
    drops->kept = grown;
    drops->kept[drops->count++] = (struct svp_kept){ .tombstone = {
                                                         .id = commit->id,
                                                         .parent_id = commit->parent_id,
                                                         .sequence = commit->sequence,
                                                         .time_ns = commit->time_ns,
                                                         .commit = commit_offset,
                                                     } };
    return true;
}

static void reverse(struct svp_drops *drops)
{
    for (size_t i = 0; i < drops->count / 2; i++) {
        struct svp_kept held = drops->kept[i];
        drops->kept[i] = drops->kept[drops->count - 1 - i];
        drops->kept[drops->count - 1 - i] = held;
    }
}

/* Lists the autosaves of the archive, once in a session; false: not this time. A damaged snapshot
 * ends the list, not the autosave. Where a reference or a tombstone is damaged nothing is dropped: it may have been the
 * pin of a snapshot. */
static bool list_kept(struct savepoint *session)
{
    struct svp_drops *drops = &session->drops;
    uint64_t at = session->append.tail.end.newest_commit;
    enum savepoint_status status = SAVEPOINT_OK;
    if (session->catalog.chain_damaged) {
        return false;
    }
    if (drops->listed) {
        return true;
    }
    while (status == SAVEPOINT_OK && at != 0) {
        struct svp_commit commit = { 0 };
        status = svp_source_commit(&session->append.source, &commit, at, NULL);
        bool wanted = is_autosave(commit.flags) && !svp_catalog_is_dropped(&session->catalog, at);
        if (status == SAVEPOINT_OK && wanted && !add(drops, &commit, at)) {
            status = SAVEPOINT_NO_MEMORY;
        }
        at = commit.previous;
    }
    if (status != SAVEPOINT_OK && status != SAVEPOINT_CORRUPT) {
        svp_drop_close(drops);
        return false;
    }
    reverse(drops);
    drops->listed = true;
    return true;
}

/* Marks the oldest autosaves without a name, so many that `keep_last` are left with the one being written. Returns
 * their count. */
static size_t choose(struct savepoint *session, uint32_t keep_last)
{
    struct svp_drops *drops = &session->drops;
    size_t unnamed = 1;
    size_t chosen = 0;
    for (size_t i = 0; i < drops->count; i++) {
        unnamed += svp_catalog_is_named(&session->catalog, drops->kept[i].tombstone.commit) ? 0 : 1;
    }
    for (size_t i = 0; unnamed - chosen > keep_last; i++) {
        drops->kept[i].dropped = !svp_catalog_is_named(&session->catalog, drops->kept[i].tombstone.commit);
        chosen += drops->kept[i].dropped ? 1 : 0;
    }
    return chosen;
}

static void choose_none(struct svp_drops *drops)
{
    for (size_t i = 0; i < drops->count; i++) {
        drops->kept[i].dropped = false; /* marked for a transaction that failed */
    }
}

/* The writer publishes takes before this one meanwhile, and has the catalog and the end of the file for that: a LIVE
 * autosave ends whatever is in flight. What is to be dropped can wait for the next one. */
static bool writer_is_at_work(struct savepoint *session, const struct svp_take *take)
{
    bool at_work = false;
    svp_mutex_lock(session->mutex);
    for (const struct svp_take *before = session->first_take; before != take; before = before->next) {
        at_work = at_work || !before->for_ring;
    }
    svp_mutex_unlock(session->mutex);
    return at_work;
}

enum savepoint_status svp_drop_write(struct savepoint *session, const struct svp_take *take, struct svp_end *end,
                                     struct savepoint_error *error)
{
    struct svp_drops *drops = &session->drops;
    struct svp_append *append = &session->append;
    enum savepoint_status status = SAVEPOINT_OK;
    if (!is_autosave(take->flags)) { /* the list may belong to the writer of one now */
        return SAVEPOINT_OK;
    }
    choose_none(drops);
    if (take->keep_last == 0 || writer_is_at_work(session, take) || !list_kept(session)) {
        return SAVEPOINT_OK;
    }
    if (!svp_catalog_reserve(&session->catalog, choose(session, take->keep_last))) {
        choose_none(drops);
    }
    for (size_t i = 0; status == SAVEPOINT_OK && i < drops->count; i++) {
        struct svp_tombstone *tombstone = &drops->kept[i].tombstone;
        if (drops->kept[i].dropped) {
            tombstone->previous = end->newest_tombstone;
            svp_buffer_clear(&append->body);
            svp_tombstone_write(&append->body, tombstone);
            status = svp_append_record(append, SVP_TOMBSTONE, &end->newest_tombstone, error);
            end->snapshot_count--;
        }
    }
    return status;
}

void svp_drop_settle(struct savepoint *session, const struct svp_take *take, const struct svp_commit *commit,
                     uint64_t commit_offset)
{
    struct svp_drops *drops = &session->drops;
    size_t kept = 0;
    if (!is_autosave(take->flags)) {
        return;
    }
    for (size_t i = 0; i < drops->count; i++) {
        if (drops->kept[i].dropped) {
            svp_catalog_drop(&session->catalog, drops->kept[i].tombstone.commit);
        } else {
            drops->kept[kept++] = drops->kept[i];
        }
    }
    svp_mutex_lock(session->mutex);
    session->statistics.autosaves_dropped += drops->count - kept;
    svp_mutex_unlock(session->mutex);
    drops->count = kept;
    if (drops->listed && !add(drops, commit, commit_offset)) {
        svp_drop_close(drops); /* the next autosave lists anew */
    }
}
