/* findings.c - which findings a verification has told already */
#include "archive/findings.h"

#include <string.h>

#include "format/digest.h"

struct told {
    uint64_t file_offset;
    uint64_t message; /* its hash */
};

static bool before(const struct told *left, const struct told *right)
{
    return left->file_offset < right->file_offset ||
           (left->file_offset == right->file_offset && left->message < right->message);
}

/* Mostly in the order of the file: there is then nothing to move. */
bool svp_findings_add(struct svp_findings *findings, const struct savepoint_error *finding)
{
    const struct told told = { finding->file_offset,
                               svp_digest64(0, (const uint8_t *)finding->message, strlen(finding->message)) };
    struct svp_buffer *buffer = &findings->told;
    size_t place = 0;
    size_t high = buffer->count / sizeof told;
    while (place < high) {
        size_t middle = place + (high - place) / 2;
        struct told there;
        memcpy(&there, buffer->bytes + middle * sizeof there, sizeof there);
        if (before(&there, &told)) {
            place = middle + 1;
        } else if (before(&told, &there)) {
            high = middle;
        } else {
            return false;
        }
    }
    svp_buffer_add(buffer, &told, sizeof told);
    if (!buffer->failed) {
        uint8_t *at = buffer->bytes + place * sizeof told;
        memmove(at + sizeof told, at, buffer->count - (place + 1) * sizeof told);
        memcpy(at, &told, sizeof told);
    }
    return true;
}

void svp_findings_close(struct svp_findings *findings)
{
    svp_buffer_free(&findings->told);
}
