/* test_hashes.c - the first page in which two peers differ: found by few questions, counted, and answers that are none
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>

#include "../crash/crash_fixture.h"

enum { PAGES = 3000, RING_BYTES = 8 << 20 };

struct peer {
    struct savepoint *session;
    uint8_t *small, *large; /* regions "a", of 3 pages, and "b" */
};

struct wire { /* to a peer that has these hashes */
    const struct savepoint_hashes *hashes;
    size_t questions, answered;
    size_t stop_at;  /* question that is not carried any more; 0: none */
    size_t wrong_at; /* question whose answer arrives changed; 0: none */
    size_t short_at; /* whose answer lacks its last hash; 0: none */
};

static void peer_open(struct peer *peer, const char *path, size_t pages)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    uint64_t random = 3;
    options.ring_bytes = RING_BYTES;
    options.watch = backend_name(0);
    peer->small = aligned_alloc(65536, 65536);
    peer->large = aligned_alloc(65536, (PAGES / 16 + 1) * 65536);
    CHECK(peer->small != NULL && peer->large != NULL);
    memset(peer->small, 1, 65536);
    random_fill(peer->large, PAGES * PAGE_BYTES, &random);
    CHECK_OK(savepoint_open(&peer->session, path, &options, NULL));
    CHECK_OK(savepoint_watch(peer->session, "b", peer->large, pages * PAGE_BYTES, NULL));
    CHECK_OK(savepoint_watch(peer->session, "a", peer->small, 3 * PAGE_BYTES, NULL));
}

static void peer_close(struct peer *peer)
{
    CHECK_OK(savepoint_close(peer->session, NULL));
    free(peer->small);
    free(peer->large);
}

static struct savepoint_snapshot take(struct peer *peer, uint32_t history)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    options.history = history;
    CHECK_OK(savepoint_take(peer->session, NULL, &options, NULL));
    CHECK_OK(savepoint_wait(peer->session, 0, &snapshot, NULL));
    return snapshot;
}

static int carry(void *user, struct savepoint_id *answer, size_t *count, size_t capacity,
                 const struct savepoint_hashes_question *question)
{
    struct wire *wire = user;
    wire->questions++;
    if (wire->questions == wire->stop_at) {
        return 1;
    }
    CHECK_OK(savepoint_hashes_answer(wire->hashes, answer, count, capacity, question, NULL));
    wire->answered += *count;
    if (wire->questions == wire->wrong_at) {
        answer[*count - 1].bytes[7] ^= 1;
    }
    *count -= wire->questions == wire->short_at ? 1 : 0;
    return 0;
}

static enum savepoint_status compare(struct peer *peer, struct wire *wire, struct savepoint_first_difference *found,
                                     const struct savepoint_id *own, const struct savepoint_id *digest)
{
    struct savepoint_hashes *hashes = NULL;
    CHECK_OK(savepoint_hashes_open(peer->session, &hashes, own, NULL));
    enum savepoint_status status = savepoint_hashes_compare(hashes, found, digest, carry, wire, NULL);
    savepoint_hashes_close(hashes);
    return status;
}

/* What is asked for at most: a root for each region, and 16 hashes for each level of the tree. */
static size_t most_hashes(size_t pages)
{
    size_t hashes = 2;
    for (size_t nodes = pages; nodes > 1; nodes = (nodes + 15) / 16) {
        hashes += 16;
    }
    return hashes;
}

