/* hashes.c - the hash trees of a snapshot, and the first page in which two peers differ */
#include "archive/hashes.h"

#include <string.h>

#include "archive/archive.h"
#include "format/memory.h"
#include "status.h"

_Static_assert(SAVEPOINT_HASHES_FANOUT == SVP_TREE_FANOUT, "what an answer has room for");
_Static_assert(sizeof(struct savepoint_id) == sizeof(struct svp_hash), "answers are hashes");

/* ---- making them */

struct savepoint_hashes *svp_hashes_new(struct svp_region_table *table)
{
    struct savepoint_hashes *hashes = svp_memory_zalloc(1, sizeof *hashes);
    if (hashes == NULL) {
        return NULL;
    }
    hashes->table = *table;
    *table = (struct svp_region_table){ 0 };
    hashes->trees = svp_memory_zalloc(hashes->table.count, sizeof *hashes->trees);
    bool enough = hashes->trees != NULL;
    for (uint32_t i = 0; enough && i < hashes->table.count; i++) {
        enough = svp_tree_open(&hashes->trees[i], hashes->table.entries[i].bytes / SVP_PAGE_BYTES);
    }
    if (!enough) {
        savepoint_hashes_close(hashes);
        return NULL;
    }
    return hashes;
}

void savepoint_hashes_close(struct savepoint_hashes *hashes)
{
    if (hashes == NULL) {
        return;
    }
    for (uint32_t i = 0; hashes->trees != NULL && i < hashes->table.count; i++) {
        svp_tree_close(&hashes->trees[i]);
    }
    svp_memory_free(hashes->trees);
    svp_regions_free(&hashes->table);
    svp_memory_free(hashes);
}

static struct svp_hash root_of(const struct svp_tree *tree)
{
    return tree->hashes[tree->levels][0];
}

/* The digest of a state of these regions with these roots; false: no memory. */
static bool digest_of(const struct savepoint_hashes *hashes, const struct savepoint_id *roots, struct svp_hash *digest)
{
    struct svp_buffer state = { 0 };
    for (uint32_t i = 0; i < hashes->table.count; i++) {
        struct svp_hash root = root_of(&hashes->trees[i]);
        if (roots != NULL) {
            memcpy(root.bytes, roots[i].bytes, sizeof root.bytes);
        }
        svp_state_add(&state, &hashes->table.entries[i], &root);
    }
    *digest = svp_digest128(0, state.bytes, state.count);
    bool enough = !state.failed;
    svp_buffer_free(&state);
    return enough;
}

static enum savepoint_status fail_memory(struct savepoint_error *error)
{
    return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "hashes", "no memory for the hashes of all pages");
}

enum savepoint_status
svp_hashes_finish(struct savepoint_hashes *hashes, const struct svp_hash *digest, struct savepoint_error *error)
{
    for (uint32_t i = 0; i < hashes->table.count; i++) {
        svp_tree_root(&hashes->trees[i]);
    }
    if (!digest_of(hashes, NULL, &hashes->digest)) {
        return fail_memory(error);
    }
    return memcmp(&hashes->digest, digest, sizeof *digest) == 0
               ? SAVEPOINT_OK
               : svp_status_fail(error, SAVEPOINT_CORRUPT, "hashes",
                                 "the snapshot's pages do not come to its digest: what holds them was changed");
}

static enum savepoint_status
read_region(struct svp_reader *reader, struct svp_tree *tree, const struct svp_region_entry *entry,
            const struct svp_page_map *map, struct savepoint_error *error)
{
    uint8_t bytes[SVP_PAGE_BYTES];
    struct svp_page_origin origin;
    enum savepoint_status status = SAVEPOINT_OK;
    uint64_t page = svp_page_map_next(map, 0);
    for (; status == SAVEPOINT_OK && page != UINT64_MAX; page = svp_page_map_next(map, page + 1)) {
        if (svp_region_excludes(entry, page)) {
            continue;
        }
        status = svp_reader_page(reader, bytes, &origin, svp_page_map_get(map, page), map->region_id, page, error);
        if (status == SAVEPOINT_OK) {
            svp_tree_update(tree, page, &origin.hash);
        }
    }
    return status;
}

