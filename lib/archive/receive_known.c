/* receive_known.c - what the archive holds already, by id and by sequence: asked for with each snapshot of a stream */
#include <stdlib.h>
#include <string.h>

#include "archive/receive.h"
#include "format/memory.h"

struct svp_receive_sequence {
    uint64_t sequence;
    bool here; /* false: its bytes are gone */
};

/* Of the same id, the older ones first. */
static int order_ids(const void *left, const void *right)
{
    const struct svp_line *a = *(struct svp_line *const *)left;
    const struct svp_line *b = *(struct svp_line *const *)right;
    int order = memcmp(a->id.bytes, b->id.bytes, sizeof a->id.bytes);
    return order != 0 ? order : (a->offset > b->offset) - (a->offset < b->offset);
}

static int order_sequences(const void *left, const void *right)
{
    const struct svp_receive_sequence *a = left;
    const struct svp_receive_sequence *b = right;
    int order = (a->sequence > b->sequence) - (a->sequence < b->sequence);
    return order != 0 ? order : a->here - b->here;
}

bool svp_receive_know(struct svp_receive *receive, const struct svp_tombstone *gone, size_t gone_count)
{
    const struct svp_lineage *here = &receive->here;
    const size_t count = here->count + gone_count;
    receive->by_id = svp_memory_alloc((here->count + 1) * sizeof(struct svp_line *));
    receive->sequences = svp_memory_alloc((count + 1) * sizeof *receive->sequences);
    if (receive->by_id == NULL || receive->sequences == NULL) {
        return false;
    }
    for (size_t i = 0; i < here->count; i++) {
        receive->by_id[i] = &here->lines[i];
        receive->sequences[i] = (struct svp_receive_sequence){ here->lines[i].sequence, true };
    }
    for (size_t i = 0; i < gone_count; i++) {
        receive->sequences[here->count + i] = (struct svp_receive_sequence){ gone[i].sequence, false };
    }
    receive->sequence_count = count;
    qsort(receive->by_id, here->count, sizeof(struct svp_line *), order_ids);
    qsort(receive->sequences, count, sizeof *receive->sequences, order_sequences);
    return true;
}

void svp_receive_unknow(struct svp_receive *receive)
{
    svp_memory_free(receive->by_id);
    svp_memory_free(receive->sequences);
}

struct svp_line *svp_receive_find(const struct svp_receive *receive, const struct svp_hash *id)
{
    size_t low = 0; /* of those behind the id */
    for (size_t high = receive->here.count; low < high;) {
        size_t middle = low + (high - low) / 2;
        bool behind = memcmp(receive->by_id[middle]->id.bytes, id->bytes, sizeof id->bytes) > 0;
        high = behind ? middle : high;
        low = behind ? low : middle + 1;
    }
    bool found = low > 0 && memcmp(receive->by_id[low - 1]->id.bytes, id->bytes, sizeof id->bytes) == 0;
    return found ? receive->by_id[low - 1] : NULL;
}

enum svp_receive_place svp_receive_where(const struct svp_receive *receive, uint64_t sequence)
{
    size_t low = 0;
    for (size_t high = receive->sequence_count; low < high;) {
        size_t middle = low + (high - low) / 2;
        bool before = receive->sequences[middle].sequence < sequence;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    if (low == receive->sequence_count || receive->sequences[low].sequence != sequence) {
        return SVP_RECEIVE_NOWHERE;
    }
    return receive->sequences[low].here ? SVP_RECEIVE_HERE : SVP_RECEIVE_GONE;
}
