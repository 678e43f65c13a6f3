/* retention.h - which snapshots a compaction keeps */
#ifndef SVP_RETENTION_H
#define SVP_RETENTION_H

#include "archive/lineage.h"
#include "savepoint.h"

/* Marks as kept what any rule of the options keeps: all that are not dropped where there is no rule. HEAD and what a
 * label or pin names are always kept. keep_bytes is no matter of this. */
void svp_retention_choose(struct svp_lineage *lineage, const struct savepoint_compact_options *options);

/* Snapshots kept that need not be; and unmarks the oldest `count` of them. */
size_t svp_retention_spare(const struct svp_lineage *lineage);
void svp_retention_drop_oldest(struct svp_lineage *lineage, size_t count);

#endif
