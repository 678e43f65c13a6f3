/* ring_list.c - the snapshots of a session's ring: walking them, finding one */
#include "session/ring_list.h"

#include <string.h>

#include "status.h"

/* What the public calls show of a mark. */
static void show(struct savepoint_snapshot *snapshot, const struct svp_ring_mark *mark)
{
    *snapshot = mark->snapshot;
    snapshot->file_offset = mark->record;
}

static bool starts_with(const struct savepoint_id *id, const char *expression)
{
    enum { PREFIX_MIN = 4 };
    char text[SAVEPOINT_ID_TEXT_BYTES];
    const size_t bytes = strlen(expression);
    savepoint_id_format(id, text);
    return bytes >= PREFIX_MIN && bytes < sizeof text && strncmp(text, expression, bytes) == 0;
}

enum savepoint_status svp_ring_list_find(const struct savepoint *session, struct savepoint_snapshot *snapshot,
                                         const char *expression, struct savepoint_error *error)
{
    struct svp_ring_mark mark;
    struct svp_ring_mark found = { 0 };
    unsigned count = 0;
    for (bool any = svp_ring_newest(&session->ring, &mark); any; any = svp_ring_previous(&session->ring, &mark)) {
        if (expression[0] != '\0' && strcmp(mark.snapshot.label, expression) == 0) {
            show(snapshot, &mark);
            return SAVEPOINT_OK;
        }
        if (starts_with(&mark.snapshot.id, expression)) {
            found = mark;
            count++;
        }
    }
    if (count > 1) {
        return svp_status_fail(error, SAVEPOINT_AMBIGUOUS, "find", "'%.80s' fits %u snapshots of the ring", expression,
                               count);
    }
    if (count == 0) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "find", "the ring holds no snapshot '%.80s'", expression);
    }
    show(snapshot, &found);
    return SAVEPOINT_OK;
}

static enum savepoint_status
check(struct savepoint *session, const struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    enum savepoint_status status = svp_session_check(session, "ring", error);
    if (status == SAVEPOINT_OK && (snapshot == NULL || !session->has_ring)) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "ring", "%s",
                                 snapshot == NULL ? "the snapshot is NULL"
                                                  : "this session has no ring: open it with ring_bytes");
    }
    return status;
}

enum savepoint_status
savepoint_ring_newest(struct savepoint *session, struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    struct svp_ring_mark mark;
    enum savepoint_status status = check(session, snapshot, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_session_settle(session);
    if (!svp_ring_newest(&session->ring, &mark)) {
        return svp_status_fail(error, SAVEPOINT_EMPTY, "ring", "the ring holds no snapshot");
    }
    show(snapshot, &mark);
    return SAVEPOINT_OK;
}

enum savepoint_status
savepoint_ring_previous(struct savepoint *session, struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    struct svp_ring_mark mark;
    enum savepoint_status status = check(session, snapshot, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_session_settle(session);
    if (!svp_ring_find(&session->ring, &mark, &snapshot->id) || !svp_ring_previous(&session->ring, &mark)) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "ring", "the ring holds no older snapshot");
    }
    show(snapshot, &mark);
    return SAVEPOINT_OK;
}
