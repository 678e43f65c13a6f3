/* test_longchain.c - long histories: merged indexes, branches from the middle, chains and lookups that stay bounded */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/page_map.h"
#include "check.h"
#include "bad_disk.h"
#include "format/bytes.h"
#include "model.h"

enum { PAGES = 24, COMMITS = 760, NEVER_WRITTEN = 5, LOOKUP_RECORDS_MAX = 14 };

/* ---- index records read, counted */

enum svp_verdict __real_svp_index_read(struct svp_index *index, const uint8_t *body, size_t bytes,
                                       uint64_t record_offset, struct svp_unpacker *unpacker);
enum svp_verdict __wrap_svp_index_read(struct svp_index *index, const uint8_t *body, size_t bytes,
                                       uint64_t record_offset, struct svp_unpacker *unpacker);
static unsigned indexes_read;

enum svp_verdict __wrap_svp_index_read(struct svp_index *index, const uint8_t *body, size_t bytes,
                                       uint64_t record_offset, struct svp_unpacker *unpacker)
{
    indexes_read++;
    return __real_svp_index_read(index, body, bytes, record_offset, unpacker);
}

/* ---- the history */

struct committed {
    struct savepoint_id id;
    struct svp_hash hashes[PAGES];
};

struct chain {
    char path[64];
    struct savepoint *session;
    uint8_t *memory;
    uint64_t random;
    unsigned count;
    struct committed commits[COMMITS];
};

static void reopen(struct chain *chain)
{
    if (chain->session != NULL) {
        CHECK_OK(savepoint_close(chain->session, NULL));
    }
    CHECK_OK(savepoint_open(&chain->session, chain->path, NULL, NULL));
    CHECK_OK(savepoint_watch(chain->session, "r", chain->memory, PAGES * MODEL_PAGE_BYTES, NULL));
    CHECK_STATUS(savepoint_resume(chain->session, NULL, NULL), chain->count > 0 ? SAVEPOINT_OK : SAVEPOINT_EMPTY);
}

/* Page 0 changes a little every time (long chains of deltas), page 1 seldom, the others now and then. */
static void write_some(struct chain *chain)
{
    chain->memory[model_below(&chain->random, MODEL_PAGE_BYTES)]++;
    for (unsigned i = 0; i < 2; i++) {
        size_t page = 2 + model_below(&chain->random, PAGES - 2);
        size_t at = page * MODEL_PAGE_BYTES + model_below(&chain->random, MODEL_PAGE_BYTES - 8);
        uint64_t value = model_random(&chain->random);
        if (page != NEVER_WRITTEN) {
            memcpy(chain->memory + at, &value, sizeof value);
        }
    }
    if (chain->count % 300 == 10) {
        memset(chain->memory + MODEL_PAGE_BYTES, (int)chain->count, MODEL_PAGE_BYTES);
    }
}

static void commit(struct chain *chain)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_snapshot snapshot;
    struct committed *committed = &chain->commits[chain->count];
    write_some(chain);
    options.durability = SAVEPOINT_ORDERED;
    CHECK_OK(savepoint_take(chain->session, NULL, &options, NULL));
    CHECK_OK(savepoint_wait(chain->session, 0, &snapshot, NULL));
    committed->id = snapshot.id;
    for (size_t page = 0; page < PAGES; page++) {
        committed->hashes[page] = svp_digest128(0, chain->memory + page * MODEL_PAGE_BYTES, MODEL_PAGE_BYTES);
    }
    chain->count++;
}

/* Depths: 600 in a row; then from 200 on for 100; then from 505 on across 512 again. */
static void build(struct chain *chain)
{
    while (chain->count < COMMITS) {
        commit(chain);
        if (chain->count == 600) {
            CHECK_OK(savepoint_restore(chain->session, &chain->commits[199].id, NULL, NULL));
        } else if (chain->count == 700) {
            CHECK_OK(savepoint_restore(chain->session, &chain->commits[504].id, NULL, NULL));
        } else if (chain->count % 97 == 0) {
            reopen(chain);
        }
    }
    CHECK_OK(savepoint_close(chain->session, NULL));
}

/* ---- reading it back */

struct findings {
    uint32_t links_max;
    unsigned records_max;
    unsigned maps[6]; /* by level: maps over 4^k commits */
    unsigned wholes;  /* of them, maps over all commits */
    uint64_t pages_read;
};

