/* test_pack.c - packed bytes: round trips, and frames that lie */
#include <stdio.h>

#include "check.h"
#include "format/pack.h"
#include "hostile.h"

struct fixture {
    struct svp_packer *packer;
    struct svp_unpacker *unpacker;
    struct svp_buffer packed;
};

static void open_fixture(struct fixture *fixture, int level)
{
    *fixture = (struct fixture){ svp_packer_open(level), svp_unpacker_open(), { 0 } };
    CHECK(fixture->packer != NULL && fixture->unpacker != NULL);
}

static void close_fixture(struct fixture *fixture)
{
    svp_packer_close(fixture->packer);
    svp_unpacker_close(fixture->unpacker);
    svp_buffer_free(&fixture->packed);
}

static void fill(uint8_t *to, size_t count, unsigned kind, uint64_t *random)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = kind == 0 ? 0 : kind == 1 ? (uint8_t)(i / 100) : (uint8_t)model_random(random);
    }
}

CHECK_TEST(pack, round_trips_at_every_level)
{
    static const size_t counts[] = { 0, 1, 2, 15, 4095, 4096, 65536, 1 << 20 };
    static const int levels[] = { -7, 1, 3, 19 };
    uint64_t random = 9;
    uint8_t *plain = malloc(1 << 20);
    CHECK(plain != NULL);
    for (size_t l = 0; l < 4; l++) {
        struct fixture fixture;
        open_fixture(&fixture, levels[l]);
        for (unsigned i = 0; i < 24; i++) {
            size_t count = counts[i / 3];
            fill(plain, count, i % 3, &random);
            svp_buffer_clear(&fixture.packed);
            size_t stored = svp_pack(fixture.packer, &fixture.packed, plain, count);
            CHECK_EQ(stored, fixture.packed.count);
            CHECK(stored <= count);
            CHECK(i % 3 == 2 || count < 4000 || stored < count / 4); /* it does compress */
            uint8_t *back = hostile_copy(plain, count);
            memset(back, 0xee, count);
            CHECK_EQ(svp_unpack(fixture.unpacker, back, count, fixture.packed.bytes, stored), SVP_GOOD);
            CHECK_MEM(back, plain, count);
            free(back);
        }
        close_fixture(&fixture);
    }
    free(plain);
}

CHECK_TEST(pack, sizes_that_lie_are_refused)
{
    uint8_t plain[5000];
    uint8_t back[6000];
    struct fixture fixture;
    open_fixture(&fixture, 1);
    memset(plain, 3, sizeof plain);
    size_t stored = svp_pack(fixture.packer, &fixture.packed, plain, sizeof plain);
    const uint8_t *frame = fixture.packed.bytes;
    CHECK_EQ(svp_unpack(fixture.unpacker, back, sizeof plain + 1, frame, stored), SVP_BAD);
    CHECK_EQ(svp_unpack(fixture.unpacker, back, sizeof plain - 1, frame, stored), SVP_BAD);
    CHECK_EQ(svp_unpack(fixture.unpacker, back, stored - 1, frame, stored), SVP_BAD);
    CHECK_EQ(svp_unpack(fixture.unpacker, back, sizeof plain, frame, stored - 1), SVP_BAD);
    CHECK_EQ(svp_unpack(fixture.unpacker, back, sizeof plain, frame, 0), SVP_BAD);
    svp_buffer_add(&fixture.packed, fixture.packed.bytes, 0);
    size_t again = svp_pack(fixture.packer, &fixture.packed, plain, 100); /* two frames are not one */
    CHECK_EQ(svp_unpack(fixture.unpacker, back, sizeof plain + 100, fixture.packed.bytes, stored + again), SVP_BAD);
    close_fixture(&fixture);
}

CHECK_TEST(pack, mutated_frames_never_write_outside)
{
    uint8_t plain[4096];
    uint64_t random = 21;
    struct fixture fixture;
    unsigned good = 0;
    unsigned rounds = hostile_rounds(20000);
    open_fixture(&fixture, 1);
    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = (uint8_t)(i * i / 50);
    }
    size_t stored = svp_pack(fixture.packer, &fixture.packed, plain, sizeof plain);
    for (unsigned i = 0; i < rounds; i++) {
        uint8_t *frame = hostile_copy(fixture.packed.bytes, stored);
        uint8_t *back = hostile_copy(plain, sizeof plain);
        size_t count = hostile_mutate(frame, stored, &random);
        good += svp_unpack(fixture.unpacker, back, sizeof plain, frame, count) == SVP_GOOD ? 1 : 0;
        free(frame);
        free(back);
    }
    fprintf(stderr, "pack: %u mutated frames, %u still decoded\n", rounds, good);
    CHECK(rounds - good > rounds / 20); /* literals may change unseen: page hashes are for that */
    close_fixture(&fixture);
}
