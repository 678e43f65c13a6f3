/* twins_world.c - sessions whose pages become copies of each other */
#define _DEFAULT_SOURCE
#include "twins_world.h"

#include <string.h>
#include <sys/mman.h>

static uint64_t seed = 5;

static int count_twin(void *user, const struct savepoint_change *change)
{
    *(unsigned *)user += strcmp(change->coder, "same") == 0 ? 1 : 0;
    return 0;
}

unsigned twins_of(const struct world *world, const struct savepoint_snapshot *snapshot)
{
    struct savepoint_archive *archive = NULL;
    unsigned count = 0;
    CHECK_OK(savepoint_archive_open(&archive, world->path, NULL));
    CHECK_OK(savepoint_archive_changes(archive, snapshot, count_twin, &count, NULL));
    savepoint_archive_close(archive);
    return count;
}

uint8_t *twins_map(size_t pages)
{
    void *memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

void twins_fill(const struct world *world, size_t from, size_t count)
{
    random_fill(world_page(world, from), count * PAGE_BYTES, &seed);
}

void twins_copy(const struct world *world, size_t to, size_t from, size_t count)
{
    memmove(world_page(world, to), world_page(world, from), count * PAGE_BYTES);
}

void twins_check(struct world *world)
{
    for (size_t i = world->history.count; i-- > 0;) {
        const struct moment *moment = &world->history.moments[i * 7 % world->history.count];
        CHECK_OK(savepoint_restore(world->session, &moment->id, NULL, NULL));
        CHECK_MEM(world->memory, moment->memory, world->pages * PAGE_BYTES);
    }
    world_close(world);
    check_archive(world->path, &world->history, world->history.count, "twins");
    memset(world->memory, 0, world->pages * PAGE_BYTES);
    world_open(world, world->path, "compare", world->pages);
    world_resume(world);
    world_close(world);
    world_free(world);
}

void twins_make(struct world *world, const char *name, size_t pages)
{
    *world = (struct world){ 0 };
    file_remove(scratch_path(name));
    world_open(world, scratch_path(name), "compare", pages);
    twins_fill(world, 0, pages / 2);
    world_take(world, SAVEPOINT_SYNC);
}

void twins_make_with(struct world *world, const char *name, struct savepoint_options *options)
{
    *world = (struct world){ .pages = 64, .path = scratch_path(name), .history.memory_bytes = 64 * PAGE_BYTES };
    file_remove(world->path);
    options->watch = "compare";
    world->memory = twins_map(world->pages);
    CHECK_OK(savepoint_open(&world->session, world->path, options, NULL));
    CHECK_OK(savepoint_watch(world->session, "heap", world->memory, world->pages * PAGE_BYTES, NULL));
}