/* The frame in question lies behind or ahead of where the ring stands; the peers have gone on. */
CHECK_TEST(hashes, peers_find_the_first_page_that_differs_by_few_questions)
{
    struct peer left, right;
    struct savepoint_snapshot ours[4], theirs[4];
    uint64_t random = 11;
    CHECK_EQ(most_hashes(PAGES), 2 + 16 * 3);
    for (int round = 0; round < 12; round++) {
        size_t first = SIZE_MAX;
        peer_open(&left, NULL, PAGES);
        peer_open(&right, NULL, PAGES);
        for (int frame = 0; frame < 4; frame++) {
            for (int i = 0; i < 20; i++) {
                const size_t byte = random_next(&random) % (PAGES * PAGE_BYTES);
                left.large[byte]++;
                right.large[byte]++;
            }
            for (int i = 0; frame == 1 && i < 1 + round / 3; i++) {
                const size_t page = random_next(&random) % PAGES;
                right.large[page * PAGE_BYTES + 5]++;
                first = page < first ? page : first;
            }
            ours[frame] = take(&left, SAVEPOINT_RING);
            theirs[frame] = take(&right, SAVEPOINT_RING);
        }
        for (int frame = 0; frame < 4; frame++) {
            struct wire wire = { .questions = 0 };
            struct savepoint_hashes *answers = NULL;
            struct savepoint_first_difference found = { .page = 0 };
            CHECK_OK(savepoint_restore(left.session, &ours[round % 4].id, NULL, NULL));
            CHECK_OK(savepoint_hashes_open(right.session, &answers, &theirs[frame].id, NULL));
            wire.hashes = answers;
            enum savepoint_status status = compare(&left, &wire, &found, &ours[frame].id, &theirs[frame].digest);
            CHECK_STATUS(status, frame == 0 ? SAVEPOINT_NOT_FOUND : SAVEPOINT_OK);
            if (frame > 0) {
                CHECK_STR(found.region, "b");
                CHECK(found.page == first && found.region_pages == PAGES);
                CHECK_EQ(wire.questions, found.questions);
                CHECK_EQ(wire.questions, 4);
                CHECK(wire.answered <= most_hashes(PAGES));
            } else {
                CHECK_EQ(wire.questions, 0);
            }
            savepoint_hashes_close(answers);
        }
        CHECK_OK(savepoint_restore(left.session, &ours[3].id, NULL, NULL));
        CHECK_OK(savepoint_restore(right.session, &theirs[3].id, NULL, NULL));
        const struct savepoint_snapshot again = take(&left, SAVEPOINT_RING);
        CHECK_MEM(&again.digest, &ours[3].digest, sizeof again.digest);
        peer_close(&left);
        peer_close(&right);
    }
}

CHECK_TEST(hashes, of_an_archive_they_are_those_of_the_ring)
{
    const char *path = scratch_path("hashes.svp");
    struct savepoint_archive *archive = NULL;
    struct savepoint_hashes *old = NULL, *again = NULL, *now = NULL;
    struct savepoint_first_difference found;
    struct peer peer;
    file_remove(path);
    peer_open(&peer, path, PAGES);
    const struct savepoint_snapshot first = take(&peer, SAVEPOINT_ARCHIVE);
    CHECK_OK(savepoint_exclude(peer.session, "b", 0, 100 * PAGE_BYTES, NULL));
    peer.large[50 * PAGE_BYTES]++;
    peer.large[1234 * PAGE_BYTES]++;
    const struct savepoint_snapshot frame = take(&peer, SAVEPOINT_RING);
    struct savepoint_snapshot second = take(&peer, SAVEPOINT_ARCHIVE);
    CHECK_OK(savepoint_include(peer.session, "b", 0, 100 * PAGE_BYTES, NULL));
    take(&peer, SAVEPOINT_RING);
    CHECK_OK(savepoint_hashes_open(peer.session, &now, &frame.id, NULL));
    CHECK_OK(savepoint_hashes_open(peer.session, &old, &first.id, NULL));
    peer_close(&peer);
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_newest(archive, &second, NULL));
    CHECK_OK(savepoint_archive_hashes(archive, &again, &second, NULL));
    savepoint_archive_close(archive);
    struct wire wire = { .hashes = now };
    CHECK_STATUS(savepoint_hashes_compare(again, &found, &frame.digest, carry, &wire, NULL), SAVEPOINT_NOT_FOUND);
    CHECK_OK(savepoint_hashes_compare(old, &found, &frame.digest, carry, &wire, NULL));
    CHECK_EQ(found.page, 0); /* left out: zeros */
    wire = (struct wire){ .hashes = old };
    CHECK_OK(savepoint_hashes_compare(again, &found, &first.digest, carry, &wire, NULL));
    CHECK(found.page == 0 && wire.questions == 4);
    savepoint_hashes_close(old);
    savepoint_hashes_close(now);
    savepoint_hashes_close(again);
}