static enum savepoint_status read_regions(struct savepoint_hashes *hashes, struct svp_reader *reader,
                                          uint64_t commit_offset, struct savepoint_error *error)
{
    const struct svp_region_table *table = &hashes->table;
    struct svp_page_map *maps = svp_memory_zalloc(table->count, sizeof *maps);
    bool enough = maps != NULL;
    for (uint32_t i = 0; enough && i < table->count; i++) {
        enough = svp_page_map_open(&maps[i], table->entries[i].id, table->entries[i].bytes / SVP_PAGE_BYTES);
    }
    enum savepoint_status status =
        enough ? svp_reader_map(reader, maps, table->count, commit_offset, error) : fail_memory(error);
    for (uint32_t i = 0; status == SAVEPOINT_OK && i < table->count; i++) {
        status = read_region(reader, &hashes->trees[i], &table->entries[i], &maps[i], error);
    }
    for (uint32_t i = 0; maps != NULL && i < table->count; i++) {
        svp_page_map_close(&maps[i]);
    }
    svp_memory_free(maps);
    return status;
}

enum savepoint_status svp_hashes_read(struct savepoint_hashes **hashes, struct svp_reader *reader,
                                      uint64_t commit_offset, struct savepoint_error *error)
{
    struct svp_commit commit;
    struct svp_region_table table = { 0 };
    enum savepoint_status status = svp_source_commit(reader->source, &commit, commit_offset, error);
    status = status == SAVEPOINT_OK ? svp_source_regions(reader->source, &table, commit.regions, error) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct savepoint_hashes *read = svp_hashes_new(&table);
    svp_regions_free(&table);
    if (read == NULL) {
        return fail_memory(error);
    }
    status = read_regions(read, reader, commit_offset, error);
    status = status == SAVEPOINT_OK ? svp_hashes_finish(read, &commit.state_root, error) : status;
    if (status != SAVEPOINT_OK) {
        savepoint_hashes_close(read);
        return status;
    }
    *hashes = read;
    return SAVEPOINT_OK;
}

enum savepoint_status savepoint_archive_hashes(struct savepoint_archive *archive, struct savepoint_hashes **hashes,
                                               const struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    return svp_hashes_read(hashes, &archive->reader, snapshot->file_offset, error);
}

/* ---- answering */

enum savepoint_status
savepoint_hashes_answer(const struct savepoint_hashes *hashes, struct savepoint_id *answer, size_t *count,
                        size_t capacity, const struct savepoint_hashes_question *question,
                        struct savepoint_error *error)
{
    struct svp_hash children[SVP_TREE_FANOUT];
    const uint32_t regions = hashes->table.count;
    const bool roots = question->level == 0;
    const size_t found = roots                        ? regions
                         : question->region < regions ? svp_tree_children(&hashes->trees[question->region],
                                                                          question->level, question->node, children)
                                                      : 0;
    if (found == 0 && !roots) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "hashes", "there is no node %llu on level %u of region %u",
                               (unsigned long long)question->node, question->level, question->region);
    }
    if (found > capacity) {
        return svp_status_fail(error, SAVEPOINT_LIMIT, "hashes", "the answer has %zu hashes, there is room for %zu",
                               found, capacity);
    }
    for (size_t i = 0; i < found; i++) {
        const struct svp_hash hash = roots ? root_of(&hashes->trees[i]) : children[i];
        memcpy(answer[i].bytes, hash.bytes, sizeof answer[i].bytes);
    }
    *count = found;
    return SAVEPOINT_OK;
}

/* ---- asking */

struct asking {
    const struct savepoint_hashes *hashes;
    savepoint_hashes_ask *ask;
    void *user;
    struct savepoint_id *answer; /* room for `capacity` */
    size_t count, capacity;
    uint32_t questions;
    struct savepoint_error *error;
};

