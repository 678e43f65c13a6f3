/* test_regions.c - the table of regions: round trips, truncations, broken rules */
#include "check.h"
#include "format/regions.h"
#include "hostile.h"

static void fill_table(struct svp_region_table *table, struct svp_region_entry *entries, struct svp_excluded *excluded)
{
    excluded[0] = (struct svp_excluded){ 0, 2 };
    excluded[1] = (struct svp_excluded){ 3, 1 };
    entries[0] = (struct svp_region_entry){
        .id = 7, .bytes = 16 * 4096, .excluded_count = 2, .excluded = excluded, .name = "a"
    };
    entries[1] = (struct svp_region_entry){
        .id = 2, .flags = SVP_REGION_MAPPED, .address = 0x110000000000, .bytes = 4096, .name = "ab"
    };
    entries[2] = (struct svp_region_entry){ .id = 5, .bytes = SVP_REGION_BYTES_MAX, .name = "b\xc3\xa9" };
    *table = (struct svp_region_table){ 3, 8, entries };
}

CHECK_TEST(regions, round_trips)
{
    struct svp_region_table table;
    struct svp_region_entry entries[3];
    struct svp_excluded excluded[2];
    struct svp_region_table read;
    struct svp_buffer body = { 0 };
    fill_table(&table, entries, excluded);
    svp_regions_write(&body, &table);
    CHECK_EQ(body.count % 8, 0);
    CHECK_EQ(svp_regions_read(&read, body.bytes, body.count), SVP_GOOD);
    CHECK_EQ(read.count, 3);
    CHECK_EQ(read.next_id, 8);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_STR(read.entries[i].name, entries[i].name);
        CHECK_EQ(read.entries[i].id, entries[i].id);
        CHECK_EQ(read.entries[i].flags, entries[i].flags);
        CHECK_EQ(read.entries[i].address, entries[i].address);
        CHECK_EQ(read.entries[i].bytes, entries[i].bytes);
        CHECK_EQ(read.entries[i].excluded_count, entries[i].excluded_count);
        CHECK(svp_regions_find(&read, entries[i].name) == &read.entries[i]);
        CHECK(svp_regions_find_id(&read, entries[i].id) == &read.entries[i]);
    }
    CHECK(svp_regions_find(&read, "c") == NULL && svp_regions_find_id(&read, 1) == NULL);
    for (uint64_t page = 0; page < 16; page++) {
        CHECK_EQ(svp_region_excludes(&read.entries[0], page), page < 2 || page == 3);
    }
    CHECK(!svp_region_excludes(&read.entries[1], 0));
    for (size_t cut = 0; cut < body.count; cut++) {
        struct svp_region_table cut_table;
        uint8_t *exact = hostile_copy(body.bytes, cut);
        CHECK_EQ(svp_regions_read(&cut_table, exact, cut), SVP_BAD);
        free(exact);
    }
    svp_regions_free(&read);
    svp_buffer_free(&body);
}

CHECK_TEST(regions, an_empty_table_is_good)
{
    const struct svp_region_table table = { .next_id = 1 };
    struct svp_region_table read;
    struct svp_buffer body = { 0 };
    svp_regions_write(&body, &table);
    CHECK_EQ(svp_regions_read(&read, body.bytes, body.count), SVP_GOOD);
    CHECK_EQ(read.count, 0);
    svp_regions_free(&read);
    svp_buffer_free(&body);
}

static void break_rule(unsigned rule, struct svp_region_table *table, struct svp_region_entry *entries,
                       struct svp_excluded *excluded)
{
    switch (rule) {
    case 0:
        entries[1].id = 7; /* twice */
        break;
    case 1:
        table->next_id = 7; /* not above all ids */
        break;
    case 2:
        strcpy(entries[1].name, "a"); /* not unique */
        break;
    case 3:
        strcpy(entries[1].name, "A"); /* not in order */
        break;
    case 4:
        entries[0].bytes = 4097;
        break;
    case 5:
        entries[0].bytes = 0;
        break;
    case 6:
        entries[2].bytes = SVP_REGION_BYTES_MAX + 4096;
        break;
    case 7:
        entries[0].flags = 2;
        break;
    case 8:
        entries[0].name[0] = '\0';
        break;
    case 9:
        excluded[1].first_page = 2; /* touches the one before */
        break;
    case 10:
        excluded[1].page_count = 14; /* leaves the region */
        break;
    case 11:
        excluded[1].page_count = 0;
        break;
    case 12:
        excluded[1] = (struct svp_excluded){ 3, UINT64_MAX };
        break;
    default:
        entries[0].id = 0;
    }
}

CHECK_TEST(regions, broken_rules_are_refused)
{
    for (unsigned rule = 0; rule < 14; rule++) {
        struct svp_region_table table;
        struct svp_region_entry entries[3];
        struct svp_excluded excluded[2];
        struct svp_region_table read;
        struct svp_buffer body = { 0 };
        fill_table(&table, entries, excluded);
        break_rule(rule, &table, entries, excluded);
        svp_regions_write(&body, &table);
        CHECK_MSG(svp_regions_read(&read, body.bytes, body.count) == SVP_BAD, "rule %u", rule);
        CHECK(read.entries == NULL);
        svp_buffer_free(&body);
    }
}

CHECK_TEST(regions, hostile_tables_are_survived)
{
    struct svp_region_table table;
    struct svp_region_entry entries[3];
    struct svp_excluded excluded[2];
    struct svp_buffer body = { 0 };
    uint64_t random = 13;
    fill_table(&table, entries, excluded);
    svp_regions_write(&body, &table);
    for (unsigned i = 0; i < hostile_rounds(20000); i++) {
        struct svp_region_table read = { 0 };
        uint8_t *bytes = hostile_copy(body.bytes, body.count);
        size_t count = hostile_mutate(bytes, body.count, &random);
        if (svp_regions_read(&read, bytes, count) == SVP_GOOD) {
            svp_regions_free(&read);
        }
        CHECK(read.entries == NULL);
        free(bytes);
    }
    svp_buffer_free(&body);
}
