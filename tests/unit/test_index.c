/* test_index.c - the INDEX body, list and map: round trips, truncations, hostile bytes */
#include "check.h"
#include "format/index.h"
#include "hostile.h"

enum { ENTRIES = 400, OFFSET = 1 << 20 };

struct lab {
    struct svp_packer *packer;
    struct svp_unpacker *unpacker;
    uint64_t random;
    struct svp_index index;
    struct svp_buffer body;
};

static void fill(struct lab *lab, enum svp_index_kind kind)
{
    uint32_t region = 1;
    uint64_t page = 0;
    lab->packer = svp_packer_open(1);
    lab->unpacker = svp_unpacker_open();
    lab->random = 51 + kind;
    lab->index = (struct svp_index){ .below = 4096, .kind = kind };
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (model_below(&lab->random, 20) == 0) {
            region += 1 + (uint32_t)model_below(&lab->random, 3);
            page = 0;
        }
        uint64_t count = 1 + model_below(&lab->random, 5);
        const struct svp_index_entry entry = { region, page, count, 8 * (1 + model_below(&lab->random, 100000)) };
        CHECK(svp_index_add(&lab->index, &entry));
        page += (kind == SVP_INDEX_MAP ? count : 0) + model_below(&lab->random, 4);
    }
    svp_index_sort(&lab->index);
    CHECK(svp_index_write(&lab->body, &lab->index, OFFSET, lab->packer));
    CHECK(!lab->body.failed);
}

static void empty(struct lab *lab)
{
    svp_packer_close(lab->packer);
    svp_unpacker_close(lab->unpacker);
    svp_index_free(&lab->index);
    svp_buffer_free(&lab->body);
}

static void check_round_trip(enum svp_index_kind kind)
{
    struct lab lab = { 0 };
    struct svp_index read;
    fill(&lab, kind);
    CHECK_EQ(svp_index_read(&read, lab.body.bytes, lab.body.count, OFFSET, lab.unpacker), SVP_GOOD);
    CHECK_EQ(read.kind, kind);
    CHECK_EQ(read.below, 4096);
    CHECK_EQ(read.count, lab.index.count);
    for (uint32_t i = 0; i < read.count; i++) {
        CHECK_EQ(read.entries[i].region_id, lab.index.entries[i].region_id);
        CHECK_EQ(read.entries[i].first_page, lab.index.entries[i].first_page);
        CHECK_EQ(read.entries[i].page_count, lab.index.entries[i].page_count);
        CHECK_EQ(read.entries[i].record_offset, lab.index.entries[i].record_offset);
    }
    svp_index_free(&read);
    for (size_t cut = 0; cut < lab.body.count; cut++) {
        uint8_t *exact = hostile_copy(lab.body.bytes, cut);
        CHECK_EQ(svp_index_read(&read, exact, cut, OFFSET, lab.unpacker), SVP_BAD);
        CHECK(read.entries == NULL);
        free(exact);
    }
    empty(&lab);
}

CHECK_TEST(index, a_list_round_trips)
{
    check_round_trip(SVP_INDEX_LIST);
}

CHECK_TEST(index, a_map_round_trips)
{
    check_round_trip(SVP_INDEX_MAP);
}

CHECK_TEST(index, a_map_joins_what_continues_and_a_list_does_not)
{
    struct svp_index map = { .kind = SVP_INDEX_MAP };
    struct svp_index list = { .kind = SVP_INDEX_LIST };
    for (uint64_t page = 0; page < 10; page++) {
        const struct svp_index_entry entry = { 1, page, 1, page < 6 ? 64 : 128 };
        CHECK(svp_index_add(&map, &entry) && svp_index_add(&list, &entry));
    }
    CHECK(svp_index_add(&map, &(struct svp_index_entry){ 2, 10, 1, 128 }));
    CHECK_EQ(map.count, 3);
    CHECK_EQ(map.entries[0].page_count, 6);
    CHECK_EQ(map.entries[1].page_count, 4);
    CHECK_EQ(list.count, 10);
    svp_index_free(&map);
    svp_index_free(&list);
}

