/* busy.c - work that needs the shadow for itself */
#include "session/busy.h"

#include "status.h"

static enum savepoint_status fail_if(bool busy, const char *operation, struct savepoint_error *error)
{
    return busy ? svp_status_fail(error, SAVEPOINT_BUSY, operation, "a restore, a promotion or a load is running")
                : SAVEPOINT_OK;
}

enum savepoint_status
svp_busy_check(const struct savepoint *session, const char *operation, struct savepoint_error *error)
{
    enum savepoint_status status = svp_session_check(session, operation, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_mutex_lock(session->mutex);
    const bool busy = session->restoring;
    svp_mutex_unlock(session->mutex);
    return fail_if(busy, operation, error);
}

enum savepoint_status svp_busy_begin(struct savepoint *session, const char *operation, struct savepoint_error *error)
{
    svp_mutex_lock(session->mutex);
    const bool busy = session->restoring;
    session->restoring = true;
    svp_mutex_unlock(session->mutex);
    return fail_if(busy, operation, error);
}

void svp_busy_end(struct savepoint *session)
{
    svp_mutex_lock(session->mutex);
    session->restoring = false;
    svp_mutex_unlock(session->mutex);
}
