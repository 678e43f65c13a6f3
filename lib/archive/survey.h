/* survey.h - where a file's snapshots, indexes, references and tombstones stand, found without following a chain */
#ifndef SVP_SURVEY_H
#define SVP_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/source.h"

/* Each COMMIT, REF and TOMBSTONE names the one before it, a COMMIT its INDEX and REGIONS: where one is damaged, what it
 * led to is found by this. */
struct svp_survey {
    bool done;
    size_t count, capacity;
    struct svp_survey_entry *entries; /* in file order */
};

void svp_survey_close(struct svp_survey *survey);

/* *offset becomes that of the last record of `type` before `before` whose header is whole; 0 when there is none. The
 * first call reads the headers of the whole file. IO, NO_MEMORY. */
enum savepoint_status svp_survey_before(struct svp_survey *survey, const struct svp_source *source, uint64_t *offset,
                                        unsigned type, uint64_t before, struct savepoint_error *error);

#endif
