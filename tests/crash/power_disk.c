/* power_disk.c - a record of the writer's system calls, and every state of the disk that a power cut may leave */
#include "power_disk.h"

#include <stdlib.h>

#include "fault.h"

static struct record record;

static void note(const struct fault_event *event)
{
    CHECK(record.count < STEPS_MAX);
    struct step *step = &record.steps[record.count++];
    *step = (struct step){ .count = event->count, .offset = (size_t)event->offset };
    switch (event->kind) {
    case FAULT_WRITE:
        step->kind = STEP_WRITE;
        step->bytes = malloc(event->count + 1);
        CHECK(step->bytes != NULL);
        memcpy(step->bytes, event->bytes, event->count);
        break;
    case FAULT_TRUNCATE:
        step->kind = STEP_TRUNCATE;
        break;
    case FAULT_SYNC:
        step->kind = STEP_SYNC;
        break;
    default:
        step->kind = STEP_FOLDER;
        break;
    }
}

void record_durable(size_t snapshots)
{
    CHECK(record.count < STEPS_MAX);
    record.steps[record.count++] = (struct step){ .kind = STEP_DURABLE, .snapshots = snapshots };
}

void forget_record(void)
{
    while (record.count > 0) {
        free(record.steps[--record.count].bytes);
    }
}

void record_calls(bool on)
{
    fault_observe(on ? note : NULL);
}

const struct record *recorded(void)
{
    return &record;
}

static void apply(struct image *image, const struct step *step)
{
    if (step->kind == STEP_WRITE) {
        CHECK(step->offset + step->count <= sizeof image->bytes);
        memcpy(image->bytes + step->offset, step->bytes, step->count);
        image->size = step->offset + step->count > image->size ? step->offset + step->count : image->size;
    } else if (step->kind == STEP_TRUNCATE) {
        if (step->offset < image->size) {
            memset(image->bytes + step->offset, 0, image->size - step->offset);
        }
        image->size = step->offset;
    }
}

void free_window(struct window *window)
{
    for (size_t i = 0; i < window->block_count; i++) {
        for (size_t k = 0; k < window->blocks[i].version_count; k++) {
            free(window->blocks[i].versions[k]);
        }
    }
    window->block_count = 0;
    window->size_count = 0;
}

static void add_version(struct window *window, size_t block, const uint8_t *before, const uint8_t *now)
{
    size_t i = 0;
    while (i < window->block_count && window->blocks[i].block != block) {
        i++;
    }
    if (i == window->block_count) {
        window->block_count++;
        window->blocks[i].block = block;
        window->blocks[i].version_count = 1;
        window->blocks[i].versions[0] = malloc(BLOCK);
        CHECK(window->blocks[i].versions[0] != NULL);
        memcpy(window->blocks[i].versions[0], before, BLOCK);
    }
    size_t version = window->blocks[i].version_count++;
    CHECK(version < VERSIONS_MAX);
    window->blocks[i].versions[version] = malloc(BLOCK);
    CHECK(window->blocks[i].versions[version] != NULL);
    memcpy(window->blocks[i].versions[version], now, BLOCK);
}

void open_window(struct window *window, struct image *image, size_t cut)
{
    static struct image before;
    static struct image cache;
    size_t synced = 0;
    image->size = 0;
    memset(image->bytes, 0, sizeof image->bytes);
    window->durable = 0;
    for (size_t i = 0; i < cut; i++) {
        synced = record.steps[i].kind == STEP_SYNC ? i : synced;
        window->durable = record.steps[i].kind == STEP_DURABLE ? record.steps[i].snapshots : window->durable;
    }
    for (size_t i = 0; i < synced; i++) {
        apply(image, &record.steps[i]);
    }
    cache = *image;
    window->sizes[window->size_count++] = cache.size;
    for (size_t i = synced; i < cut; i++) {
        before = cache;
        apply(&cache, &record.steps[i]);
        if (cache.size != before.size) {
            window->sizes[window->size_count++] = cache.size;
        }
        for (size_t block = 0; block < BLOCKS_MAX; block++) {
            if (memcmp(before.bytes + block * BLOCK, cache.bytes + block * BLOCK, BLOCK) != 0) {
                add_version(window, block, before.bytes + block * BLOCK, cache.bytes + block * BLOCK);
            }
        }
    }
}

void build_state(struct image *image, const struct image *durable, const struct window *window, const size_t *choice,
                 const size_t *tear, size_t size)
{
    image->size = size;
    memcpy(image->bytes, durable->bytes, size);
    for (size_t i = 0; i < window->block_count; i++) {
        uint8_t *to = image->bytes + window->blocks[i].block * BLOCK;
        size_t version = choice[i];
        memcpy(to, window->blocks[i].versions[version], BLOCK);
        if (tear != NULL && version > 0) {
            size_t from = tear[i] * SECTOR;
            memcpy(to + from, window->blocks[i].versions[version - 1] + from, BLOCK - from);
        }
    }
}

size_t count_states(const struct window *window)
{
    size_t states = window->size_count;
    for (size_t i = 0; i < window->block_count && states <= EXHAUSTIVE; i++) {
        states *= window->blocks[i].version_count;
    }
    return states;
}
