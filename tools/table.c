/* table.c - tables that fit the terminal */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "terminal.h"
#include "text.h"

enum { GAP = 2 };

bool table_wants_colour(const struct tool *tool)
{
    if (tool->colour != TOOL_COLOUR_AUTO) {
        return tool->colour == TOOL_COLOUR_ALWAYS;
    }
    const char *refused = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    bool dumb = terminal == NULL || strcmp(terminal, "dumb") == 0;
    return terminal_is(stdout) && !dumb && (refused == NULL || refused[0] == '\0');
}

void table_open(struct table *table, const struct tool *tool, const struct table_column *columns, size_t column_count)
{
    memset(table, 0, sizeof *table);
    table->columns = columns;
    table->column_count = column_count;
    table->width = terminal_columns();
    table->coloured = table_wants_colour(tool);
    table->cells = fail_alloc(TABLE_ROWS_HELD * column_count, sizeof *table->cells);
    for (size_t i = 0; i < column_count; i++) {
        table->natural[i] = text_columns(columns[i].title);
    }
}

/* How much wider than the terminal the table would be; *slack is what cutting cells can give. */
static int excess(const struct table *table, int *slack)
{
    int total = -GAP;
    *slack = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        int narrowest = table->columns[i].narrowest;
        if (table->fitted[i] < 0) {
            continue;
        }
        total += table->natural[i] + GAP;
        if (narrowest > 0 && table->natural[i] > narrowest) {
            *slack += table->natural[i] - narrowest;
        }
    }
    return total - table->width;
}

/* Leaves the least important column out; false when all that are left are needed. */
static bool drop_one(struct table *table)
{
    size_t victim = table->column_count;
    int rank = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        if (table->fitted[i] >= 0 && table->columns[i].dropped_rank > rank) {
            rank = table->columns[i].dropped_rank;
            victim = i;
        }
    }
    if (victim == table->column_count) {
        return false;
    }
    table->fitted[victim] = -1;
    return true;
}

/* Chooses the widths: drops columns while cutting cells is not enough, then cuts, the last column first. */
static void fit(struct table *table)
{
    int slack = 0;
    int over = 0;
    memcpy(table->fitted, table->natural, sizeof table->fitted);
    if (table->width == 0) {
        return;
    }
    do {
        over = excess(table, &slack);
    } while (over > slack && drop_one(table));
    for (size_t i = table->column_count; i-- > 0 && over > 0;) {
        int narrowest = table->columns[i].narrowest;
        if (table->fitted[i] < 0 || narrowest == 0 || table->fitted[i] <= narrowest) {
            continue;
        }
        int cut = table->fitted[i] - narrowest < over ? table->fitted[i] - narrowest : over;
        table->fitted[i] -= cut;
        over -= cut;
    }
}

static void pad(int columns)
{
    if (columns > 0) {
        printf("%*s", columns, "");
    }
}

static void print_cell(const struct table *table, const char *text, int width, enum table_style style)
{
    static const char *const codes[] = { "", "\x1b[33m", "\x1b[1;36m", "\x1b[2m" };
    bool coloured = table->coloured && style != TABLE_PLAIN;
    fputs(coloured ? codes[style] : "", stdout);
    text_print_cut(stdout, text, width);
    fputs(coloured ? "\x1b[0m" : "", stdout);
}

/* Blanks are printed only in front of a cell that shows something, so that no line ends with them. */
static void print_row(const struct table *table, const char *const *cells, bool title)
{
    int owed = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        int width = table->fitted[i];
        if (width < 0) {
            continue;
        }
        const char *text = cells[i] == NULL ? "" : cells[i];
        int shown = text_columns(text) < width ? text_columns(text) : width;
        int before = table->columns[i].right ? width - shown : 0;
        if (shown > 0) {
            pad(owed + before);
            print_cell(table, text, width, title ? TABLE_FAINT : table->columns[i].style);
            owed = width - before - shown + GAP;
        } else {
            owed += width + GAP;
        }
    }
    putchar('\n');
}

static void flush_rows(struct table *table)
{
    const char *titles[TABLE_COLUMNS_MAX];
    fit(table);
    for (size_t i = 0; i < table->column_count; i++) {
        titles[i] = table->columns[i].title;
    }
    if (!table->titled && table->row_count > 0) {
        print_row(table, titles, true);
        table->titled = true;
    }
    for (size_t row = 0; row < table->row_count; row++) {
        char **cells = table->cells + row * table->column_count;
        if (!ferror(stdout)) { /* nobody reads: each would wait again until it is interrupted */
            print_row(table, (const char *const *)cells, false);
        }
        for (size_t i = 0; i < table->column_count; i++) {
            free(cells[i]);
        }
    }
    table->row_count = 0;
}

void table_row(struct table *table, const char *const *cells)
{
    char **copies = table->cells + table->row_count * table->column_count;
    for (size_t i = 0; i < table->column_count; i++) {
        const char *text = cells[i] == NULL ? "" : cells[i];
        int columns = text_columns(text);
        size_t bytes = strlen(text) + 1;
        copies[i] = memcpy(fail_alloc(bytes, 1), text, bytes);
        table->natural[i] = columns > table->natural[i] ? columns : table->natural[i];
    }
    if (++table->row_count == TABLE_ROWS_HELD) {
        flush_rows(table);
    }
}

void table_close(struct table *table)
{
    flush_rows(table);
    free(table->cells);
    table->cells = NULL;
}
