/* busy.h - work that needs the shadow for itself: takes asked for meanwhile, by its callbacks, are refused */
#ifndef SVP_BUSY_H
#define SVP_BUSY_H

#include "session/session.h"

/* BUSY: such work is going on. Ends with svp_busy_end where it returned OK. */
enum savepoint_status svp_busy_begin(struct savepoint *session, const char *operation, struct savepoint_error *error);
void svp_busy_end(struct savepoint *session);
/* For calls that begin none, but need the shadow or the regions: svp_session_check, and BUSY as above. */
enum savepoint_status
svp_busy_check(const struct savepoint *session, const char *operation, struct savepoint_error *error);

#endif