CHECK_TEST(hashes, what_is_no_answer_is_refused)
{
    struct peer left, right;
    struct savepoint_hashes *hashes = NULL, *other = NULL;
    struct savepoint_first_difference found = { .page = 99 };
    struct savepoint_id answer[SAVEPOINT_HASHES_FANOUT];
    struct savepoint_error error;
    size_t count = 0;
    peer_open(&left, NULL, PAGES);
    peer_open(&right, NULL, PAGES);
    const struct savepoint_snapshot ours = take(&left, SAVEPOINT_RING);
    right.small[2 * PAGE_BYTES]++;
    right.large[2000 * PAGE_BYTES]++;
    const struct savepoint_snapshot theirs = take(&right, SAVEPOINT_RING);
    CHECK_OK(savepoint_hashes_open(left.session, &hashes, &ours.id, NULL));
    CHECK_OK(savepoint_hashes_open(right.session, &other, &theirs.id, NULL));
    struct wire wire = { .hashes = other };
    CHECK_OK(savepoint_hashes_compare(hashes, &found, &theirs.digest, carry, &wire, NULL));
    CHECK(found.page == 2 && strcmp(found.region, "a") == 0 && found.questions == 2);
    found.page = 99;
    for (size_t at = 1; at <= 2; at++) {
        wire = (struct wire){ .hashes = other, .stop_at = at };
        CHECK_STATUS(savepoint_hashes_compare(hashes, &found, &theirs.digest, carry, &wire, NULL), SAVEPOINT_CANCELLED);
        wire = (struct wire){ .hashes = other, .wrong_at = at };
        CHECK_STATUS(savepoint_hashes_compare(hashes, &found, &theirs.digest, carry, &wire, NULL), SAVEPOINT_MISMATCH);
        wire = (struct wire){ .hashes = other, .short_at = at };
        CHECK_STATUS(savepoint_hashes_compare(hashes, &found, &theirs.digest, carry, &wire, NULL), SAVEPOINT_MISMATCH);
    }
    wire = (struct wire){ .hashes = hashes }; /* the peer echoes */
    CHECK_STATUS(savepoint_hashes_compare(hashes, &found, &theirs.digest, carry, &wire, NULL), SAVEPOINT_MISMATCH);
    CHECK_EQ(found.page, 99);
    const struct savepoint_hashes_question questions[] = { { 0, 0, 0 }, { 1, 3, 0 }, { 1, 3, 1 }, { 1, 4, 0 },
                                                           { 2, 1, 0 }, { 0, 1, 0 }, { 0, 2, 0 } };
    static const size_t counts[] = { 2, 12, 0, 0, 0, 3, 0 };
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        CHECK_STATUS(savepoint_hashes_answer(hashes, answer, &count, 16, &questions[i], &error),
                     counts[i] > 0 ? SAVEPOINT_OK : SAVEPOINT_NOT_FOUND);
        CHECK(counts[i] == 0 || count == counts[i]);
    }
    CHECK_STATUS(savepoint_hashes_answer(hashes, answer, &count, 1, &questions[0], &error), SAVEPOINT_LIMIT);
    struct savepoint_id nobody = { { 1 } };
    struct savepoint_hashes *none = NULL;
    CHECK_STATUS(savepoint_hashes_open(left.session, &none, &nobody, &error), SAVEPOINT_NOT_FOUND);
    CHECK_STATUS(savepoint_hashes_open(left.session, &none, NULL, &error), SAVEPOINT_INVALID);
    savepoint_hashes_close(hashes);
    savepoint_hashes_close(other);
    savepoint_hashes_close(NULL);
    peer_close(&left);
    peer_close(&right);
}

/* Of other sizes, or one more. */
CHECK_TEST(hashes, peers_with_other_regions_are_told_so)
{
    struct peer left, right;
    struct savepoint_first_difference found;
    struct savepoint_hashes *other = NULL;
    peer_open(&left, NULL, PAGES);
    peer_open(&right, NULL, PAGES - 1);
    const struct savepoint_snapshot ours = take(&left, SAVEPOINT_RING);
    struct savepoint_snapshot theirs = take(&right, SAVEPOINT_RING);
    CHECK_OK(savepoint_hashes_open(right.session, &other, &theirs.id, NULL));
    struct wire wire = { .hashes = other };
    CHECK_STATUS(compare(&left, &wire, &found, &ours.id, &theirs.digest), SAVEPOINT_MISMATCH);
    savepoint_hashes_close(other);
    CHECK_OK(savepoint_grow(right.session, "b", PAGES * PAGE_BYTES, NULL));
    CHECK_OK(savepoint_watch(right.session, "c", right.small + 8 * PAGE_BYTES, PAGE_BYTES, NULL));
    theirs = take(&right, SAVEPOINT_RING);
    CHECK_OK(savepoint_hashes_open(right.session, &other, &theirs.id, NULL));
    wire = (struct wire){ .hashes = other };
    CHECK_STATUS(compare(&left, &wire, &found, &ours.id, &theirs.digest), SAVEPOINT_MISMATCH);
    savepoint_hashes_close(other);
    CHECK_OK(savepoint_remove(right.session, "c", NULL));
    CHECK_STATUS(savepoint_hashes_open(right.session, &other, &theirs.id, NULL), SAVEPOINT_MISMATCH);
    theirs = take(&right, SAVEPOINT_RING);
    CHECK_MEM(&theirs.digest, &ours.digest, sizeof ours.digest);
    peer_close(&left);
    peer_close(&right);
}
