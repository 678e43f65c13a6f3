/* options.h - size-versioned option structures */
#ifndef SVP_OPTIONS_H
#define SVP_OPTIONS_H

#include <stddef.h>

#include "savepoint.h"

/* Copies the caller's options (a structure that begins with its size; NULL: all defaults) over `defaults`. A smaller
 * one is an older caller's; a larger one is refused unless what this library does not know is zero. */
enum savepoint_status svp_options_copy(void *defaults, size_t known_bytes, const void *given, const char *operation,
                                       struct savepoint_error *error);

#endif
