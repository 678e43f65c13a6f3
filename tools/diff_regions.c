/* diff_regions.c - what differences come to: counts for each region, sums over all */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "diff.h"
#include "json.h"
#include "table.h"
#include "text.h"

enum { BAR_COLUMNS = 24 };

static bool differs(const struct diff_region *region)
{
    return region->pages_changed > 0 || region->left_bytes != region->right_bytes;
}

/* ---- --stat */

static const char *size_change(char out[TEXT_SHORT_BYTES], const struct diff_region *region)
{
    char size[TEXT_SHORT_BYTES];
    bool more = region->right_bytes > region->left_bytes;
    uint64_t bytes = more ? region->right_bytes - region->left_bytes : region->left_bytes - region->right_bytes;
    const char *word = region->left_bytes == 0 ? "new " : region->right_bytes == 0 ? "gone " : more ? "+" : "-";
    if (bytes == 0) {
        return "";
    }
    snprintf(out, TEXT_SHORT_BYTES, "%.5s%.30s", word, text_size(size, bytes));
    return out;
}

/* As long as the region has changed pages, compared with the others; '#' for the part of their bytes that changed. */
static const char *bar(char out[BAR_COLUMNS + 1], const struct diff_region *region, uint64_t pages_most)
{
    if (region->pages_changed == 0) {
        return "";
    }
    double length = (double)region->pages_changed / (double)pages_most * BAR_COLUMNS;
    double full = (double)region->changed_bytes / ((double)region->pages_changed * DIFF_PAGE_BYTES) * length;
    size_t columns = length < 1 ? 1 : (size_t)length;
    size_t filled = full < 1 ? 1 : (size_t)full;
    memset(out, '.', columns);
    memset(out, '#', filled);
    out[columns] = '\0';
    return out;
}

static void print_stat_row(struct table *table, const struct diff_region *region, uint64_t pages_most)
{
    char name[TEXT_ESCAPED_BYTES], pages[TEXT_SHORT_BYTES] = "", bytes[TEXT_SHORT_BYTES] = "",
                                   ratio[TEXT_SHORT_BYTES] = "", size[TEXT_SHORT_BYTES], drawn[BAR_COLUMNS + 1];
    if (region->pages_changed > 0) {
        double amplification =
            (double)region->pages_changed * DIFF_PAGE_BYTES / (double)region->changed_bytes; /* 1 to 4096 */
        snprintf(pages, sizeof pages, "%" PRIu64, region->pages_changed);
        snprintf(bytes, sizeof bytes, "%" PRIu64, region->changed_bytes);
        snprintf(ratio, sizeof ratio, amplification < 99.95 ? "%.1fx" : "%.0fx", amplification);
    }
    const char *cells[] = { text_escape(name, region->name), pages, bytes, ratio, size_change(size, region),
                            bar(drawn, region, pages_most) };
    table_row(table, cells);
}

static void print_stat(const struct diff *diff)
{
    static const struct table_column columns[] = {
        { "REGION", false, 8, 0, TABLE_ID }, { "PAGES", true, 0, 0, TABLE_PLAIN }, { "BYTES", true, 0, 0, TABLE_PLAIN },
        { "AMPL", true, 0, 1, TABLE_PLAIN }, { "SIZE", true, 0, 2, TABLE_PLAIN },  { "", false, 0, 3, TABLE_NAMES },
    };
    struct table table;
    uint64_t pages_most = 0;
    for (size_t i = 0; i < diff->region_count; i++) {
        pages_most = diff->regions[i].pages_changed > pages_most ? diff->regions[i].pages_changed : pages_most;
    }
    table_open(&table, diff->tool, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < diff->region_count; i++) {
        if (differs(&diff->regions[i])) {
            print_stat_row(&table, &diff->regions[i], pages_most);
        }
    }
    table_close(&table);
}

/* ---- --regions */

static const char *change_word(const struct diff_region *region)
{
    if (region->left_bytes == 0) {
        return "new";
    }
    if (region->right_bytes == 0) {
        return "gone";
    }
    if (region->left_bytes == region->right_bytes) {
        return "changed";
    }
    return region->left_bytes < region->right_bytes ? "grown" : "shrunk";
}

