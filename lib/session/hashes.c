/* hashes.c - savepoint_hashes_open: the hash trees of a snapshot of the ring, or of the session's archive */
#include "archive/hashes.h"

#include <string.h>

#include "session/busy.h"
#include "session/takes.h"
#include "session/visit.h"
#include "status.h"

/* Of the state visited. */
static void fill(struct savepoint_hashes *hashes, const struct svp_visit *visit)
{
    const struct svp_hash zero = svp_tree_zero_page();
    for (uint32_t i = 0; i < hashes->table.count; i++) {
        const struct svp_visit_region *visited = visit->parts[i];
        for (uint64_t page = 0; page < visited->part.pages; page++) {
            const struct svp_hash *hash = &visited->hashes[page];
            if (memcmp(hash, &zero, sizeof zero) != 0 && !svp_region_excludes(&hashes->table.entries[i], page)) {
                svp_tree_update(&hashes->trees[i], page, hash);
            }
        }
    }
}

static enum savepoint_status visit_mark(struct svp_visit *visit, struct savepoint_hashes **hashes,
                                        const struct svp_ring_mark *mark, struct savepoint_error *error)
{
    struct svp_hash digest;
    struct svp_region_table table = { 0 };
    enum savepoint_status status = svp_visit_check(visit, mark, "hashes", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_visit_go(visit, mark);
    struct savepoint_hashes *made = svp_visit_table(visit, &table) ? svp_hashes_new(&table) : NULL;
    svp_regions_free(&table);
    if (made == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "hashes", "no memory for the hashes of all pages");
    }
    fill(made, visit);
    memcpy(digest.bytes, mark->snapshot.digest.bytes, sizeof digest.bytes);
    status = svp_hashes_finish(made, &digest, error);
    if (status != SAVEPOINT_OK) {
        savepoint_hashes_close(made);
        return status;
    }
    *hashes = made;
    return SAVEPOINT_OK;
}

enum savepoint_status savepoint_hashes_open(struct savepoint *session, struct savepoint_hashes **hashes,
                                            const struct savepoint_id *id, struct savepoint_error *error)
{
    struct svp_ring_mark mark;
    struct svp_visit visit = { 0 };
    struct savepoint_snapshot snapshot;
    enum savepoint_status status = svp_busy_check(session, "hashes", error);
    if (status == SAVEPOINT_OK && (hashes == NULL || id == NULL)) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "hashes", "hashes and id must not be NULL");
    }
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_session_settle(session);
    if (svp_ring_find(&session->ring, &mark, id)) {
        status = svp_visit_open(&visit, session, "hashes", error);
        status = status == SAVEPOINT_OK ? visit_mark(&visit, hashes, &mark, error) : status;
        svp_visit_close(&visit);
        return status;
    }
    if (!session->has_archive) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "hashes", "the ring does not hold this snapshot any more");
    }
    svp_session_drain(session);
    status = svp_catalog_find_id(&session->catalog, &snapshot, id, error);
    return status == SAVEPOINT_OK ? svp_hashes_read(hashes, &session->reader, snapshot.file_offset, error) : status;
}
