/* workload.c - states and changes that every benchmark runs on */
#include "workload.h"

#include <stdlib.h>
#include <string.h>

uint64_t workload_random(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

static uint64_t below(uint64_t *random, uint64_t limit)
{
    return (workload_random(random) >> 32) * limit >> 32;
}

/* The state of a sequence of its own for each page and interval. */
static uint64_t seed_of(const struct workload_shape *shape, uint64_t page, uint32_t interval)
{
    uint64_t state = shape->seed;
    state ^= workload_random(&state) + page;
    state ^= workload_random(&state) + interval;
    return state;
}

/* ---- the classes */

static void put64(uint8_t *to, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        to[i] = (uint8_t)(value >> 8 * i);
    }
}

struct text {
    uint8_t *at, *end;
};

static void add_text(struct text *text, const char *words)
{
    while (*words != '\0' && text->at < text->end) {
        *text->at++ = (uint8_t)*words++;
    }
}

static void add_number(struct text *text, uint64_t value)
{
    char digits[24];
    char *first = digits + sizeof digits - 1;
    *first = '\0';
    do {
        *--first = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    add_text(text, first);
}

static void add_word(struct text *text, uint64_t *random)
{
    static const char *const words[] = { "amber",   "basalt", "cedar",  "delta",   "ember",   "falcon",
                                         "granite", "harbor", "indigo", "juniper", "kestrel", "lunar",
                                         "meadow",  "north",  "onyx",   "pine" };
    add_text(text, words[below(random, sizeof words / sizeof words[0])]);
}

static void add_coordinate(struct text *text, const char *name, uint64_t *random)
{
    add_text(text, name);
    add_text(text, below(random, 2) == 0 ? "" : "-");
    add_number(text, below(random, 4000));
    add_text(text, ".");
    add_number(text, 100 + below(random, 900));
}

static void fill_text(uint8_t *bytes, uint64_t *random)
{
    struct text text = { bytes, bytes + WORKLOAD_PAGE_BYTES };
    while (text.at < text.end) {
        add_text(&text, "{\"id\":");
        add_number(&text, 10000000 + below(random, 90000000));
        add_text(&text, ",\"name\":\"");
        add_word(&text, random);
        add_text(&text, "-");
        add_word(&text, random);
        add_text(&text, "\",\"kind\":\"");
        add_word(&text, random);
        add_coordinate(&text, "\",\"position\":{\"x\":", random);
        add_coordinate(&text, ",\"y\":", random);
        add_coordinate(&text, ",\"z\":", random);
        add_text(&text, "},\"health\":");
        add_number(&text, below(random, 100));
        add_text(&text, ",\"owner\":\"player-");
        add_number(&text, 1000 + below(random, 9000));
        add_text(&text, below(random, 2) == 0 ? "\",\"alive\":true" : "\",\"alive\":false");
        add_text(&text, below(random, 2) == 0 ? ",\"orders\":[\"move\"]},\n" : ",\"orders\":[]},\n");
    }
}

/* A level that wanders slowly, in the exponent and 4 bits of the mantissa; 40 bits of noise below it; and the last
 * byte zero: the resolution of the instrument. */
static void fill_doubles(uint8_t *bytes, uint64_t *random)
{
    uint64_t level = UINT64_C(0x3ff0) + below(random, 64);
    for (size_t at = 0; at < WORKLOAD_PAGE_BYTES; at += 8) {
        uint64_t noise = workload_random(random);
        if ((noise & 0x1f) == 0) {
            level += (noise & 0x20) != 0 ? 1 : UINT64_MAX;
        }
        put64(bytes + at, level << 48 | (noise >> 24 << 8));
    }
}

static void fill_random(uint8_t *bytes, size_t count, uint64_t *random)
{
    for (size_t at = 0; at < count; at += 8) {
        put64(bytes + at, workload_random(random));
    }
}

enum workload_class workload_class_of(uint64_t page)
{
    return (enum workload_class)(page / WORKLOAD_STRIPE_PAGES % WORKLOAD_CLASS_COUNT);
}

const char *workload_class_name(enum workload_class kind)
{
    static const char *const names[] = { "zero", "text", "doubles", "random" };
    return names[kind];
}

void workload_page(void *bytes, const struct workload_shape *shape, uint64_t page, uint32_t interval)
{
    uint64_t random = seed_of(shape, page, interval);
    switch (workload_class_of(page)) {
    case WORKLOAD_TEXT:
        fill_text(bytes, &random);
        break;
    case WORKLOAD_DOUBLES:
        fill_doubles(bytes, &random);
        break;
    case WORKLOAD_RANDOM:
        fill_random(bytes, WORKLOAD_PAGE_BYTES, &random);
        break;
    default:
        memset(bytes, 0, WORKLOAD_PAGE_BYTES);
        break;
    }
}

void workload_fill(void *bytes, const struct workload_shape *shape, uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        workload_page((uint8_t *)bytes + i * WORKLOAD_PAGE_BYTES, shape, first + i, 0);
    }
}

