/* table.h - tables that fit the terminal
 *
 * Rows are held back only until the widths of the columns can be chosen, then stream. */
#ifndef TOOL_TABLE_H
#define TOOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "verbs.h"

enum table_style { TABLE_PLAIN, TABLE_ID, TABLE_NAMES, TABLE_FAINT };

struct table_column {
    const char *title;
    bool right;       /* numbers stand on the right */
    int narrowest;    /* may be cut to this many columns; 0: never cut */
    int dropped_rank; /* where there is no room the highest rank goes first; 0: never */
    enum table_style style;
};

enum { TABLE_COLUMNS_MAX = 10, TABLE_ROWS_HELD = 128 };

struct table {
    const struct table_column *columns;
    size_t column_count;
    int width; /* of the terminal; 0: no limit */
    bool coloured;
    bool titled;
    char **cells; /* rows held back: column_count each */
    size_t row_count;
    int natural[TABLE_COLUMNS_MAX]; /* widest text of each column so far */
    int fitted[TABLE_COLUMNS_MAX];  /* columns used; -1: left out */
};

/* Colours are wanted on the standard output: asked for, or it is a terminal that takes them. */
bool table_wants_colour(const struct tool *tool);

void table_open(struct table *table, const struct tool *tool, const struct table_column *columns, size_t column_count);

/* `cells` are copied; they must be escaped already. NULL stands for an empty cell. */
void table_row(struct table *table, const char *const *cells);

/* Prints what is held back. Nothing at all is printed for a table without rows. */
void table_close(struct table *table);

#endif
