/* promotions.c - what the ring holds goes to an archive, or the other way; memory stays as it is */
#include <stdlib.h>

#include "bad_disk.h"
#include "histories.h"
#include "model.h"

static struct state *find(struct world *world, const struct savepoint_id *id)
{
    for (size_t i = 0; i < world->state_count; i++) {
        if (memcmp(&world->states[i]->id, id, sizeof *id) == 0) {
            return world->states[i];
        }
    }
    return NULL;
}

/* A new snapshot that has to bring back what another one does. */
static void
add(struct world *world, const struct state *origin, const struct savepoint_snapshot *snapshot, enum home home)
{
    struct state *state = malloc(sizeof *state);
    WORLD_CHECK(world, state != NULL && world->state_count < STATES_MAX);
    *state = *origin;
    state->home = home;
    state->id = snapshot->id;
    state->digest = snapshot->digest;
    world->states[world->state_count++] = state;
}

/* Whatever is in the archive and not yet known was promoted. */
static void adopt(struct world *world, enum home home, const char *path)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_id id;
    size_t bytes = 0;
    if (savepoint_archive_open(&archive, path, NULL) != SAVEPOINT_OK) {
        return; /* nothing was ever written to it */
    }
    enum savepoint_status status = savepoint_archive_newest(archive, &snapshot, NULL);
    while (status == SAVEPOINT_OK && find(world, &snapshot.id) == NULL) {
        CHECK_OK(
            savepoint_archive_metadata(archive, &id, &bytes, sizeof id, &snapshot, SAVEPOINT_METADATA_ORIGIN, NULL));
        const struct state *origin = find(world, &id);
        WORLD_CHECK(world, bytes == sizeof id && origin != NULL);
        WORLD_CHECK(world, memcmp(&origin->digest, &snapshot.digest, sizeof snapshot.digest) == 0);
        add(world, origin, &snapshot, home);
        world->counts->promoted++;
        status = savepoint_archive_previous(archive, &snapshot, NULL);
    }
    savepoint_archive_close(archive);
}

static uint64_t count_held(struct world *world)
{
    struct savepoint_snapshot snapshot;
    uint64_t count = 0;
    for (enum savepoint_status status = savepoint_ring_newest(world->session, &snapshot, NULL); status == SAVEPOINT_OK;
         status = savepoint_ring_previous(world->session, &snapshot, NULL)) {
        count++;
    }
    return count;
}

void histories_promote(struct world *world)
{
    struct savepoint_error error;
    struct savepoint_snapshot snapshot, held;
    struct savepoint_promote_options options = SAVEPOINT_PROMOTE_OPTIONS_INIT;
    const bool own = world->has_archive && model_below(&world->random, 2) == 0;
    const bool all = model_below(&world->random, 3) == 0;
    histories_settle(world);
    const uint64_t count = count_held(world);
    if (count == 0 || world->state_count + count >= STATES_MAX) {
        return;
    }
    CHECK_OK(savepoint_ring_newest(world->session, &held, NULL));
    for (uint64_t back = model_below(&world->random, count); back > 0; back--) {
        CHECK_OK(savepoint_ring_previous(world->session, &held, NULL));
    }
    options.durability = (enum savepoint_durability)model_below(&world->random, 3);
    enum savepoint_status status = savepoint_promote(world->session, &snapshot, all ? NULL : &held.id,
                                                     own ? NULL : world->other_path, &options, &error);
    CHECK_MSG(status == SAVEPOINT_OK || status == SAVEPOINT_IO || status == SAVEPOINT_NO_SPACE, "SEED=%" PRIu64 ": %s",
              world->seed, error.message);
    const size_t before = world->state_count;
    adopt(world, own ? IN_ARCHIVE : IN_OTHER, own ? world->path : world->other_path);
    if (status == SAVEPOINT_OK) {
        WORLD_CHECK(world, world->state_count - before == (all ? count : 1) && find(world, &snapshot.id) != NULL);
    }
}

void histories_load(struct world *world)
{
    struct savepoint_error error;
    struct savepoint_snapshot loaded;
    char text[SAVEPOINT_ID_TEXT_BYTES];
    histories_settle(world);
    if (world->state_count == 0) {
        return;
    }
    const struct state *state = world->states[model_below(&world->random, world->state_count)];
    if (state->home == IN_RING) {
        return;
    }
    savepoint_id_format(&state->id, text);
    enum savepoint_status status = savepoint_load(
        world->session, &loaded, state->home == IN_ARCHIVE ? NULL : world->other_path, text, NULL, &error);
    CHECK_MSG(status == SAVEPOINT_OK || status == SAVEPOINT_LIMIT, "SEED=%" PRIu64 ": %s", world->seed, error.message);
    if (status == SAVEPOINT_OK) {
        WORLD_CHECK(world, memcmp(&loaded.digest, &state->digest, sizeof loaded.digest) == 0);
        add(world, state, &loaded, IN_RING);
    }
    (status == SAVEPOINT_OK ? &world->counts->loaded : &world->counts->refused)[0]++;
}
