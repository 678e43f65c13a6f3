/* backend.h - a write-watch as the tool tells of it */
#ifndef BACKEND_H
#define BACKEND_H

#include "json.h"
#include "savepoint.h"
#include "text.h"

struct backend_cells { /* of a table */
    char name[TEXT_ESCAPED_BYTES];
    char unit[TEXT_SHORT_BYTES]; /* "" where it does not work; so is system_calls */
    const char *works, *system_calls;
};
void backend_describe(struct backend_cells *cells, const struct savepoint_backend *backend);

/* Its members, into an object that is open. */
void backend_json(struct json *json, const struct savepoint_backend *backend);

#endif