CHECK_TEST(index, an_empty_one_is_good_and_one_that_points_ahead_is_bad)
{
    struct lab lab = { .packer = svp_packer_open(1), .unpacker = svp_unpacker_open() };
    struct svp_index read;
    lab.index.kind = SVP_INDEX_LIST;
    CHECK(svp_index_write(&lab.body, &lab.index, OFFSET, lab.packer));
    CHECK_EQ(svp_index_read(&read, lab.body.bytes, lab.body.count, OFFSET, lab.unpacker), SVP_GOOD);
    CHECK_EQ(read.count, 0);
    svp_index_free(&read);
    for (unsigned kind = SVP_INDEX_LIST; kind <= SVP_INDEX_MAP; kind++) {
        for (uint64_t offset = OFFSET; offset <= OFFSET + 8; offset += 8) {
            lab.index.kind = (enum svp_index_kind)kind;
            lab.index.count = 0;
            svp_buffer_clear(&lab.body);
            CHECK(svp_index_add(&lab.index, &(struct svp_index_entry){ 1, 0, 1, offset }));
            CHECK(svp_index_write(&lab.body, &lab.index, OFFSET, lab.packer));
            CHECK_EQ(svp_index_read(&read, lab.body.bytes, lab.body.count, OFFSET, lab.unpacker), SVP_BAD);
        }
    }
    lab.index.count = 0;
    lab.index.below = OFFSET;
    svp_buffer_clear(&lab.body);
    CHECK(svp_index_write(&lab.body, &lab.index, OFFSET, lab.packer));
    CHECK_EQ(svp_index_read(&read, lab.body.bytes, lab.body.count, OFFSET, lab.unpacker), SVP_BAD);
    empty(&lab);
}

/* What a reader relies on: entries ascend, lie inside the largest region, and point back. */
static void check_sound(const struct svp_index *index)
{
    for (uint32_t i = 0; i < index->count; i++) {
        const struct svp_index_entry *entry = &index->entries[i];
        CHECK(entry->region_id != 0 && entry->page_count > 0);
        CHECK(entry->record_offset != 0 && entry->record_offset < OFFSET);
        CHECK(entry->first_page + entry->page_count <= SVP_REGION_BYTES_MAX / SVP_PAGE_BYTES);
        CHECK(i == 0 || entry->region_id >= entry[-1].region_id);
    }
}

/* Else a few bytes, compressed, would be a table of more pages than fit into memory. */
CHECK_TEST(index, a_map_of_more_pages_than_bytes_before_it_is_bad)
{
    enum { RUN = SVP_BATCH_PAGES_MAX, RUNS = 3, BEFORE = RUN * RUNS };
    struct lab lab = { .packer = svp_packer_open(1), .unpacker = svp_unpacker_open() };
    struct svp_index read;
    lab.index.kind = SVP_INDEX_MAP;
    for (uint64_t i = 0; i < RUNS; i++) {
        CHECK(svp_index_add(&lab.index, &(struct svp_index_entry){ 1, i * RUN, RUN, 8 + 8 * i }));
    }
    CHECK(svp_index_write(&lab.body, &lab.index, BEFORE, lab.packer));
    CHECK_EQ(svp_index_read(&read, lab.body.bytes, lab.body.count, BEFORE, lab.unpacker), SVP_GOOD);
    svp_index_free(&read);
    CHECK_EQ(svp_index_read(&read, lab.body.bytes, lab.body.count, BEFORE - 8, lab.unpacker), SVP_BAD);
    empty(&lab);
}

CHECK_TEST(index, hostile_indexes_are_survived)
{
    for (unsigned kind = SVP_INDEX_LIST; kind <= SVP_INDEX_MAP; kind++) {
        struct lab lab = { 0 };
        unsigned refused = 0;
        unsigned rounds = hostile_rounds(10000);
        fill(&lab, (enum svp_index_kind)kind);
        for (unsigned i = 0; i < rounds; i++) {
            struct svp_index read;
            uint8_t *bytes = hostile_copy(lab.body.bytes, lab.body.count);
            size_t count = hostile_mutate(bytes, lab.body.count, &lab.random);
            if (svp_index_read(&read, bytes, count, OFFSET, lab.unpacker) == SVP_GOOD) {
                check_sound(&read);
                svp_index_free(&read);
            } else {
                refused++;
            }
            free(bytes);
        }
        CHECK(refused > rounds / 20);
        empty(&lab);
    }
}
