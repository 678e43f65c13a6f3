/* test_close.c - closing tells that the last take is lost, unless that was told before */
#include <errno.h>

#include "crash_fixture.h"
#include "fault.h"

enum { PAGES = 8 };

static const char *open_world(struct world *world)
{
    const char *path = scratch_path("close.svp");
    *world = (struct world){ 0 };
    file_remove(path);
    world_open(world, path, "compare", PAGES);
    world_page(world, 0)[0] = 1;
    world_take(world, SAVEPOINT_SYNC);
    return path;
}

/* A take whose write will find the disk full. */
static uint64_t start_in_vain(struct world *world)
{
    uint64_t ticket = 0;
    world_page(world, 1)[0]++;
    fault_arm(FAULT_WRITE, 1, true, ENOSPC);
    CHECK_OK(world_start(world, SAVEPOINT_SYNC, &ticket));
    return ticket;
}

static enum savepoint_status close_world(struct world *world, struct savepoint_error *error)
{
    enum savepoint_status status = savepoint_close(world->session, error);
    fault_disarm();
    world->session = NULL;
    world_free(world);
    return status;
}

CHECK_TEST(close, a_take_that_nobody_waited_for_is_told_as_lost)
{
    struct world world;
    struct savepoint_error error = { 0 };
    const char *path = open_world(&world);
    (void)start_in_vain(&world);
    CHECK_STATUS(close_world(&world, &error), SAVEPOINT_NO_SPACE);
    CHECK_MSG(error.status == SAVEPOINT_NO_SPACE && error.os_code == ENOSPC, "%d, %d", error.status, error.os_code);
    CHECK_MSG(strstr(error.message, "the last take failed") != NULL && strstr(error.message, path) != NULL, "%s",
              error.message);
    open_world(&world);
    (void)start_in_vain(&world);
    CHECK_STATUS(close_world(&world, NULL), SAVEPOINT_NO_SPACE);
}

CHECK_TEST(close, what_was_told_is_not_told_again)
{
    struct world world;
    open_world(&world);
    CHECK_STATUS(savepoint_wait(world.session, start_in_vain(&world), NULL, NULL), SAVEPOINT_NO_SPACE);
    CHECK_OK(close_world(&world, NULL));
    open_world(&world);
    const uint64_t first = start_in_vain(&world);
    (void)start_in_vain(&world); /* it needs what the first one stores */
    CHECK_STATUS(savepoint_wait(world.session, first, NULL, NULL), SAVEPOINT_NO_SPACE);
    CHECK_STATUS(close_world(&world, NULL), SAVEPOINT_NO_SPACE);
}

CHECK_TEST(close, what_a_later_take_has_stored_is_not_lost)
{
    struct world world;
    open_world(&world);
    (void)start_in_vain(&world);
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    while (statistics.takes_failed == 0) {
        CHECK_OK(savepoint_read_statistics(world.session, &statistics, NULL));
    }
    fault_disarm();
    world_take(&world, SAVEPOINT_SYNC);
    CHECK_OK(close_world(&world, NULL));
}

CHECK_TEST(close, an_autosave_that_no_tick_has_told_of_is_lost)
{
    struct world world;
    open_world(&world);
    world_page(&world, 2)[0] = 2;
    fault_arm(FAULT_WRITE, 1, true, ENOSPC);
    (void)world_autosave(&world, 3, SAVEPOINT_SYNC);
    CHECK_STATUS(close_world(&world, NULL), SAVEPOINT_NO_SPACE);
}

CHECK_TEST(close, a_take_that_was_given_up_is_not_told)
{
    struct world world;
    uint64_t ticket = 0;
    open_world(&world);
    fault_hold_worker(true);
    world_page(&world, 3)[0] = 3;
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &ticket));
    CHECK_OK(savepoint_cancel(world.session, ticket, NULL));
    fault_hold_worker(false);
    CHECK_OK(close_world(&world, NULL));
}
