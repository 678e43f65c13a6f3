/* graph.h - draws the branches of a history beside its snapshots, newest first
 *
 * For each snapshot, children before parents: graph_before, the row with graph_row, graph_after. */
#ifndef TOOL_GRAPH_H
#define TOOL_GRAPH_H

#include <stddef.h>

#include "savepoint.h"

enum { GRAPH_LANES_DRAWN = 32, GRAPH_TEXT_BYTES = 2 * GRAPH_LANES_DRAWN + 2 };

struct graph {
    struct savepoint_id *lanes; /* each waits for this snapshot */
    size_t count, capacity;
    size_t at; /* lane of the snapshot in hand */
};

/* Prints one line that holds nothing but drawing. */
typedef void graph_print(void *user, const char *text);

void graph_open(struct graph *graph);
void graph_before(struct graph *graph, const struct savepoint_id *id, graph_print *print, void *user);
void graph_row(const struct graph *graph, char text[GRAPH_TEXT_BYTES]);
void graph_after(struct graph *graph, const struct savepoint_id *parent_or_null, graph_print *print, void *user);
void graph_close(struct graph *graph);

#endif
