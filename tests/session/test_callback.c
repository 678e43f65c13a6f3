/* test_callback.c - what a progress callback asks of the session that works: refused */
#include "promote_world.h"

enum { RING_BYTES = 4 << 20 };

static struct stage stage;

/* The shadow is on its way: what needs it, or the regions, is refused. */
static int call_back(void *user, uint64_t done_bytes, uint64_t total_bytes)
{
    const struct savepoint_id *id = &stage.frames[1].snapshot.id;
    struct savepoint_hashes *hashes = NULL;
    static uint8_t more[2 * PAGE_BYTES];
    void *page = more + -(uintptr_t)more % PAGE_BYTES;
    (void)done_bytes;
    (void)total_bytes;
    CHECK_STATUS(savepoint_restore(stage.session, id, NULL, NULL), SAVEPOINT_BUSY);
    CHECK_STATUS(savepoint_resume(stage.session, NULL, NULL), SAVEPOINT_BUSY);
    CHECK_STATUS(savepoint_promote(stage.session, NULL, id, NULL, NULL, NULL), SAVEPOINT_BUSY);
    CHECK_STATUS(savepoint_load(stage.session, NULL, NULL, "HEAD", NULL, NULL), SAVEPOINT_BUSY);
    CHECK_STATUS(savepoint_hashes_open(stage.session, &hashes, id, NULL), SAVEPOINT_BUSY);
    CHECK_STATUS(savepoint_watch(stage.session, "more", page, PAGE_BYTES, NULL), SAVEPOINT_BUSY);
    CHECK_STATUS(savepoint_map(stage.session, &page, "more", PAGE_BYTES, NULL, NULL), SAVEPOINT_BUSY);
    CHECK_STATUS(savepoint_exclude(stage.session, "r", 0, PAGE_BYTES, NULL), SAVEPOINT_BUSY);
    CHECK_STATUS(savepoint_include(stage.session, "r", 0, PAGE_BYTES, NULL), SAVEPOINT_BUSY);
    CHECK_STATUS(savepoint_grow(stage.session, "r", 1 << 20, NULL), SAVEPOINT_BUSY);
    CHECK_STATUS(savepoint_remove(stage.session, "r", NULL), SAVEPOINT_BUSY);
    ++*(int *)user;
    return 0;
}

CHECK_TEST(callback, what_it_asks_for_is_refused)
{
    const char *path = scratch_path("callback.svp");
    struct savepoint_promote_options options = SAVEPOINT_PROMOTE_OPTIONS_INIT;
    struct savepoint_load_options load = SAVEPOINT_LOAD_OPTIONS_INIT;
    struct savepoint_restore_options restore = SAVEPOINT_RESTORE_OPTIONS_INIT;
    struct savepoint_snapshot promoted;
    int calls = 0;
    options.progress = load.progress = restore.progress = call_back;
    options.progress_user = load.progress_user = restore.progress_user = &calls;
    stage_open(&stage, path, RING_BYTES);
    stage_take(&stage, SAVEPOINT_ARCHIVE);
    for (int i = 0; i < 3; i++) {
        stage_write(&stage);
        stage_take(&stage, SAVEPOINT_RING);
    }
    CHECK_OK(savepoint_promote(stage.session, &promoted, &stage.frames[1].snapshot.id, NULL, &options, NULL));
    check_promoted(path, &promoted.id, &stage.frames[1]);
    CHECK_OK(savepoint_load(stage.session, NULL, NULL, "HEAD", &load, NULL));
    for (size_t i = 0; i < 3; i++) { /* from the archive, in the ring */
        CHECK_OK(savepoint_restore(stage.session, &stage.frames[i].snapshot.id, &restore, NULL));
        CHECK_MEM(stage.memory, stage.frames[i].memory, sizeof stage.frames[i].memory);
    }
    CHECK(calls >= 5);
    stage_close(&stage);
}
