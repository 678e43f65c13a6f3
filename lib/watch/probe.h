/* probe.h - trying a write-watch on real pages */
#ifndef SVP_PROBE_H
#define SVP_PROBE_H

#include "watch.h"

/* OK when the backend reports nothing for pages left alone, exactly the page that was written, nothing once
 * re-armed, and the next write again; NO_BACKEND with what went wrong else. Leaves no trace. */
enum savepoint_status svp_probe_try(const struct svp_watch_backend *backend, struct savepoint_error *error);

#endif