/* ---- the changes */

bool workload_open(struct workload *workload, const struct workload_shape *shape)
{
    *workload = (struct workload){ .shape = *shape, .random = shape->seed };
    /* Pages are found by trying; where some are to repeat, the others must not. */
    const uint64_t most = shape->repeated_pages == 0 ? shape->pages : shape->pages / 2;
    if (shape->changed_pages == 0 || shape->changed_pages > most || shape->repeated_pages > shape->changed_pages) {
        return false;
    }
    workload->changed = calloc((size_t)shape->changed_pages, sizeof *workload->changed);
    workload->last_changed = calloc((size_t)shape->pages, sizeof *workload->last_changed);
    if (workload->changed == NULL || workload->last_changed == NULL) {
        workload_close(workload);
        return false;
    }
    return true;
}

void workload_close(struct workload *workload)
{
    free(workload->changed);
    free(workload->last_changed);
    *workload = (struct workload){ .changed = NULL };
}

/* Moves a random choice of `count` of the changed pages to the front: they are changed again. */
static void keep_some(struct workload *workload, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t other = i + below(&workload->random, workload->shape.changed_pages - i);
        uint64_t page = workload->changed[other];
        workload->changed[other] = workload->changed[i];
        workload->changed[i] = page;
        workload->last_changed[page] = workload->interval;
    }
}

void workload_next(struct workload *workload)
{
    const struct workload_shape *shape = &workload->shape;
    uint32_t before = workload->interval++;
    uint64_t count = before == 0 ? 0 : shape->repeated_pages;
    keep_some(workload, count);
    while (count < shape->changed_pages) {
        uint64_t page = below(&workload->random, shape->pages);
        uint32_t last = workload->last_changed[page];
        bool repeats = before != 0 && last == before && shape->repeated_pages != 0;
        if (last != workload->interval && !repeats) {
            workload->last_changed[page] = workload->interval;
            workload->changed[count++] = page;
        }
    }
}

static void change_page(uint8_t *state, const struct workload *workload, uint64_t page)
{
    const uint64_t places = (WORKLOAD_PAGE_BYTES - WORKLOAD_CHANGE_BYTES) / 8 + 1;
    uint8_t *bytes = state + page * WORKLOAD_PAGE_BYTES;
    uint64_t random = seed_of(&workload->shape, page, workload->interval);
    if (workload->shape.change == WORKLOAD_CHANGE_PAGE) {
        workload_page(bytes, &workload->shape, page, workload->interval);
    } else if (workload->shape.change == WORKLOAD_CHANGE_COPY) {
        memmove(bytes, state + below(&random, workload->shape.pages) * WORKLOAD_PAGE_BYTES, WORKLOAD_PAGE_BYTES);
    } else {
        fill_random(bytes + 8 * below(&random, places), WORKLOAD_CHANGE_BYTES, &random);
    }
}

void workload_apply_part(const struct workload *workload, void *state, unsigned part, unsigned parts)
{
    const uint64_t end = workload->shape.changed_pages * (part + 1) / parts;
    for (uint64_t i = workload->shape.changed_pages * part / parts; i < end; i++) {
        change_page(state, workload, workload->changed[i]);
    }
}

void workload_apply(const struct workload *workload, void *state)
{
    workload_apply_part(workload, state, 0, 1);
}
