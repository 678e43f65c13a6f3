/* backends.h - the backends this library was built with; only watch.c chooses among them */
#ifndef SVP_BACKENDS_H
#define SVP_BACKENDS_H

#include "watch.h"

extern const struct svp_watch_backend svp_mach_backend;
extern const struct svp_watch_backend svp_uffd_backend;
extern const struct svp_watch_backend svp_windows_backend;
extern const struct svp_watch_backend svp_signal_backend;
extern const struct svp_watch_backend svp_compare_backend;

#endif
