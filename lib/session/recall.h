/* recall.h - pages that the shadow does not hold, and how it gets them when they are needed
 *
 * A page restored into new memory is decoded in its place and not copied to the shadow: two new memories take about
 * twice as long to fill as one. It is `absent` there until it is captured. */
#ifndef SVP_RECALL_H
#define SVP_RECALL_H

#include "session/session.h"

/* While no take is in flight: from now on pages stored by now can be recalled. */
enum savepoint_status svp_recall_open(struct savepoint *session, struct savepoint_error *error);
void svp_recall_close(struct svp_recall *recall);

/* Encoder, before a take is encoded: brings to the shadow what it captured, and neighbours of that. Pages that could
 * not be read stay absent. */
void svp_recall_captured(struct savepoint *session, const struct svp_take *take);
/* Encoder: a last attempt with those among the chunk's pages; where it fails they have no base. None is absent then. */
void svp_recall_chunk(struct savepoint *session, struct svp_chunk *chunk);
/* Encoder: brings the page to the shadow as it was last stored; it stays marked absent. False: it could not be read,
 * and the shadow's page may be anything. */
bool svp_recall_from_archive(struct savepoint *session, struct svp_region *region, uint64_t page);
/* Encoder: the page is not absent any more. */
void svp_recall_settle(struct savepoint *session, struct svp_region *region, uint64_t page);
/* Encoder, after a take: gives up what was read for it. */
void svp_recall_forget(struct svp_recall *recall);

/* While no take is in flight and nobody writes to the region, `pending` telling what was written: brings the page to
 * the shadow if its memory still holds what was last stored. False: it does not, the shadow's page is anything. */
bool svp_recall_from_memory(struct svp_region *region, uint64_t page);

#endif
