/* regions.h - checks and steps shared by the calls that add regions */
#ifndef SVP_SESSION_REGIONS_H
#define SVP_SESSION_REGIONS_H

#include "session/session.h"

#define SVP_MAP_GRANULE UINT64_C(65536) /* Windows' allocation granularity: one rule for all systems */

/* The name can be given to a new region. */
enum savepoint_status
svp_regions_check_name(const struct savepoint *session, const char *name, struct savepoint_error *error);
/* Aligned, not empty, and apart from all regions but `name` itself. */
enum savepoint_status svp_regions_check_range(const struct savepoint *session, const char *name, uintptr_t start,
                                              size_t bytes, struct savepoint_error *error);
/* Makes and arms a region over memory that was checked; the session owns it on OK. */
enum savepoint_status svp_regions_add(struct savepoint *session, struct svp_region **added, const char *name,
                                      uintptr_t start, size_t bytes, struct savepoint_error *error);

#endif
