/* settings.h - what savepoint_open was asked for, and what it means where nothing was said */
#ifndef SVP_SETTINGS_H
#define SVP_SETTINGS_H

#include "session/session.h"

/* INVALID, or NO_BACKEND: there is no write-watch of that name. */
enum savepoint_status
svp_settings_read(struct savepoint *session, const struct savepoint_options *options, struct savepoint_error *error);

#endif
