/* test_pages.c - page coders and PAGES bodies: round trips per coder, and hostile bodies that never yield wrong bytes
 */
#include <stdio.h>

#include "check.h"
#include "format/bytes.h"
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

/* Numbers that lie near each other. */
static void make_numbers(struct lab *lab, uint8_t *page)
{
    for (size_t k = 0; k < SVP_PAGE_BYTES; k += 8) {
        svp_store64(page + k, UINT64_C(0x4070000000000000) + model_below(&lab->random, UINT64_C(1) << 40));
    }
}

/* Contents a coder takes: zeros; noise or text; few changes against the base; numbers. */
static void make_page(struct lab *lab, enum svp_coder_id id, unsigned i, bool noise)
{
    uint8_t *before = lab->before[i];
    uint8_t *after = lab->after[i];
    for (size_t k = 0; k < SVP_PAGE_BYTES; k++) {
        before[k] = noise ? (uint8_t)model_random(&lab->random) : (uint8_t)(k / 64);
    }
    if (id == SVP_CODER_RUNS) {
        memset(before, 0, SVP_PAGE_BYTES);
    } else if (id == SVP_CODER_XOR_SHUFFLED) {
        make_numbers(lab, before);
    }
    memcpy(after, before, SVP_PAGE_BYTES);
    if (id == SVP_CODER_ZERO) {
        memset(after, 0, SVP_PAGE_BYTES);
    } else if (id == SVP_CODER_SHUFFLED || id == SVP_CODER_XOR_SHUFFLED) {
        make_numbers(lab, after);
    } else if (id == SVP_CODER_XOR) {
        for (size_t k = 0; k < SVP_PAGE_BYTES; k += 1 + model_below(&lab->random, 20)) {
            after[k] = (uint8_t)model_random(&lab->random);
        }
    } else if (id == SVP_CODER_XOR_RUNS || id == SVP_CODER_RUNS) {
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

/* All but `stored`, which is what `whole` becomes where nothing shrinks. */
static const enum svp_coder_id coded[] = { SVP_CODER_ZERO, SVP_CODER_WHOLE,    SVP_CODER_XOR_RUNS,    SVP_CODER_RUNS,
                                           SVP_CODER_XOR,  SVP_CODER_SHUFFLED, SVP_CODER_XOR_SHUFFLED };

CHECK_TEST(pages, every_coder_round_trips)
{
    static struct lab lab;
    open_lab(&lab);
    for (unsigned round = 0; round < 80; round++) {
        enum svp_coder_id id = coded[round / 2 % (sizeof coded / sizeof coded[0])];
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
    const size_t coders = sizeof coded / sizeof coded[0];
    unsigned rounds = hostile_rounds(3000);
    open_lab(&lab);
    for (size_t k = 0; k < coders + 1; k++) {
        unsigned refused = 0;
        const enum svp_coder_id id = k < coders ? coded[k] : SVP_CODER_WHOLE;
        write_batch(&lab, id, k == coders);
        for (unsigned i = 0; i < rounds; i++) {
            uint8_t *body = hostile_copy(lab.body.bytes, lab.body.count);
            size_t head = model_below(&lab.random, 2) == 0 && lab.body.count > 400 ? 400 : lab.body.count;
            size_t count = hostile_mutate(body, head, &lab.random); /* often the tables, sometimes the payload */
            count = count == head ? lab.body.count : count;
            refused += read_batch(&lab, body, count) < PAGES ? 1 : 0;
            free(body);
        }
        fprintf(stderr, "pages: coder %d: %u of %u mutated bodies lost pages, none gave wrong bytes\n", (int)id,
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
    CHECK(svp_coder_find(SVP_CODER_COUNT) == NULL && svp_coder_find(UINT16_MAX) == NULL);
}

static const struct svp_coder *chosen(const uint8_t *before, const uint8_t *after, bool base_usable)
{
    struct svp_changes changes;
    svp_compare(&changes, before, after);
    return svp_coder_choose(&changes, base_usable, 4096);
}

CHECK_TEST(pages, numbers_noise_and_scattered_changes_each_have_their_coder)
{
    static struct lab lab;
    static uint8_t before[SVP_PAGE_BYTES];
    static uint8_t after[SVP_PAGE_BYTES];
    open_lab(&lab);
    make_numbers(&lab, after); /* over zeros */
    CHECK(chosen(before, after, false) == &svp_coder_shuffled);
    memset(after, 0, sizeof after);
    after[17] = 1;
    CHECK(chosen(before, after, false) == &svp_coder_runs);
    for (size_t i = 0; i < SVP_PAGE_BYTES; i++) {
        before[i] = (uint8_t)model_random(&lab.random);
        after[i] = i % 16 == 3 ? (uint8_t)~before[i] : before[i];
    }
    CHECK(chosen(before, after, true) == &svp_coder_xor_shuffled); /* one place in each second word */
    for (size_t i = 0; i < SVP_PAGE_BYTES; i++) {
        after[i] = i % 11 == 3 ? (uint8_t)~before[i] : before[i];
    }
    CHECK(chosen(before, after, true) == &svp_coder_xor);
    CHECK(chosen(before, after, false) == &svp_coder_whole);
    for (size_t i = 0; i < SVP_PAGE_BYTES; i++) {
        after[i] = (uint8_t)model_random(&lab.random);
    }
    CHECK(chosen(before, after, true) == &svp_coder_whole);
    close_lab(&lab);
}

static uint64_t lines_of_runs(const struct svp_changes *changes)
{
    uint64_t lines = 0;
    for (uint32_t i = 0; i < changes->run_count; i++) {
        for (uint32_t k = 0; k < changes->runs[i].bytes; k++) {
            lines |= UINT64_C(1) << (changes->runs[i].offset + k) / SVP_LINE_BYTES;
        }
    }
    return lines;
}

/* Whatever the pages look like: what is chosen gives them back, and a reversible delta gives its base back too. */
CHECK_TEST(pages, no_choice_loses_a_byte)
{
    static struct lab lab;
    static struct svp_pages pages;
    static uint8_t unpacked[2 * SVP_PAGE_BYTES];
    unsigned met[SVP_CODER_COUNT] = { 0 };
    open_lab(&lab);
    for (unsigned round = 0; round < hostile_rounds(4000); round++) {
        struct svp_changes changes;
        struct svp_hash hash;
        uint16_t coder_id;
        uint8_t page[SVP_PAGE_BYTES];
        make_page(&lab, coded[round % (sizeof coded / sizeof coded[0])], round / 16 % 2, round % 2 == 0);
        const uint8_t *before = lab.before[round / 16 % 2];
        const uint8_t *after = lab.after[round / 16 % 2];
        svp_compare(&changes, before, after);
        const struct svp_coder *coder = svp_coder_choose(&changes, round % 5 != 0, 4096);
        hash = svp_digest128(0, after, SVP_PAGE_BYTES);
        svp_batch_clear(&lab.batch);
        svp_buffer_clear(&lab.body);
        svp_batch_add(&lab.batch, coder, 7, 8, &hash, after, before, &changes);
        svp_batch_write(&lab.body, &lab.batch, coder, REGION, OFFSET, lab.packer);
        CHECK_EQ(svp_pages_read(&pages, lab.body.bytes, lab.body.count, OFFSET, &coder_id), SVP_GOOD);
        CHECK_EQ(svp_pages_unpack(&pages, lab.unpacker, unpacked), SVP_GOOD);
        memcpy(page, before, sizeof page);
        CHECK_EQ(svp_pages_decode(&pages, 0, unpacked, page, &hash), SVP_GOOD);
        CHECK_MEM(page, after, sizeof page);
        if (coder->reversible) {
            const uint64_t lines = coder->decode(page, &pages.slots[0], unpacked);
            CHECK_MEM(page, before, sizeof page);
            CHECK_EQ(lines, coder == &svp_coder_xor_runs ? lines_of_runs(&changes) : SVP_LINES_ALL);
        }
        CHECK(coder->reversible == coder->has_base);
        met[coder_id]++;
    }
    for (unsigned id = 0; id < SVP_CODER_COUNT; id++) {
        CHECK(met[id] > 0 || svp_coder_find((uint16_t)id)->refers); /* chosen by who knows of another page */
    }
    close_lab(&lab);
}

/* Writes a batch of one page that is said to be at `record_offset`, and reads it as the record at OFFSET. */
static enum svp_verdict refer(struct lab *lab, uint64_t record_offset, uint64_t page, struct svp_reference *reference)
{
    static struct svp_pages pages;
    uint8_t unpacked[16];
    uint16_t coder_id = 0;
    const struct svp_hash hash = { { 7 } };
    svp_batch_clear(&lab->batch);
    svp_buffer_clear(&lab->body);
    svp_batch_refer(&lab->batch, 3, &hash, &(struct svp_reference){ record_offset, page });
    svp_batch_write(&lab->body, &lab->batch, &svp_coder_same, REGION, OFFSET, lab->packer);
    CHECK_EQ(svp_pages_read(&pages, lab->body.bytes, lab->body.count, OFFSET, &coder_id), SVP_GOOD);
    CHECK_EQ(coder_id, SVP_CODER_SAME);
    CHECK_MEM(pages.hashes, hash.bytes, sizeof hash.bytes);
    CHECK_EQ(svp_pages_unpack(&pages, lab->unpacker, unpacked), SVP_GOOD);
    return svp_pages_reference(&pages, 0, unpacked, OFFSET, reference);
}

CHECK_TEST(pages, references_lead_back)
{
    static struct lab lab;
    struct svp_reference reference;
    open_lab(&lab);
    CHECK_EQ(refer(&lab, OFFSET - 8, UINT64_MAX, &reference), SVP_GOOD);
    CHECK_EQ(reference.record_offset, OFFSET - 8);
    CHECK_EQ(reference.page, UINT64_MAX);
    CHECK_EQ(refer(&lab, 8, 0, &reference), SVP_GOOD);
    CHECK_EQ(refer(&lab, OFFSET, 3, &reference), SVP_BAD);
    CHECK_EQ(refer(&lab, OFFSET + 8, 3, &reference), SVP_BAD);
    CHECK_EQ(refer(&lab, UINT64_MAX - 7, 3, &reference), SVP_BAD);
    CHECK_EQ(refer(&lab, OFFSET - 4, 3, &reference), SVP_BAD);
    CHECK_EQ(refer(&lab, 0, 3, &reference), SVP_BAD); /* where the first SEGMENT stands */
    close_lab(&lab);
}

CHECK_TEST(pages, many_references_keep_apart)
{
    static struct lab lab;
    static struct svp_pages pages;
    static uint8_t unpacked[16 * PAGES];
    uint8_t page[SVP_PAGE_BYTES];
    struct svp_hash hash = { { 0 } };
    uint16_t coder_id = 0;
    open_lab(&lab);
    for (uint64_t i = 0; i < PAGES; i++) {
        svp_batch_refer(&lab.batch, 5 + i * i, &hash, &(struct svp_reference){ 8 * (1 + i % 3), i });
    }
    svp_batch_write(&lab.body, &lab.batch, &svp_coder_same, REGION, OFFSET, lab.packer);
    CHECK_EQ(svp_pages_read(&pages, lab.body.bytes, lab.body.count, OFFSET, &coder_id), SVP_GOOD);
    CHECK_EQ(pages.unpacked_bytes, sizeof unpacked);
    CHECK_EQ(svp_pages_unpack(&pages, lab.unpacker, unpacked), SVP_GOOD);
    for (uint32_t i = 0; i < PAGES; i++) {
        struct svp_reference reference;
        CHECK_EQ(svp_pages_find(&pages, 5 + (uint64_t)i * i), i);
        CHECK_EQ(svp_pages_reference(&pages, i, unpacked, OFFSET, &reference), SVP_GOOD);
        CHECK_EQ(reference.record_offset, 8 * (1 + i % 3));
        CHECK_EQ(reference.page, i);
        CHECK_EQ(svp_pages_decode(&pages, i, unpacked, page, &hash), SVP_BAD); /* it cannot follow */
    }
    svp_store32(lab.body.bytes + 24, 16 * PAGES + 16); /* one more than pages */
    CHECK_EQ(svp_pages_read(&pages, lab.body.bytes, lab.body.count, OFFSET, &coder_id), SVP_BAD);
    close_lab(&lab);
}
