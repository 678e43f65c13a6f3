/* heat.c - which pages of which regions were written when, counted on a grid of fixed size */
#include "heat.h"

#include <stdlib.h>
#include <string.h>

#include "fail.h"

enum { OWN_ROWS = HEAT_ROWS - 1, LATE_COUNTERS = 64 };

void heat_open(struct heat *heat)
{
    memset(heat, 0, sizeof *heat);
}

void heat_close(struct heat *heat)
{
    for (size_t i = 0; i < heat->region_count; i++) {
        free(heat->regions[i].counters);
    }
    free(heat->regions);
    free(heat->cells);
    heat_open(heat);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How many blocks of `size` hold `count` things. */
static uint64_t blocks(uint64_t count, uint64_t size)
{
    return count == 0 ? 0 : (count - 1) / size + 1;
}

/* The place of a region, or where it would have to be inserted. */
static size_t find(const struct heat *heat, uint32_t id)
{
    size_t low = 0;
    size_t high = heat->region_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (heat->regions[middle].region.id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct heat *heat, size_t place, uint32_t id)
{
    return place < heat->region_count && heat->regions[place].region.id == id;
}

static void give_counters(struct heat_region *region, uint64_t counter_pages)
{
    region->counter_pages = counter_pages;
    region->counter_count = blocks(region->pages, counter_pages);
    size_t count = (size_t)region->counter_count;
    region->counters = fail_alloc(count + 1, sizeof *region->counters);
    memset(region->counters, 0, count * sizeof *region->counters);
}

static void insert(struct heat *heat, size_t place, const struct savepoint_region *region, size_t age)
{
    if (heat->region_count == heat->region_capacity) {
        heat->region_capacity = heat->region_capacity == 0 ? 8 : heat->region_capacity * 2;
        heat->regions = fail_resize(heat->regions, heat->region_capacity, sizeof *heat->regions);
    }
    memmove(heat->regions + place + 1, heat->regions + place, (heat->region_count - place) * sizeof *heat->regions);
    heat->region_count++;
    heat->regions[place] = (struct heat_region){ .region = *region, .first_age = age, .last_age = age };
}

void heat_survey(struct heat *heat, const struct savepoint_region *regions, size_t count, size_t age)
{
    bool laid_out = heat->cells != NULL;
    for (size_t i = 0; i < heat->region_count && !laid_out; i++) {
        struct heat_region *known = &heat->regions[i];
        known->last_age = known->present ? age - 1 : known->last_age;
        known->present = false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t place = find(heat, regions[i].id);
        if (!is_at(heat, place, regions[i].id)) {
            insert(heat, place, &regions[i], age);
        }
        struct heat_region *region = &heat->regions[place];
        uint64_t pages = regions[i].bytes / HEAT_PAGE_BYTES;
        region->pages = pages > region->pages ? pages : region->pages;
        region->present = true;
        region->last_age = age > region->last_age ? age : region->last_age;
        if (laid_out && region->counter_count == 0 && region->pages > 0) {
            free(region->counters);
            give_counters(region, blocks(region->pages, LATE_COUNTERS));
        }
    }
}

/* Rows go by the square of the number of bits of the page count: a large region gets more than a small one, and a
 * small one can still be made out beside it. */
static uint64_t weight_of(const struct heat_region *region)
{
    uint64_t bits = 0;
    for (uint64_t pages = region->pages; pages > 0; pages >>= 1) {
        bits++;
    }
    return bits * bits;
}

static int by_pages(const void *left, const void *right)
{
    const struct heat_region *a = *(struct heat_region *const *)left;
    const struct heat_region *b = *(struct heat_region *const *)right;
    if (a->pages != b->pages) {
        return a->pages < b->pages ? -1 : 1;
    }
    return a->region.id < b->region.id ? -1 : 1;
}

/* The next one: rows of a round size are easier to find again. */
static uint64_t power_of_two(uint64_t number)
{
    uint64_t power = 1;
    while (power < number) {
        power <<= 1;
    }
    return power;
}

/* The smallest first, so that what they do not need is left for the larger ones; where there are too many regions, the
 * smallest get no rows. */
static void share_rows(struct heat *heat)
{
    size_t count = heat->region_count;
    struct heat_region **sorted = fail_alloc(count + 1, sizeof *sorted);
    uint64_t weight = 0;
    uint64_t rows_left = OWN_ROWS;
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &heat->regions[i];
    }
    qsort(sorted, count, sizeof *sorted, by_pages);
    size_t first = count > HEAT_REGIONS ? count - HEAT_REGIONS : 0;
    for (size_t i = first; i < count; i++) {
        weight += weight_of(sorted[i]);
    }
    for (size_t i = first; i < count; i++) {
        struct heat_region *region = sorted[i];
        if (region->pages == 0) {
            continue;
        }
        uint64_t share = rows_left * weight_of(region) / weight;
        region->row_pages = power_of_two(blocks(region->pages, share == 0 ? 1 : share));
        region->row_count = (size_t)blocks(region->pages, region->row_pages);
        weight -= weight_of(region);
        rows_left -= region->row_count;
    }
    free(sorted);
}

static void place_rows(struct heat *heat)
{
    const struct heat_region **order = heat_by_address(heat);
    for (size_t i = 0; i < heat->region_count; i++) {
        struct heat_region *region = &heat->regions[find(heat, order[i]->region.id)];
        region->row = heat->row_count;
        heat->row_count += region->row_count;
    }
    heat->row_count++;
    free(order);
}

void heat_layout(struct heat *heat, size_t snapshot_count)
{
    uint64_t pages = 0;
    heat->snapshot_count = snapshot_count;
    heat->column_snapshots = (size_t)blocks(snapshot_count, HEAT_COLUMNS);
    heat->column_count = snapshot_count == 0 ? 0 : (size_t)blocks(snapshot_count, heat->column_snapshots);
    share_rows(heat);
    place_rows(heat);
    for (size_t i = 0; i < heat->region_count; i++) {
        pages += heat->regions[i].pages;
    }
    for (size_t i = 0; i < heat->region_count; i++) {
        struct heat_region *region = &heat->regions[i];
        give_counters(region, pages <= HEAT_COUNTERS ? 1 : blocks(pages, HEAT_COUNTERS));
        region->last_age = region->present && snapshot_count > 0 ? snapshot_count - 1 : region->last_age;
    }
    size_t cells = heat->row_count * (heat->column_count + 1);
    heat->cells = memset(fail_alloc(cells, sizeof *heat->cells), 0, cells * sizeof *heat->cells);
}

size_t heat_column(const struct heat *heat, size_t age)
{
    return (heat->snapshot_count - 1 - age) / heat->column_snapshots;
}

static void count_cell(struct heat_cell *cell, const struct savepoint_change *change)
{
    cell->changed_bytes += change->changed_bytes;
    cell->zero_pages += change->kind == SAVEPOINT_CHANGE_ZERO;
    cell->whole_pages += change->kind == SAVEPOINT_CHANGE_WHOLE;
    cell->delta_pages += change->kind == SAVEPOINT_CHANGE_DELTA;
}

bool heat_add(struct heat *heat, const struct savepoint_change *change, size_t age)
{
    if (!is_at(heat, heat->recent, change->region_id)) {
        heat->recent = find(heat, change->region_id);
    }
    if (!is_at(heat, heat->recent, change->region_id) || change->page >= heat->regions[heat->recent].pages) {
        return false;
    }
    struct heat_region *region = &heat->regions[heat->recent];
    size_t row = heat->row_count - 1;
    if (region->row_count > 0) {
        row = region->row + (size_t)least(change->page / region->row_pages, region->row_count - 1);
    }
    count_cell(&heat->cells[row * heat->column_count + heat_column(heat, age)], change);
    uint64_t place = least(change->page / region->counter_pages, region->counter_count - 1);
    struct heat_counter *counter = &region->counters[place];
    counter->times++;
    counter->changed_bytes += change->changed_bytes;
    region->pages_written++;
    region->changed_bytes += change->changed_bytes;
    region->stored_bytes += change->stored_bytes;
    region->first_age = age < region->first_age ? age : region->first_age;
    region->last_age = age > region->last_age ? age : region->last_age;
    return true;
}

static int by_address(const void *left, const void *right)
{
    const struct savepoint_region *a = &(*(const struct heat_region *const *)left)->region;
    const struct savepoint_region *b = &(*(const struct heat_region *const *)right)->region;
    if (a->address != b->address) {
        return a->address < b->address ? -1 : 1;
    }
    return a->id < b->id ? -1 : a->id > b->id;
}

const struct heat_region **heat_by_address(const struct heat *heat)
{
    const struct heat_region **order = fail_alloc(heat->region_count + 1, sizeof *order);
    for (size_t i = 0; i < heat->region_count; i++) {
        order[i] = &heat->regions[i];
    }
    qsort(order, heat->region_count, sizeof *order, by_address);
    return order;
}

static bool is_hotter(const struct heat_counter *a, const struct heat_counter *b)
{
    return a->times != b->times ? a->times > b->times : a->changed_bytes > b->changed_bytes;
}

/* Moves a page up to its place among those found so far; the last one falls out when there are enough. */
static size_t place_page(struct heat_page *pages, size_t count, size_t most, struct heat_page page)
{
    size_t place = count < most ? count : most - 1;
    for (; place > 0 && is_hotter(&page.counter, &pages[place - 1].counter); place--) {
        pages[place] = pages[place - 1];
    }
    pages[place] = page;
    return count < most ? count + 1 : most;
}

size_t heat_hottest(const struct heat *heat, struct heat_page *pages, size_t most)
{
    size_t count = 0;
    for (size_t i = 0; i < heat->region_count; i++) {
        const struct heat_region *region = &heat->regions[i];
        for (uint64_t k = 0; k < region->counter_count; k++) {
            const struct heat_counter *counter = &region->counters[k];
            if (counter->times > 0 && (count < most || is_hotter(counter, &pages[most - 1].counter))) {
                count =
                    place_page(pages, count, most, (struct heat_page){ region, k * region->counter_pages, *counter });
            }
        }
    }
    return count;
}

uint64_t heat_touched(const struct heat_region *region)
{
    uint64_t touched = 0;
    for (uint64_t k = 0; k < region->counter_count; k++) {
        touched += region->counters[k].times > 0;
    }
    return touched;
}
