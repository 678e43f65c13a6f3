/* model.c - the plain-memory oracle: what regions and snapshots must hold, as full copies */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "format/bytes.h"

uint64_t model_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545F4914F6CDD1D);
}

uint64_t model_below(uint64_t *state, uint64_t limit)
{
    return (model_random(state) >> 16) % limit;
}

static void *grow_block(void *old, size_t bytes)
{
    void *grown = realloc(old, bytes > 0 ? bytes : 1);
    CHECK_MSG(grown != NULL, "the test itself has no memory");
    return grown;
}

struct model_region *model_find_region(const struct model_state *state, const char *name)
{
    for (size_t i = 0; i < state->region_count; i++) {
        if (strcmp(state->regions[i].name, name) == 0) {
            return (struct model_region *)&state->regions[i];
        }
    }
    return NULL;
}

void model_grow_region(struct model_region *region, const void *base, size_t pages)
{
    size_t before = region->pages;
    region->bytes = grow_block(region->bytes, pages * MODEL_PAGE_BYTES);
    region->excluded = grow_block(region->excluded, pages * sizeof *region->excluded);
    memcpy(region->bytes + before * MODEL_PAGE_BYTES, (const uint8_t *)base + before * MODEL_PAGE_BYTES,
           (pages - before) * MODEL_PAGE_BYTES);
    memset(region->excluded + before, 0, (pages - before) * sizeof *region->excluded);
    region->pages = pages;
}

struct model_region *
model_add_region(struct model_state *state, const char *name, bool mapped, const void *base, size_t pages)
{
    CHECK(state->region_count < MODEL_REGIONS_MAX);
    struct model_region *region = &state->regions[state->region_count++];
    *region = (struct model_region){ .mapped = mapped, .address = (uint64_t)(uintptr_t)base };
    strncpy(region->name, name, sizeof region->name - 1);
    model_grow_region(region, base, pages);
    return region;
}

static void free_region(struct model_region *region)
{
    free(region->bytes);
    free(region->excluded);
}

void model_remove_region(struct model_state *state, const char *name)
{
    struct model_region *region = model_find_region(state, name);
    free_region(region);
    *region = state->regions[--state->region_count];
}

void model_free_state(struct model_state *state)
{
    for (size_t i = 0; i < state->region_count; i++) {
        free_region(&state->regions[i]);
    }
    state->region_count = 0;
}

void model_free(struct model *model)
{
    model_free_state(&model->live);
    for (size_t i = 0; i < model->snapshot_count; i++) {
        model_free_state(&model->snapshots[i].state);
    }
    for (size_t i = 0; i < model->pending_count; i++) {
        model_free_state(&model->pending[i].state);
    }
    free(model->snapshots);
    *model = (struct model){ 0 };
}

struct model_snapshot *model_take(struct model *model)
{
    CHECK(model->pending_count < MODEL_PENDING_MAX);
    struct model_snapshot *take = &model->pending[model->pending_count++];
    *take = (struct model_snapshot){ 0 };
    for (size_t i = 0; i < model->live.region_count; i++) {
        const struct model_region *live = &model->live.regions[i];
        struct model_region *copy = model_add_region(&take->state, live->name, live->mapped, live->bytes, live->pages);
        copy->address = live->address;
        for (size_t page = 0; page < live->pages; page++) {
            copy->excluded[page] = live->excluded[page];
            if (live->excluded[page]) {
                memset(copy->bytes + page * MODEL_PAGE_BYTES, 0, MODEL_PAGE_BYTES);
            }
        }
    }
    return take;
}

void model_commit(struct model *model, const struct savepoint_snapshot *snapshot)
{
    struct model_snapshot ended = model->pending[0];
    model->pending_count--;
    memmove(&model->pending[0], &model->pending[1], model->pending_count * sizeof model->pending[0]);
    if (snapshot == NULL) {
        model_free_state(&ended.state);
        return;
    }
    if (model->snapshot_count == model->snapshot_capacity) {
        model->snapshot_capacity = model->snapshot_capacity * 2 + 16;
        model->snapshots = grow_block(model->snapshots, model->snapshot_capacity * sizeof ended);
    }
    ended.sequence = model->snapshot_count + 1; /* failures leave no gap */
    ended.id = snapshot->id;
    ended.parent = model->parent;
    const struct svp_hash digest = model_digest(&ended.state);
    memcpy(ended.digest.bytes, digest.bytes, sizeof ended.digest.bytes);
    model->snapshots[model->snapshot_count++] = ended;
    model->parent = snapshot->id;
    model->head = snapshot->id;
}

