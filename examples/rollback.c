/* rollback.c - a lesson: two players whose keys reach each other late, and who see the same game in the end */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <savepoint.h>

enum { FRAMES = 60, LATE = 5, REGION_BYTES = 65536 };

struct game { /* all that a frame depends on; nothing below knows how to undo any of it */
    int frame;
    int place[2];
    char field[2][4096];
};

struct player {
    struct savepoint *session;
    struct game *game;
    char keys[FRAMES][2];                 /* of both: pressed, or guessed to be as the last one that came */
    struct savepoint_snapshot at[FRAMES]; /* the game before each frame */
    int times_back;
    unsigned char memory[2 * REGION_BYTES];
};

static struct player players[2];
static struct savepoint_error error;

static void need(enum savepoint_status status)
{
    if (status != SAVEPOINT_OK) {
        fprintf(stderr, "rollback: %s: %s\n", savepoint_status_name(status), error.message);
        exit(1);
    }
}

static void play_frame(struct player *player)
{
    struct game *game = player->game;
    need(savepoint_take(player->session, NULL, NULL, &error));
    need(savepoint_wait(player->session, 0, &player->at[game->frame], &error));
    for (int i = 0; i < 2; i++) {
        const char key = player->keys[game->frame][i];
        game->place[i] += (key == '>') - (key == '<');
        game->field[i][game->place[i] & 4095] += (char)(game->frame + game->field[1 - i][game->place[i] & 4095]);
    }
    game->frame++;
}

/* What the other one pressed at `frame` has come. If it was guessed wrongly: back to that frame, and on from there. */
static void receive(struct player *player, int other, int frame, char key)
{
    const int now = player->game->frame;
    const char guessed = player->keys[frame][other];
    for (int i = frame; i < FRAMES; i++) {
        player->keys[i][other] = key;
    }
    if (guessed != key) {
        need(savepoint_restore(player->session, &player->at[frame].id, NULL, &error));
        player->times_back++;
        while (player->game->frame < now) {
            play_frame(player);
        }
    }
}

static void join(struct player *player)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.ring_bytes = 1 << 20; /* a megabyte of history, and no archive */
    player->game = (void *)(player->memory + REGION_BYTES - (uintptr_t)player->memory % REGION_BYTES);
    memset(player->keys, '.', sizeof player->keys);
    need(savepoint_open(&player->session, NULL, &options, &error));
    need(savepoint_watch(player->session, "game", player->game, REGION_BYTES, &error));
}

int main(void)
{
    static const char pressed[2][FRAMES + 1] = { "....>>>>>>....<<<<<<<<<>>>>>....>><<>><<>>.....<<<<<<<......",
                                                 "<<......>>>>>>>>>......<<<<<>....<<<<<<<.......>>>>>>......." };
    join(&players[0]);
    join(&players[1]);
    for (int frame = 0; frame < FRAMES; frame++) {
        for (int i = 0; i < 2; i++) {
            players[i].keys[frame][i] = pressed[i][frame];
            if (frame >= LATE) {
                receive(&players[i], 1 - i, frame - LATE, pressed[1 - i][frame - LATE]);
            }
            play_frame(&players[i]);
        }
    }
    for (int i = 0; i < 2; i++) {
        char digest[SAVEPOINT_ID_TEXT_BYTES];
        savepoint_id_format(&players[i].at[FRAMES - 1].digest, digest);
        printf("player %d: %d frames, back %d times, in the end %s\n", i + 1, FRAMES, players[i].times_back, digest);
        need(savepoint_close(players[i].session, &error));
    }
    return 0;
}