static void print_words(const struct diff *diff)
{
    static const struct table_column columns[] = {
        { "CHANGE", false, 0, 0, TABLE_PLAIN },
        { "REGION", false, 8, 0, TABLE_ID },
        { "SIZE", false, 0, 1, TABLE_PLAIN },
    };
    struct table table;
    table_open(&table, diff->tool, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < diff->region_count; i++) {
        const struct diff_region *region = &diff->regions[i];
        char name[TEXT_ESCAPED_BYTES], left[TEXT_SHORT_BYTES], right[TEXT_SHORT_BYTES], sizes[2 * TEXT_SHORT_BYTES + 8];
        bool resized = region->left_bytes > 0 && region->right_bytes > 0 && region->left_bytes != region->right_bytes;
        text_size(left, region->left_bytes);
        text_size(right, region->right_bytes);
        snprintf(sizes, sizeof sizes, "%s%s%s", region->left_bytes > 0 ? left : right, resized ? " -> " : "",
                 resized ? right : "");
        const char *cells[] = { change_word(region), text_escape(name, region->name), sizes };
        if (differs(region)) {
            table_row(&table, cells);
        }
    }
    table_close(&table);
}

/* ---- JSON */

static void json_bytes(struct json *json, const char *key, uint64_t bytes)
{
    if (bytes == 0) {
        json_null(json, key);
    } else {
        json_number(json, key, bytes);
    }
}

static void json_region(const struct diff_region *region)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "type", "region");
    json_text(&json, "region", region->name);
    json_text(&json, "change", change_word(region));
    json_bytes(&json, "left_bytes", region->left_bytes);
    json_bytes(&json, "right_bytes", region->right_bytes);
    json_number(&json, "pages_changed", region->pages_changed);
    json_number(&json, "changed_bytes", region->changed_bytes);
    json_end_line(&json);
}

static void json_summary(const struct diff *diff, const struct savepoint_diff_result *result, bool equal)
{
    struct json json = { stdout, false };
    json_open_object(&json, NULL);
    json_text(&json, "type", "summary");
    json_id(&json, "left", &diff->left.id);
    json_id(&json, "right", &diff->right.id);
    json_bool(&json, "equal", equal);
    json_number(&json, "regions_changed", result->regions_changed);
    json_number(&json, "regions_only_left", result->regions_only_left);
    json_number(&json, "regions_only_right", result->regions_only_right);
    json_number(&json, "pages_changed", result->pages_changed);
    json_number(&json, "pages_only_left", result->pages_only_left);
    json_number(&json, "pages_only_right", result->pages_only_right);
    json_number(&json, "changed_bytes", result->changed_bytes);
    json_end_line(&json);
}

void diff_regions_print(const struct diff *diff)
{
    for (size_t i = 0; diff->json && i < diff->region_count; i++) {
        if (differs(&diff->regions[i])) {
            json_region(&diff->regions[i]);
        }
    }
    if (diff->json) {
        return;
    }
    if (diff->mode == DIFF_STAT) {
        print_stat(diff);
    } else {
        print_words(diff);
    }
}

/* "gone     16 pages (1 region)" */
static void print_only(const char *word, uint64_t pages, uint64_t regions)
{
    if (pages > 0) {
        printf("%-7s  %" PRIu64 " page%s", word, pages, pages == 1 ? "" : "s");
    }
    if (regions > 0) {
        printf(" (%" PRIu64 " region%s)", regions, regions == 1 ? "" : "s");
    }
    fputs(pages > 0 ? "\n" : "", stdout);
}

void diff_summary_print(const struct diff *diff, const struct savepoint_diff_result *result)
{
    bool equal = result->pages_changed + result->pages_only_left + result->pages_only_right == 0;
    if (diff->json) {
        json_summary(diff, result, equal);
        return;
    }
    if (result->pages_changed > 0) {
        printf("%-7s  %" PRIu64 " byte%s on %" PRIu64 " page%s\n", "changed", result->changed_bytes,
               result->changed_bytes == 1 ? "" : "s", result->pages_changed, result->pages_changed == 1 ? "" : "s");
    }
    print_only("gone", result->pages_only_left, result->regions_only_left);
    print_only("new", result->pages_only_right, result->regions_only_right);
}
