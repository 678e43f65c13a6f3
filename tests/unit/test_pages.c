/* test_pages.c - page coders and PAGES bodies: round trips per coder, and hostile bodies that never yield wrong bytes
 */
#include <stdio.h>

#include "check.h"
#include "format/pages.h"
#include "format/tree.h"
#include "hostile.h"

enum { PAGES = 20, OFFSET = 40960, REGION = 3 };

struct lab {
    struct svp_packer *packer;
    struct svp_unpacker *unpacker;
    uint64_t random;
    struct svp_batch batch;
    uint8_t before[PAGES][SVP_PAGE_BYTES]; /* bases */
    uint8_t after[PAGES][SVP_PAGE_BYTES];
    struct svp_buffer body;
};

static void open_lab(struct lab *lab)
{
    memset(lab, 0, sizeof *lab);
    lab->packer = svp_packer_open(1);
    lab->unpacker = svp_unpacker_open();
    lab->random = 31;
    CHECK(lab->packer != NULL && lab->unpacker != NULL);
}

static void close_lab(struct lab *lab)
{
    svp_packer_close(lab->packer);
    svp_unpacker_close(lab->unpacker);
    svp_batch_free(&lab->batch);
    svp_buffer_free(&lab->body);
}

/* Contents a coder takes: zeros; noise or text; few changes against the base. */
static void make_page(struct lab *lab, enum svp_coder_id id, unsigned i, bool noise)
{
    uint8_t *before = lab->before[i];
    uint8_t *after = lab->after[i];
    for (size_t k = 0; k < SVP_PAGE_BYTES; k++) {
        before[k] = noise ? (uint8_t)model_random(&lab->random) : (uint8_t)(k / 64);
    }
    memcpy(after, before, SVP_PAGE_BYTES);
    if (id == SVP_CODER_ZERO) {
        memset(after, 0, SVP_PAGE_BYTES);
    } else if (id == SVP_CODER_XOR_RUNS) {
        for (uint64_t k = model_below(&lab->random, 60) + 1; k > 0; k--) {
            after[model_below(&lab->random, SVP_PAGE_BYTES)] ^= (uint8_t)(1 + model_below(&lab->random, 255));
        }
        after[i % 2 == 0 ? 0 : SVP_PAGE_BYTES - 1] ^= 5; /* both ends of a page */
    }
}

static void write_batch(struct lab *lab, enum svp_coder_id id, bool noise)
{
    const struct svp_coder *coder = svp_coder_find((uint16_t)id);
    svp_batch_clear(&lab->batch);
    svp_buffer_clear(&lab->body);
    for (unsigned i = 0; i < PAGES; i++) {
        struct svp_changes changes;
        make_page(lab, id, i, noise);
        svp_compare(&changes, lab->before[i], lab->after[i]);
        const struct svp_hash hash = svp_digest128(0, lab->after[i], SVP_PAGE_BYTES);
        svp_batch_add(&lab->batch, coder, 5 + i * i, 8 * (1 + model_below(&lab->random, 1000)), &hash, lab->after[i],
                      lab->before[i], &changes);
    }
    svp_batch_write(&lab->body, &lab->batch, coder, REGION, OFFSET, lab->packer);
    CHECK(!lab->body.failed);
}

/* Decodes every page of a body; GOOD pages must be what was stored, for the hash says so. Returns the good ones. */
static unsigned read_batch(struct lab *lab, const uint8_t *body, size_t bytes)
{
    static struct svp_pages pages;
    uint16_t coder_id = 0;
    unsigned good = 0;
    if (svp_pages_read(&pages, body, bytes, OFFSET, &coder_id) != SVP_GOOD) {
        return 0;
    }
    uint8_t *unpacked = malloc(pages.unpacked_bytes > 0 ? pages.unpacked_bytes : 1);
    CHECK(unpacked != NULL);
    bool sound = svp_pages_unpack(&pages, lab->unpacker, unpacked) == SVP_GOOD;
    for (uint32_t slot = 0; sound && slot < pages.count; slot++) {
        uint8_t page[SVP_PAGE_BYTES];
        struct svp_hash hash;
        CHECK(slot == 0 || pages.pages[slot] > pages.pages[slot - 1]);
        CHECK_EQ(svp_pages_find(&pages, pages.pages[slot]), slot);
        CHECK(!pages.coder->has_base || (pages.bases[slot] != 0 && pages.bases[slot] < OFFSET));
        memcpy(page, lab->before[slot % PAGES], sizeof page);
        if (svp_pages_decode(&pages, slot, unpacked, page, &hash) == SVP_GOOD) {
            const struct svp_hash own = svp_digest128(0, page, sizeof page);
            CHECK_MEM(hash.bytes, own.bytes, sizeof own.bytes);
            uint32_t told_bytes = pages.coder->hash_bytes;
            bool told = told_bytes == 0 || memcmp(own.bytes, pages.hashes + slot * told_bytes, told_bytes) == 0;
            CHECK(told);
            good += slot < PAGES && memcmp(page, lab->after[slot], sizeof page) == 0 ? 1 : 0;
        }
    }
    free(unpacked);
    return good;
}

