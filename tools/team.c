/* team.c - threads of a POSIX system that repeat a piece of work, and can be held between two pieces */
#include "team.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "fail.h"

struct member {
    struct team *team;
    size_t index;
    pthread_t thread;
};

struct team {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    team_work *work;
    void *user;
    bool held, ending;
    size_t count, standing; /* threads; those that wait for their release */
    struct member *members;
};

/* Waits while the team is held; false when it is time to end. */
static bool may_go_on(struct team *team)
{
    pthread_mutex_lock(&team->mutex);
    if (team->held && !team->ending) {
        team->standing++;
        pthread_cond_broadcast(&team->changed);
        while (team->held && !team->ending) {
            pthread_cond_wait(&team->changed, &team->mutex);
        }
        team->standing--;
    }
    bool ending = team->ending;
    pthread_mutex_unlock(&team->mutex);
    return !ending;
}

static void *run(void *argument)
{
    const struct member *member = argument;
    while (may_go_on(member->team)) {
        member->team->work(member->team->user, member->index);
    }
    return NULL;
}

struct team *team_open(size_t count, team_work *work, void *user)
{
    struct team *team = fail_alloc(1, sizeof *team);
    *team = (struct team){ .work = work, .user = user, .held = true };
    pthread_mutex_init(&team->mutex, NULL);
    pthread_cond_init(&team->changed, NULL);
    team->members = fail_alloc(count, sizeof *team->members);
    for (; team->count < count; team->count++) {
        struct member *member = &team->members[team->count];
        *member = (struct member){ .team = team, .index = team->count };
        if (pthread_create(&member->thread, NULL, run, member) != 0) {
            team_close(team);
            return NULL;
        }
    }
    return team;
}

void team_hold(struct team *team)
{
    pthread_mutex_lock(&team->mutex);
    team->held = true;
    while (team->standing < team->count) {
        pthread_cond_wait(&team->changed, &team->mutex);
    }
    pthread_mutex_unlock(&team->mutex);
}

void team_release(struct team *team)
{
    pthread_mutex_lock(&team->mutex);
    team->held = false;
    pthread_cond_broadcast(&team->changed);
    pthread_mutex_unlock(&team->mutex);
}

void team_close(struct team *team)
{
    if (team == NULL) {
        return;
    }
    pthread_mutex_lock(&team->mutex);
    team->ending = true;
    pthread_cond_broadcast(&team->changed);
    pthread_mutex_unlock(&team->mutex);
    for (size_t i = 0; i < team->count; i++) {
        pthread_join(team->members[i].thread, NULL);
    }
    pthread_cond_destroy(&team->changed);
    pthread_mutex_destroy(&team->mutex);
    free(team->members);
    free(team);
}
