/* graph.c - draws the branches of a history beside its snapshots, newest first */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

#include "fail.h"

void graph_open(struct graph *graph)
{
    *graph = (struct graph){ NULL, 0, 0, 0 };
}

void graph_close(struct graph *graph)
{
    free(graph->lanes);
    graph->lanes = NULL;
}

/* Lane i stands at column 2 * i; what would stand beyond the lanes drawn is left out. */
static void put(char text[GRAPH_TEXT_BYTES], size_t column, char mark)
{
    if (column < 2 * GRAPH_LANES_DRAWN) {
        text[column] = mark;
    }
}

static void trim(char text[GRAPH_TEXT_BYTES])
{
    size_t length = GRAPH_TEXT_BYTES - 1;
    while (length > 0 && text[length - 1] == ' ') {
        length--;
    }
    text[length] = '\0';
}

static void blank(char text[GRAPH_TEXT_BYTES])
{
    memset(text, ' ', GRAPH_TEXT_BYTES);
}

/* Lane `from` leaves its place for lane `to` (or ends, where they are equal), and those behind it move up. */
static void close_lane(struct graph *graph, size_t from, size_t to, graph_print *print, void *user)
{
    char text[GRAPH_TEXT_BYTES];
    blank(text);
    for (size_t lane = 0; lane < from; lane++) {
        put(text, 2 * lane, '|');
        if (lane >= to && lane + 1 < from) {
            put(text, 2 * lane + 1, '_');
        }
    }
    for (size_t lane = from == to ? from + 1 : from; lane < graph->count; lane++) {
        put(text, 2 * lane - 1, '/');
    }
    memmove(graph->lanes + from, graph->lanes + from + 1, (graph->count - from - 1) * sizeof *graph->lanes);
    graph->count--;
    trim(text);
    if (text[0] != '\0' && (from != to || from < graph->count)) {
        print(user, text);
    }
}

static void add_lane(struct graph *graph, const struct savepoint_id *id)
{
    if (graph->count == graph->capacity) {
        graph->capacity = graph->capacity == 0 ? 16 : graph->capacity * 2;
        graph->lanes = fail_resize(graph->lanes, graph->capacity, sizeof *graph->lanes);
    }
    graph->lanes[graph->count++] = *id;
}

void graph_before(struct graph *graph, const struct savepoint_id *id, graph_print *print, void *user)
{
    graph->at = 0;
    while (graph->at < graph->count && memcmp(&graph->lanes[graph->at], id, sizeof *id) != 0) {
        graph->at++;
    }
    if (graph->at == graph->count) {
        add_lane(graph, id);
        return;
    }
    for (size_t lane = graph->count; lane-- > graph->at + 1;) {
        if (memcmp(&graph->lanes[lane], id, sizeof *id) == 0) {
            close_lane(graph, lane, graph->at, print, user);
        }
    }
}

void graph_row(const struct graph *graph, char text[GRAPH_TEXT_BYTES])
{
    blank(text);
    for (size_t lane = 0; lane < graph->count; lane++) {
        put(text, 2 * lane, lane == graph->at ? '*' : '|');
    }
    trim(text);
}

void graph_after(struct graph *graph, const struct savepoint_id *parent_or_null, graph_print *print, void *user)
{
    if (parent_or_null == NULL) {
        close_lane(graph, graph->at, graph->at, print, user);
    } else {
        graph->lanes[graph->at] = *parent_or_null;
    }
}