CHECK_TEST(pages, every_coder_round_trips)
{
    static struct lab lab;
    open_lab(&lab);
    for (unsigned round = 0; round < 40; round++) {
        enum svp_coder_id id = round % 3 == 0 ? SVP_CODER_ZERO : round % 3 == 1 ? SVP_CODER_WHOLE : SVP_CODER_XOR_RUNS;
        struct svp_pages pages;
        uint16_t coder_id = 0;
        write_batch(&lab, id, round % 2 == 0);
        CHECK_EQ(svp_pages_read(&pages, lab.body.bytes, lab.body.count, OFFSET, &coder_id), SVP_GOOD);
        CHECK_EQ(pages.region_id, REGION);
        CHECK_EQ(pages.count, PAGES);
        bool stored = id == SVP_CODER_WHOLE && round % 2 == 0; /* noise does not shrink */
        CHECK_EQ(pages.coder->id, stored ? SVP_CODER_STORED : id);
        for (uint32_t i = 0; i < PAGES; i++) {
            CHECK_EQ(pages.pages[i], 5 + i * i);
            CHECK(!pages.coder->has_base || pages.bases[i] == lab.batch.bases[i]);
        }
        CHECK_EQ(svp_pages_find(&pages, 4), -1);
        CHECK_EQ(svp_pages_find(&pages, 7), -1);
        CHECK_EQ(read_batch(&lab, lab.body.bytes, lab.body.count), PAGES);
        for (size_t cut = 0; cut < lab.body.count; cut += 1 + cut / 50) {
            uint8_t *exact = hostile_copy(lab.body.bytes, cut);
            CHECK_EQ(svp_pages_read(&pages, exact, cut, OFFSET, &coder_id), SVP_BAD);
            free(exact);
        }
    }
    close_lab(&lab);
}

CHECK_TEST(pages, hostile_bodies_never_yield_wrong_bytes)
{
    static struct lab lab;
    static const enum svp_coder_id ids[] = { SVP_CODER_ZERO, SVP_CODER_WHOLE, SVP_CODER_XOR_RUNS };
    unsigned rounds = hostile_rounds(6000);
    open_lab(&lab);
    for (size_t k = 0; k < 4; k++) {
        unsigned refused = 0;
        write_batch(&lab, ids[k % 3], k == 3);
        for (unsigned i = 0; i < rounds; i++) {
            uint8_t *body = hostile_copy(lab.body.bytes, lab.body.count);
            size_t head = model_below(&lab.random, 2) == 0 && lab.body.count > 400 ? 400 : lab.body.count;
            size_t count = hostile_mutate(body, head, &lab.random); /* often the tables, sometimes the payload */
            count = count == head ? lab.body.count : count;
            refused += read_batch(&lab, body, count) < PAGES ? 1 : 0;
            free(body);
        }
        fprintf(stderr, "pages: coder %d: %u of %u mutated bodies lost pages, none gave wrong bytes\n", (int)ids[k % 3],
                refused, rounds);
        CHECK(refused > rounds / 20);
    }
    close_lab(&lab);
}

/* A payload's lists under a good record hash: the coder alone stands between them and memory. */
CHECK_TEST(pages, hostile_run_lists_stay_inside)
{
    static uint8_t page[SVP_PAGE_BYTES];
    uint64_t random = 41;
    unsigned good = 0;
    for (unsigned round = 0; round < hostile_rounds(100000); round++) {
        uint8_t list[24];
        struct svp_slot slots[3];
        size_t count = 1 + model_below(&random, sizeof list);
        for (size_t i = 0; i < count; i++) {
            list[i] = (uint8_t)(model_below(&random, 3) == 0 ? model_random(&random) : model_below(&random, 3));
        }
        uint8_t *payload = hostile_copy(list, count);
        uint32_t pages = 1 + (uint32_t)model_below(&random, 3);
        if (svp_coder_xor_runs.size_fits(pages, (uint32_t)count) &&
            svp_coder_xor_runs.locate(slots, pages, payload, (uint32_t)count) == SVP_GOOD) {
            for (uint32_t i = 0; i < pages; i++) {
                uint8_t *exact = hostile_copy(page, sizeof page);
                svp_coder_xor_runs.decode(exact, &slots[i], payload);
                free(exact);
            }
            good++;
        }
        free(payload);
    }
    fprintf(stderr, "pages: %u random run lists were sound\n", good);
    CHECK(good > 100);
}

CHECK_TEST(pages, the_cheapest_affordable_coder_is_chosen)
{
    static uint8_t before[SVP_PAGE_BYTES];
    static uint8_t after[SVP_PAGE_BYTES];
    struct svp_changes changes;
    memset(before, 1, sizeof before);
    svp_compare(&changes, before, after);
    CHECK(svp_coder_choose(&changes, true, 4096) == &svp_coder_zero);
    memcpy(after, before, sizeof after);
    after[9] = 2;
    svp_compare(&changes, before, after);
    CHECK(svp_coder_choose(&changes, true, 4096) == &svp_coder_xor_runs);
    CHECK(svp_coder_choose(&changes, true, 5) == &svp_coder_xor_runs);
    CHECK(svp_coder_choose(&changes, true, 4) == &svp_coder_whole); /* the chain would cost more than the page */
    CHECK(svp_coder_choose(&changes, false, 4096) == &svp_coder_whole);
    memset(after, 9, sizeof after);
    svp_compare(&changes, before, after);
    CHECK(svp_coder_choose(&changes, true, 4096) == &svp_coder_whole);
    CHECK(svp_coder_find(4) == NULL && svp_coder_find(UINT16_MAX) == NULL);
}
