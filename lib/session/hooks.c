/* hooks.c - what others notice of a restore: takes are BUSY while it runs, hooks are called when it has ended */
#include "session/hooks.h"

#include "status.h"

enum savepoint_status
savepoint_on_restore(struct savepoint *session, savepoint_hook *hook, void *user, struct savepoint_error *error)
{
    enum savepoint_status status = svp_session_check(session, "on_restore", error);
    if (status == SAVEPOINT_OK && hook == NULL) {
        status = svp_status_fail(error, SAVEPOINT_INVALID, "on_restore", "the hook is NULL");
    }
    if (status == SAVEPOINT_OK && session->hook_count == SVP_HOOKS_MAX) {
        status = svp_status_fail(error, SAVEPOINT_LIMIT, "on_restore", "a session has at most %d hooks", SVP_HOOKS_MAX);
    }
    if (status == SAVEPOINT_OK) {
        session->hooks[session->hook_count++] = (struct svp_hook){ hook, user };
    }
    return status;
}

void svp_hooks_begin_restore(struct savepoint *session)
{
    svp_mutex_lock(session->mutex);
    session->restoring = true;
    svp_mutex_unlock(session->mutex);
}

void svp_hooks_end_restore(struct savepoint *session, const struct savepoint_snapshot *snapshot,
                           enum savepoint_status status)
{
    svp_mutex_lock(session->mutex);
    session->restoring = false;
    svp_mutex_unlock(session->mutex);
    for (size_t i = 0; status == SAVEPOINT_OK && i < session->hook_count; i++) {
        session->hooks[i].call(session->hooks[i].user, snapshot);
    }
}
