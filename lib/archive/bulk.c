/* bulk.c - sharing the pages to be decoded out among threads
 *
 * Pages do not depend on each other, only each on its own earlier versions: every thread takes some neighbouring pages
 * of a region at a time and brings them where they belong, reading what it needs for that by itself. Records of deltas
 * that reach over several shares are read several times, so there are not many more shares than threads. */
#include "archive/bulk.h"

#include <stdatomic.h>
#include <string.h>

#include "archive/bulk_chains.h"
#include "archive/crew.h"
#include "format/memory.h"
#include "format/tree.h"
#include "status.h"

enum { SHARES_PER_WORKER = 1, SHARE_PAGES_MIN = 256 };

struct share { /* pages of one part, all that are wanted from the first on */
    const struct svp_bulk_part *part;
    uint64_t first_page;
};

struct bulk {
    const struct svp_source *source;
    const struct svp_bulk_team *team;
    uint64_t share_pages;
    size_t share_count;
    struct share *shares;
    atomic_size_t next_share;
    atomic_uint_least64_t done_pages;
    atomic_bool failed;
    struct savepoint_error *error; /* of the thread that was the first to fail */
};

struct worker {
    struct bulk *bulk;
    bool own; /* on the caller's thread */
    uint64_t told_pages;
    struct svp_chains chains;
};

/* ---- shares */

static uint64_t wanted_pages(const struct svp_bulk_part *parts, size_t part_count)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < part_count; i++) {
        pages += svp_pageset_count(parts[i].wanted);
    }
    return pages;
}

static void list_shares(struct bulk *bulk, const struct svp_bulk_part *parts, size_t part_count)
{
    for (size_t i = 0; i < part_count; i++) {
        uint64_t pages = 0;
        uint64_t page = svp_pageset_next(parts[i].wanted, 0);
        for (; page != SVP_PAGESET_NONE; page = svp_pageset_next(parts[i].wanted, page + 1)) {
            if (pages++ % bulk->share_pages == 0) {
                bulk->shares[bulk->share_count++] = (struct share){ &parts[i], page };
            }
        }
    }
}

/* ---- one thread */

static bool is_zero(const uint8_t *memory)
{
    return memory[0] == 0 && memcmp(memory, memory + 1, SVP_PAGE_BYTES - 1) == 0;
}

/* A page without a record is zeros. Memory that is zero already is left untouched: it may not even be there. */
static void make_zero(const struct svp_bulk_part *part, uint64_t page, const struct svp_hash *zero_hash)
{
    uint8_t *memory = svp_bulk_place(part, page);
    if (!svp_bulk_blank(part, page) && !is_zero(memory)) {
        part->pages[page].lines = SVP_LINES_ALL;
        memset(memory, 0, SVP_PAGE_BYTES);
    }
    part->pages[page].origin = (struct svp_page_origin){ .hash = *zero_hash };
}

/* Tells how far this thread is, and learns whether to go on. */
static enum savepoint_status pause_work(void *user)
{
    struct worker *worker = user;
    struct bulk *bulk = worker->bulk;
    const struct svp_bulk_team *team = bulk->team;
    uint64_t more = worker->chains.done_pages - worker->told_pages;
    uint64_t done = atomic_fetch_add(&bulk->done_pages, more) + more;
    worker->told_pages = worker->chains.done_pages;
    if (atomic_load(&bulk->failed)) {
        return SAVEPOINT_CANCELLED; /* whoever failed has told why */
    }
    return worker->own ? team->progress(team->user, done, &worker->chains.error) : SAVEPOINT_OK;
}

static enum savepoint_status decode_share(struct worker *worker, const struct share *share)
{
    const struct svp_bulk_part *part = share->part;
    const struct svp_hash zero_hash = svp_tree_zero_page();
    struct svp_chains *chains = &worker->chains;
    uint64_t page = share->first_page;
    chains->part = part;
    for (uint64_t i = 0; i < worker->bulk->share_pages && page != SVP_PAGESET_NONE; i++) {
        if (svp_page_map_get(part->map, page) == 0) {
            make_zero(part, page, &zero_hash);
            chains->done_pages++;
        } else {
            svp_chains_add(chains, page);
        }
        page = svp_pageset_next(part->wanted, page + 1);
    }
    return svp_chains_run(chains, pause_work, worker);
}

static void work(void *context, bool own)
{
    struct bulk *bulk = context;
    struct worker worker = { .bulk = bulk, .own = own };
    enum savepoint_status status = svp_chains_open(&worker.chains, bulk->source);
    size_t next = atomic_fetch_add(&bulk->next_share, 1);
    while (status == SAVEPOINT_OK && next < bulk->share_count) {
        status = decode_share(&worker, &bulk->shares[next]);
        next = atomic_fetch_add(&bulk->next_share, 1);
    }
    if (status != SAVEPOINT_OK && !atomic_exchange(&bulk->failed, true)) {
        *bulk->error = worker.chains.error;
        bulk->error->status = status;
    }
    svp_chains_close(&worker.chains);
}

enum savepoint_status
svp_bulk_decode(const struct svp_source *source, const struct svp_bulk_part *parts, size_t part_count,
                const struct svp_bulk_team *team, struct savepoint_error *error)
{
    struct savepoint_error failure = { .status = SAVEPOINT_OK };
    struct bulk bulk = { .source = source, .team = team, .error = &failure };
    const uint64_t pages = wanted_pages(parts, part_count);
    uint64_t workers = pages / SHARE_PAGES_MIN < team->workers ? pages / SHARE_PAGES_MIN : team->workers;
    bulk.share_pages = workers > 1 ? pages / (workers * SHARES_PER_WORKER) + 1 : SVP_CHAINS_PAGES_MAX;
    bulk.share_pages = bulk.share_pages < SVP_CHAINS_PAGES_MAX ? bulk.share_pages : SVP_CHAINS_PAGES_MAX;
    bulk.shares = svp_memory_alloc((size_t)(pages / bulk.share_pages + part_count) * sizeof *bulk.shares);
    if (bulk.shares == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "read", "%s: no memory to decode pages", source->path);
    }
    list_shares(&bulk, parts, part_count);
    svp_crew_run((unsigned)workers, work, &bulk);
    svp_memory_free(bulk.shares);
    if (failure.status != SAVEPOINT_OK && error != NULL) {
        *error = failure;
    }
    return failure.status;
}
