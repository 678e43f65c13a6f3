/* status.h - filling in struct savepoint_error */
#ifndef SVP_STATUS_H
#define SVP_STATUS_H

#include <stdint.h>

#include "savepoint.h"

#define SVP_NO_OFFSET UINT64_MAX

#if defined(__GNUC__)
#define SVP_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define SVP_PRINTF(format_index, first_index)
#endif

/* Each fills *error (when not NULL) and returns `status`, so that a failure is one statement:
 *     return svp_status_fail(error, SAVEPOINT_INVALID, "watch", "region '%s': ...", name);
 * `operation` is a static string; the message says what, where and what to do. */
enum savepoint_status svp_status_fail(struct savepoint_error *error, enum savepoint_status status,
                                      const char *operation, const char *format, ...) SVP_PRINTF(4, 5);

/* A system call failed with `os_code`: the status is NO_SPACE for ENOSPC/EDQUOT, NO_MEMORY for ENOMEM, else IO. */
enum savepoint_status svp_status_os(struct savepoint_error *error, int os_code, const char *operation,
                                    const char *format, ...) SVP_PRINTF(4, 5);

/* Why a write failed with `os_code`, and what to do: a part of a message. */
const char *svp_status_of_write(int os_code);

/* Something is wrong at `file_offset` of an archive. */
enum savepoint_status svp_status_at(struct savepoint_error *error, enum savepoint_status status, uint64_t file_offset,
                                    const char *operation, const char *format, ...) SVP_PRINTF(5, 6);

#endif