static enum savepoint_status ask(struct asking *asking, struct savepoint_hashes_question question)
{
    asking->count = 0;
    asking->questions++;
    return asking->ask(asking->user, asking->answer, &asking->count, asking->capacity, &question) == 0
               ? SAVEPOINT_OK
               : svp_status_fail(asking->error, SAVEPOINT_CANCELLED, "hashes", "the peer was not asked any further");
}

static enum savepoint_status fail_answer(const struct asking *asking)
{
    return svp_status_fail(asking->error, SAVEPOINT_MISMATCH, "hashes",
                           "the peer's answers do not come to its digest: it has regions of other names, sizes or "
                           "addresses, or answered of another snapshot");
}

/* The first region whose root is another one there. */
static enum savepoint_status find_region(struct asking *asking, const struct savepoint_id *digest, uint32_t *region)
{
    struct svp_hash hash;
    const struct savepoint_hashes *hashes = asking->hashes;
    enum savepoint_status status = ask(asking, (struct savepoint_hashes_question){ 0, 0, 0 });
    if (status != SAVEPOINT_OK) {
        return status;
    }
    if (asking->count != hashes->table.count) {
        return fail_answer(asking);
    }
    if (!digest_of(hashes, asking->answer, &hash)) {
        return fail_memory(asking->error);
    }
    for (uint32_t i = 0; memcmp(&hash, digest, sizeof hash) == 0 && i < hashes->table.count; i++) {
        const struct svp_hash own = root_of(&hashes->trees[i]);
        if (memcmp(&own, &asking->answer[i], sizeof own) != 0) {
            *region = i;
            return SAVEPOINT_OK;
        }
    }
    return fail_answer(asking);
}

static enum savepoint_status find_page(struct asking *asking, uint32_t region, uint64_t *page)
{
    struct svp_tree_search search;
    struct svp_hash root, children[SVP_TREE_FANOUT];
    const struct svp_tree *tree = &asking->hashes->trees[region];
    memcpy(&root, &asking->answer[region], sizeof root);
    svp_tree_search_begin(&search, tree, &root);
    while (search.level > 0) {
        enum savepoint_status status =
            ask(asking, (struct savepoint_hashes_question){ region, search.level, search.node });
        if (status != SAVEPOINT_OK) {
            return status;
        }
        const size_t count = asking->count <= SVP_TREE_FANOUT ? asking->count : 0;
        memcpy(children, asking->answer, count * sizeof *children);
        if (!svp_tree_search_step(&search, tree, children, (unsigned)count)) {
            return fail_answer(asking);
        }
    }
    *page = search.node;
    return SAVEPOINT_OK;
}

enum savepoint_status
savepoint_hashes_compare(const struct savepoint_hashes *hashes, struct savepoint_first_difference *difference,
                         const struct savepoint_id *digest, savepoint_hashes_ask *asked, void *user,
                         struct savepoint_error *error)
{
    uint32_t region = 0;
    uint64_t page = 0;
    struct asking asking = { .hashes = hashes, .ask = asked, .user = user, .error = error };
    if (memcmp(&hashes->digest, digest, sizeof *digest) == 0) {
        return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "hashes", "the two are the same, byte for byte");
    }
    asking.capacity = hashes->table.count > SVP_TREE_FANOUT ? hashes->table.count : SVP_TREE_FANOUT;
    asking.answer = svp_memory_zalloc(asking.capacity, sizeof *asking.answer);
    enum savepoint_status status = asking.answer != NULL ? find_region(&asking, digest, &region) : fail_memory(error);
    status = status == SAVEPOINT_OK ? find_page(&asking, region, &page) : status;
    svp_memory_free(asking.answer);
    if (status == SAVEPOINT_OK) {
        *difference = (struct savepoint_first_difference){ .page = page,
                                                           .region_pages = hashes->trees[region].pages,
                                                           .questions = asking.questions };
        strcpy(difference->region, hashes->table.entries[region].name);
    }
    return status;
}
