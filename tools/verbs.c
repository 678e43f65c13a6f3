/* verbs.c - the table of verbs */
#include "verbs.h"

#include <string.h>

#define ROW(name) &verb_##name,
static const struct verb *const verbs[] = { TOOL_VERBS(ROW) };
#undef ROW

const struct verb *verbs_at(size_t index)
{
    return index < sizeof verbs / sizeof verbs[0] ? verbs[index] : NULL;
}

const struct verb *verbs_find(const char *name)
{
    const struct verb *verb = NULL;
    for (size_t i = 0; (verb = verbs_at(i)) != NULL; i++) {
        if (strcmp(verb->name, name) == 0) {
            return verb;
        }
    }
    return NULL;
}
