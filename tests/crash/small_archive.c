/* small_archive.c - an archive of a few small snapshots, its bytes and where its transactions end */
#include "small_archive.h"

void small_archive_make(struct small_archive *small, const char *path, size_t pages, size_t noise_pages,
                        size_t snapshots)
{
    struct world *world = &small->world;
    uint64_t seed = 7;
    CHECK(snapshots <= SMALL_SNAPSHOTS_MAX);
    *small = (struct small_archive){ .file = { NULL, 0 } };
    file_remove(path);
    world_open(world, path, "compare", pages);
    random_fill(world->memory, noise_pages * PAGE_BYTES, &seed);
    for (size_t i = 0; i < snapshots; i++) {
        memset(world_page(world, i % pages) + 512 * i, 'a' + (int)i, 256);
        world_take(world, SAVEPOINT_SYNC);
        struct bytes now = file_read(path);
        small->ends[i] = now.count - SEAL_BYTES;
        bytes_free(&now);
    }
    world_close(world);
    small->file = file_read(path);
    CHECK_EQ(small->file.count, small->ends[snapshots - 1] + SEAL_BYTES);
}

void small_archive_free(struct small_archive *small)
{
    bytes_free(&small->file);
    world_free(&small->world);
}

size_t small_archive_whole(const struct small_archive *small, size_t bytes)
{
    size_t whole = 0;
    while (whole < small->world.history.count && small->ends[whole] <= bytes) {
        whole++;
    }
    return whole;
}

size_t small_archive_kept(const struct small_archive *small, size_t bytes)
{
    size_t whole = small_archive_whole(small, bytes);
    if (whole == 0) {
        return 0;
    }
    size_t end = small->ends[whole - 1];
    return bytes >= end + SEAL_BYTES ? end + SEAL_BYTES : end;
}
