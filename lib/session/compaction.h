/* compaction.h - the session's own archive, compacted in the background
 *
 * A compaction stands in the queue of takes, with a ticket of its own. The encoder runs it once everything before it is
 * written; so nothing is written meanwhile, and takes behind it wait, staged. Where it ends well the session stands on
 * the new file: the same history, at other offsets. Where it does not the session has not noticed. */
#ifndef SVP_COMPACTION_H
#define SVP_COMPACTION_H

#include "archive/compact.h"
#include "session/session.h"

struct svp_compaction_part { /* of one region, what is to be known of its pages in the new file */
    struct svp_region *region;
    struct svp_page_state *states;
};

struct svp_compaction {
    struct savepoint *session;
    struct svp_take *take;
    bool automatic;
    struct savepoint_compact_options options; /* as given */
    struct svp_compact call;
    struct svp_file left; /* the old file, once the session has left it */

    /* the new file, as the session will know it */
    size_t part_count;
    struct svp_compaction_part *parts;
    struct svp_catalog catalog;
    struct svp_history history;
};

/* When the archive is opened: where it is, and about how much of it is dropped. */
enum savepoint_status svp_compaction_open(struct savepoint *session, const char *path, struct savepoint_error *error);

/* Caller: puts one into the queue, with checked options. `automatic`: the next tick tells of its failure. */
enum savepoint_status
svp_compaction_begin(struct savepoint *session, uint64_t *ticket, const struct savepoint_compact_options *options,
                     bool automatic, struct savepoint_error *error);
/* Encoder: from the moment that it is the next in the queue to its end. */
void svp_compaction_run(struct savepoint *session, struct svp_take *take);
void svp_compaction_free(struct svp_compaction *compaction); /* NULL does nothing */

/* With the mutex held: it has ended. */
void svp_compaction_note(struct savepoint *session, const struct svp_take *take);
/* With the mutex held: a take was committed; the archive has grown by so much. */
void svp_compaction_grown(struct savepoint *session, uint64_t bytes);
/* With the mutex held: it would be worth while. `capped`: nothing else can be done for autosaves to go on. */
bool svp_compaction_is_due(const struct savepoint *session, bool capped);

#endif
