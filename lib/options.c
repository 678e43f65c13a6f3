/* options.c - size-versioned option structures */
#include "options.h"

#include <string.h>

#include "status.h"

enum savepoint_status svp_options_copy(void *defaults, size_t known_bytes, const void *given, const char *operation,
                                       struct savepoint_error *error)
{
    size_t given_bytes = 0;
    if (given == NULL) {
        return SAVEPOINT_OK;
    }
    memcpy(&given_bytes, given, sizeof given_bytes);
    if (given_bytes < sizeof given_bytes) {
        return svp_status_fail(error, SAVEPOINT_INVALID, operation,
                               "the options' size field is %zu: initialise them with the _INIT macro", given_bytes);
    }
    for (size_t i = known_bytes; i < given_bytes; i++) {
        if (((const unsigned char *)given)[i] != 0) {
            return svp_status_fail(error, SAVEPOINT_UNSUPPORTED, operation,
                                   "the program uses options of a newer savepoint than this library");
        }
    }
    memcpy(defaults, given, given_bytes < known_bytes ? given_bytes : known_bytes);
    memcpy(defaults, &known_bytes, sizeof known_bytes);
    return SAVEPOINT_OK;
}
