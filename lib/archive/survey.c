/* survey.c - where a file's snapshots, indexes, region tables, references and tombstones stand, found without following
 * a chain */
#include "archive/survey.h"

#include "archive/scan.h"
#include "format/memory.h"
#include "status.h"

struct svp_survey_entry {
    uint64_t offset;
    unsigned type;
};

void svp_survey_close(struct svp_survey *survey)
{
    svp_memory_free(survey->entries);
    *survey = (struct svp_survey){ 0 };
}

static bool note(struct svp_survey *survey, const struct svp_record *record)
{
    if (record->type != SVP_COMMIT && record->type != SVP_INDEX && record->type != SVP_REF &&
        record->type != SVP_TOMBSTONE && record->type != SVP_REGIONS) {
        return true;
    }
    if (survey->count == survey->capacity) {
        size_t capacity = survey->capacity == 0 ? 64 : 2 * survey->capacity;
        void *grown = svp_memory_resize(survey->entries, capacity, sizeof *survey->entries);
        if (grown == NULL) {
            return false;
        }
        survey->entries = grown;
        survey->capacity = capacity;
    }
    survey->entries[survey->count++] = (struct svp_survey_entry){ record->offset, record->type };
    return true;
}

/* From header to header, and where one is damaged to the next that is not. */
static enum savepoint_status
read_headers(struct svp_survey *survey, const struct svp_source *source, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    for (uint64_t at = 0; status == SAVEPOINT_OK && at < source->limit;) {
        struct svp_record record;
        bool found = true;
        status = svp_source_header(source, &record, at, error);
        if (status == SAVEPOINT_CORRUPT) {
            status = svp_scan_header(source, &found, &record, at + 8, source->limit, error);
        }
        if (status != SAVEPOINT_OK || !found) {
            break;
        }
        if (!note(survey, &record)) {
            status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "find", "%s: no memory", source->path);
        }
        at = record.offset + svp_record_bytes(&record);
    }
    survey->done = status == SAVEPOINT_OK;
    return status;
}

enum savepoint_status svp_survey_before(struct svp_survey *survey, const struct svp_source *source, uint64_t *offset,
                                        unsigned type, uint64_t before, struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    if (!survey->done) {
        survey->count = 0; /* an earlier try may have failed half way */
        status = read_headers(survey, source, error);
    }
    size_t first = 0; /* of the entries that are not before */
    for (size_t end = survey->count; first < end;) {
        size_t middle = first + (end - first) / 2;
        first = survey->entries[middle].offset < before ? middle + 1 : first;
        end = survey->entries[middle].offset < before ? end : middle;
    }
    while (first > 0 && survey->entries[first - 1].type != type) {
        first--;
    }
    *offset = status == SAVEPOINT_OK && first > 0 ? survey->entries[first - 1].offset : 0;
    return status;
}
