/* status.c - status names and error texts */
#include "status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef EDQUOT /* no POSIX: a full quota is a full disk there */
#define EDQUOT ENOSPC
#endif

static const char *const names[] = {
    "SAVEPOINT_OK",          "SAVEPOINT_EMPTY",       "SAVEPOINT_INVALID",       "SAVEPOINT_NO_MEMORY",
    "SAVEPOINT_IO",          "SAVEPOINT_NO_SPACE",    "SAVEPOINT_LOCKED",        "SAVEPOINT_NOT_AN_ARCHIVE",
    "SAVEPOINT_UNSUPPORTED", "SAVEPOINT_CORRUPT",     "SAVEPOINT_NOT_FOUND",     "SAVEPOINT_AMBIGUOUS",
    "SAVEPOINT_EXISTS",      "SAVEPOINT_OVERLAP",     "SAVEPOINT_ADDRESS_TAKEN", "SAVEPOINT_BAD_MEMORY",
    "SAVEPOINT_MISMATCH",    "SAVEPOINT_NOT_RESUMED", "SAVEPOINT_BUSY",          "SAVEPOINT_POISONED",
    "SAVEPOINT_FORKED",      "SAVEPOINT_NO_BACKEND",  "SAVEPOINT_LIMIT",         "SAVEPOINT_CANCELLED",
    "SAVEPOINT_UNCERTAIN",   "SAVEPOINT_TRUNCATED",
};

const char *savepoint_status_name(enum savepoint_status status)
{
    int index = -(int)status;
    if (index < 0 || (size_t)index >= sizeof names / sizeof names[0]) {
        return "SAVEPOINT_UNKNOWN";
    }
    return names[index];
}

size_t savepoint_error_format(const struct savepoint_error *error, char *text, size_t text_bytes)
{
    char system_text[160] = "";
    char offset_text[48] = "";
    if (error->os_code != 0) {
        snprintf(system_text, sizeof system_text, " (%s)", strerror(error->os_code));
    }
    if (error->file_offset != SVP_NO_OFFSET) {
        snprintf(offset_text, sizeof offset_text, " (at offset %" PRIu64 ")", error->file_offset);
    }
    int needed = snprintf(text, text_bytes, "%s: %s%s%s", savepoint_status_name(error->status), error->message,
                          system_text, offset_text);
    return needed < 0 ? 0 : (size_t)needed;
}

SVP_PRINTF(6, 0)
static enum savepoint_status fill(struct savepoint_error *error, enum savepoint_status status, int os_code,
                                  uint64_t file_offset, const char *operation, const char *format, va_list arguments)
{
    if (error != NULL) {
        error->status = status;
        error->os_code = os_code;
        error->file_offset = file_offset;
        error->operation = operation;
        vsnprintf(error->message, sizeof error->message, format, arguments);
        for (char *at = error->message; *at != '\0'; at++) {
            *at = (unsigned char)*at < 0x20 || *at == 0x7f ? '?' : *at; /* names may come from a foreign file */
        }
    }
    return status;
}

enum savepoint_status svp_status_fail(struct savepoint_error *error, enum savepoint_status status,
                                      const char *operation, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, 0, SVP_NO_OFFSET, operation, format, arguments);
    va_end(arguments);
    return status;
}

static enum savepoint_status status_of_os_code(int os_code)
{
    if (os_code == ENOSPC || os_code == EDQUOT || os_code == EFBIG) {
        return SAVEPOINT_NO_SPACE;
    }
    return os_code == ENOMEM ? SAVEPOINT_NO_MEMORY : SAVEPOINT_IO;
}

const char *svp_status_of_write(int os_code)
{
    return os_code == ENOSPC   ? "no space left on device: make room"
           : os_code == EDQUOT ? "the disk quota is used up: make room"
           : os_code == EFBIG  ? "the file would grow beyond a limit (ulimit -f, or the file system's): raise it"
                               : "cannot write: look at the disk";
}

enum savepoint_status
svp_status_os(struct savepoint_error *error, int os_code, const char *operation, const char *format, ...)
{
    enum savepoint_status status = status_of_os_code(os_code);
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, os_code, SVP_NO_OFFSET, operation, format, arguments);
    va_end(arguments);
    return status;
}

enum savepoint_status svp_status_at(struct savepoint_error *error, enum savepoint_status status, uint64_t file_offset,
                                    const char *operation, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, 0, file_offset, operation, format, arguments);
    va_end(arguments);
    return status;
}