static void
look_at_index(struct savepoint_archive *archive, const struct savepoint_snapshot *snapshot, struct findings *findings)
{
    struct svp_commit commit;
    struct svp_commit below;
    struct svp_record record;
    struct svp_buffer body = { 0 };
    struct svp_index index = { 0 };
    CHECK_OK(svp_source_commit(&archive->source, &commit, snapshot->file_offset, NULL));
    CHECK_OK(svp_source_record(&archive->source, &record, &body, commit.index, SVP_INDEX, NULL));
    CHECK_EQ(svp_index_read(&index, body.bytes, body.count, commit.index, archive->source.unpacker), SVP_GOOD);
    unsigned level = 0;
    for (uint32_t depth = commit.depth; depth % 4 == 0; depth /= 4) {
        level++;
    }
    CHECK(index.kind == SVP_INDEX_MAP || level == 0);
    uint32_t depth_below = 0;
    if (index.below != 0) {
        CHECK_OK(svp_source_commit(&archive->source, &below, index.below, NULL));
        depth_below = below.depth;
    }
    bool whole = level >= 3 && index.below == 0; /* all commits, where that is hardly more */
    CHECK(whole || depth_below == commit.depth - (UINT32_C(1) << 2 * level));
    findings->wholes += whole;
    findings->maps[level]++;
    svp_index_free(&index);
    svp_buffer_free(&body);
}

static void read_snapshot(struct savepoint_archive *archive, const struct savepoint_snapshot *snapshot,
                          const struct committed *expected, struct findings *findings)
{
    static uint8_t page[MODEL_PAGE_BYTES];
    struct svp_page_map map;
    struct svp_reader *reader = &archive->reader;
    CHECK(svp_page_map_open(&map, 1, PAGES));
    CHECK_OK(svp_reader_map(reader, &map, 1, snapshot->file_offset, NULL));
    for (size_t k = 0; k < PAGES; k++) {
        struct svp_page_origin origin;
        uint64_t offset = 0;
        if (k % 8 == snapshot->sequence % 8 || k == NEVER_WRITTEN) {
            svp_reader_forget(reader);
        }
        indexes_read = 0;
        CHECK_OK(svp_reader_find(reader, &offset, snapshot->file_offset, 1, k, NULL));
        findings->records_max = indexes_read > findings->records_max ? indexes_read : findings->records_max;
        CHECK_EQ(offset, svp_page_map_get(&map, k));
        CHECK_OK(svp_reader_page(reader, page, &origin, offset, 1, k, NULL));
        findings->links_max = origin.links > findings->links_max ? origin.links : findings->links_max;
        const struct svp_hash hash = svp_digest128(0, page, sizeof page);
        CHECK_MEM(hash.bytes, expected->hashes[k].bytes, sizeof hash.bytes);
        CHECK_MEM(origin.hash.bytes, hash.bytes, sizeof hash.bytes);
        findings->pages_read++;
    }
    svp_page_map_close(&map);
}

static void read_all(const struct chain *chain, struct findings *findings)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_verify_result result = { 0 };
    CHECK_OK(savepoint_archive_open(&archive, chain->path, NULL));
    CHECK_OK(savepoint_archive_newest(archive, &snapshot, NULL));
    for (unsigned i = COMMITS; i > 0; i--) {
        CHECK_MEM(&snapshot.id, &chain->commits[i - 1].id, sizeof snapshot.id);
        look_at_index(archive, &snapshot, findings);
        read_snapshot(archive, &snapshot, &chain->commits[i - 1], findings);
        CHECK_STATUS(savepoint_archive_previous(archive, &snapshot, NULL), i > 1 ? SAVEPOINT_OK : SAVEPOINT_NOT_FOUND);
    }
    CHECK_OK(savepoint_archive_verify(archive, &result, NULL, NULL));
    CHECK_EQ(result.findings, 0);
    CHECK_EQ(result.snapshots_checked, COMMITS);
    savepoint_archive_close(archive);
}

CHECK_TEST(longchain, every_snapshot_of_a_long_history_is_readable_in_bounded_work)
{
    static struct chain chain;
    struct findings findings = { 0 };
    chain.random = 1;
    snprintf(chain.path, sizeof chain.path, "longchain-%ld.svp", (long)getpid());
    unlink(chain.path);
    chain.memory = mmap(NULL, PAGES * MODEL_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(chain.memory != MAP_FAILED);
    reopen(&chain);
    build(&chain);
    read_all(&chain, &findings);
    munmap(chain.memory, PAGES * MODEL_PAGE_BYTES);
    unlink(chain.path);
    fprintf(
        stderr,
        "longchain: %d commits, maps over 4, 16, 64, 256 commits: %u, %u, %u, %u, %u over all; at most %u links and "
        "%u index records; %" PRIu64 " pages read\n",
        COMMITS, findings.maps[1], findings.maps[2], findings.maps[3], findings.maps[4], findings.wholes,
        findings.links_max, findings.records_max, findings.pages_read);
    CHECK(findings.maps[1] >= 130 && findings.maps[2] >= 30 && findings.maps[3] >= 6 && findings.maps[4] >= 2);
    CHECK(findings.wholes >= 8);
    CHECK(findings.links_max <= SVP_CHAIN_LINKS_MAX);
    CHECK(findings.links_max >= 12); /* the bound was worth testing */
    CHECK(findings.records_max <= LOOKUP_RECORDS_MAX);
    CHECK(findings.records_max >= 8);
}
