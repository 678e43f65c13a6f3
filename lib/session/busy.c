/* busy.c - work that needs the shadow for itself */
#include "session/busy.h"

#include "status.h"

enum savepoint_status svp_busy_begin(struct savepoint *session, const char *operation, struct savepoint_error *error)
{
    svp_mutex_lock(session->mutex);
    const bool busy = session->restoring;
    session->restoring = true;
    svp_mutex_unlock(session->mutex);
    return busy ? svp_status_fail(error, SAVEPOINT_BUSY, operation, "a restore is running") : SAVEPOINT_OK;
}

void svp_busy_end(struct savepoint *session)
{
    svp_mutex_lock(session->mutex);
    session->restoring = false;
    svp_mutex_unlock(session->mutex);
}
