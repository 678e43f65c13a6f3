/* desync.c - a lesson: two players' games drift apart; when it began, where, and a replay to look into */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <savepoint.h>

enum { FRAMES = 60, PLANTS = 40000, REGION_BYTES = 16 * 65536 };

struct garden { /* the game: each frame a few plants grow */
    unsigned frame, random;
    int height[PLANTS];
};

struct player {
    struct savepoint *session;
    struct garden *garden;
    struct savepoint_snapshot at[FRAMES];
    unsigned char memory[REGION_BYTES + 65536];
};

static struct player players[2];
static struct savepoint_error error;

static void need(enum savepoint_status status)
{
    if (status != SAVEPOINT_OK) {
        fprintf(stderr, "desync: %s: %s\n", savepoint_status_name(status), error.message);
        exit(1);
    }
}

static void join(struct player *player)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.ring_bytes = 1 << 20;
    player->garden = (void *)(player->memory + 65536 - (uintptr_t)player->memory % 65536);
    need(savepoint_open(&player->session, NULL, &options, &error));
    need(savepoint_watch(player->session, "garden", player->garden, REGION_BYTES, &error));
}

/* The second player's build has a bug, which strikes once. */
static void play_frame(struct player *player)
{
    struct garden *garden = player->garden;
    for (int i = 0; i < 50; i++) {
        garden->random = garden->random * 1664525u + 1013904223u;
        garden->height[garden->random % PLANTS] += garden->frame == 37 && i == 5 && player == &players[1] ? 2 : 1;
    }
    need(savepoint_take(player->session, NULL, NULL, &error));
    need(savepoint_wait(player->session, 0, &player->at[garden->frame], &error));
    garden->frame++;
}

/* In a game the question is a message of 16 bytes, and the answer one of at most 16 hashes. */
static int ask(void *peer, struct savepoint_id *answer, size_t *count, size_t capacity,
               const struct savepoint_hashes_question *question)
{
    return savepoint_hashes_answer(peer, answer, count, capacity, question, &error) != SAVEPOINT_OK;
}

/* Both have gone on meanwhile: the ring still holds the frame. */
static void find(int frame)
{
    struct savepoint_hashes *hashes[2];
    struct savepoint_first_difference found;
    for (int i = 0; i < 2; i++) {
        need(savepoint_hashes_open(players[i].session, &hashes[i], &players[i].at[frame].id, &error));
    }
    need(savepoint_hashes_compare(hashes[0], &found, &players[1].at[frame].digest, ask, hashes[1], &error));
    printf("frame %d: the gardens differ, first in page %llu of %llu of '%s', found by %u questions\n", frame,
           (unsigned long long)found.page, (unsigned long long)found.region_pages, found.region, found.questions);
    savepoint_hashes_close(hashes[0]);
    savepoint_hashes_close(hashes[1]);
}

int main(void)
{
    join(&players[0]);
    join(&players[1]);
    for (int frame = 0; frame < FRAMES; frame++) {
        play_frame(&players[0]);
        play_frame(&players[1]);
    }
    int frame = 0; /* players tell each other the digests of their frames */
    while (frame < FRAMES && memcmp(&players[0].at[frame].digest, &players[1].at[frame].digest, 16) == 0) {
        frame++;
    }
    if (frame < FRAMES) {
        find(frame);
    }
    remove("desync.svp");
    need(savepoint_promote(players[1].session, NULL, NULL, "desync.svp", NULL, &error));
    printf("all frames of the second player are in desync.svp\n");
    need(savepoint_close(players[0].session, &error));
    need(savepoint_close(players[1].session, &error));
    return 0;
}
