/* first_snapshot.c - a lesson: take a snapshot of an array, spoil the array, bring it back */
#include <stdio.h>
#include <stdlib.h>

#include <savepoint.h>

struct ship {
    double x, y, speed;
    char name[40];
};

/* Your own memory: aligned to pages, and a whole number of them (16 KiB serves every system). */
static _Alignas(16384) struct ship fleet[256];

/* Nothing here is expected to fail; a game would show the text to the player instead. */
static void need(enum savepoint_status status, const struct savepoint_error *error)
{
    if (status != SAVEPOINT_OK) {
        fprintf(stderr, "first_snapshot: %s: %s\n", savepoint_status_name(status), error->message);
        exit(1);
    }
}

int main(int count, char **arguments)
{
    const char *path = count > 1 ? arguments[1] : "first_snapshot.svp";
    struct savepoint *session;
    struct savepoint_snapshot before;
    struct savepoint_error error;
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;

    remove(path); /* each lesson starts with an empty archive */
    need(savepoint_open(&session, path, NULL, &error), &error);
    need(savepoint_watch(session, "fleet", fleet, sizeof fleet, &error), &error);

    fleet[7] = (struct ship){ .x = 3, .y = 4, .speed = 5, .name = "Albatross" };
    options.label = "before the storm";
    need(savepoint_take(session, NULL, &options, &error), &error);
    need(savepoint_wait(session, 0, &before, &error), &error); /* from here on it survives a power cut */

    fleet[7] = (struct ship){ .name = "a wreck" };
    options.label = "after the storm";
    need(savepoint_take(session, NULL, &options, &error), &error);
    need(savepoint_wait(session, 0, NULL, &error), &error); /* only the page that changed is stored */
    printf("after the storm:  %s at %g, %g\n", fleet[7].name, fleet[7].x, fleet[7].y);

    need(savepoint_restore(session, &before.id, NULL, &error), &error);
    printf("after a restore:  %s at %g, %g\n", fleet[7].name, fleet[7].x, fleet[7].y);
    need(savepoint_close(session, &error), &error);
    return 0;
}