const struct model_snapshot *model_find(const struct model *model, const struct savepoint_id *id)
{
    for (size_t i = 0; i < model->snapshot_count; i++) {
        if (memcmp(&model->snapshots[i].id, id, sizeof *id) == 0) {
            return &model->snapshots[i];
        }
    }
    return NULL;
}

enum savepoint_status model_restore(struct model *model, const struct model_snapshot *snapshot, bool skip_missing)
{
    for (size_t i = 0; i < snapshot->state.region_count; i++) {
        const struct model_region *stored = &snapshot->state.regions[i];
        const struct model_region *live = model_find_region(&model->live, stored->name);
        if (live == NULL ? !skip_missing
                         : live->pages < stored->pages || (stored->mapped && stored->address != live->address)) {
            return SAVEPOINT_MISMATCH;
        }
    }
    for (size_t i = 0; i < snapshot->state.region_count; i++) {
        const struct model_region *stored = &snapshot->state.regions[i];
        struct model_region *live = model_find_region(&model->live, stored->name);
        for (size_t page = 0; live != NULL && page < live->pages; page++) {
            uint8_t *to = live->bytes + page * MODEL_PAGE_BYTES;
            if (live->excluded[page] || (page < stored->pages && stored->excluded[page])) {
                continue; /* left out here or there: untouched */
            }
            if (page < stored->pages) {
                memcpy(to, stored->bytes + page * MODEL_PAGE_BYTES, MODEL_PAGE_BYTES);
            } else {
                memset(to, 0, MODEL_PAGE_BYTES);
            }
        }
    }
    model->parent = snapshot->id;
    return SAVEPOINT_OK;
}

static struct svp_hash region_root(const struct model_region *region)
{
    size_t count = region->pages;
    struct svp_hash *level = grow_block(NULL, count * sizeof *level);
    for (size_t page = 0; page < count; page++) {
        level[page] = svp_digest128(0, region->bytes + page * MODEL_PAGE_BYTES, MODEL_PAGE_BYTES);
    }
    for (uint64_t seed = 1; count > 1; seed++) {
        size_t parents = (count + 15) / 16;
        for (size_t i = 0; i < parents; i++) {
            size_t members = count - i * 16 < 16 ? count - i * 16 : 16;
            level[i] = svp_digest128(seed, &level[i * 16], members * sizeof *level);
        }
        count = parents;
    }
    struct svp_hash root = level[0];
    free(level);
    return root;
}

static int order_by_name(const void *left, const void *right)
{
    return strcmp(((const struct model_region *)left)->name, ((const struct model_region *)right)->name);
}

struct svp_hash model_digest(const struct model_state *state)
{
    struct model_region ordered[MODEL_REGIONS_MAX];
    uint8_t text[MODEL_REGIONS_MAX * (4 + sizeof ordered[0].name + 8 + 8 + 16)];
    uint8_t *at = text;
    memcpy(ordered, state->regions, sizeof ordered);
    qsort(ordered, state->region_count, sizeof ordered[0], order_by_name);
    for (size_t i = 0; i < state->region_count; i++) {
        const struct svp_hash root = region_root(&ordered[i]);
        size_t name_bytes = strlen(ordered[i].name);
        svp_store32(at, (uint32_t)name_bytes);
        memcpy(at + 4, ordered[i].name, name_bytes);
        at += 4 + name_bytes;
        svp_store64(at, ordered[i].pages * MODEL_PAGE_BYTES);
        svp_store64(at + 8, ordered[i].mapped ? ordered[i].address : 0);
        memcpy(at + 16, root.bytes, sizeof root.bytes);
        at += 32;
    }
    return svp_digest128(0, text, (size_t)(at - text));
}

bool model_equal(const struct model_state *left, const struct model_state *right)
{
    bool equal = left->region_count == right->region_count;
    for (size_t i = 0; equal && i < left->region_count; i++) {
        const struct model_region *a = &left->regions[i];
        const struct model_region *b = model_find_region(right, a->name);
        equal = b != NULL && a->mapped == b->mapped && (!a->mapped || a->address == b->address) &&
                a->pages == b->pages && memcmp(a->bytes, b->bytes, a->pages * MODEL_PAGE_BYTES) == 0;
    }
    return equal;
}
