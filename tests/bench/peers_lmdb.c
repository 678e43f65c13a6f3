/* peers_lmdb.c - a peer that looks for what has changed, and puts it into a database in one transaction */
#define _GNU_SOURCE
#include "peer_host.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raw.h"

enum { LOAD_PAGES = 4096, SLACK_BYTES = 64 << 20 };

struct store {
    MDB_env *environment;
    MDB_dbi table; /* from the number of a page to its bytes */
    uint64_t *hashes;
};

static void need(int status)
{
    if (status != 0) {
        bench_fail("lmdb: %s", mdb_strerror(status));
    }
}

/* Puts the pages from `first` to before `end` whose hashes have changed. */
static void put_changed(struct peer_host *host, MDB_txn *transaction, uint64_t first, uint64_t end, unsigned flags)
{
    struct store *own = host->own;
    for (uint64_t page = first; page < end; page++) {
        uint8_t *bytes = host->state + page * WORKLOAD_PAGE_BYTES;
        const uint64_t hash = raw_hash_page(bytes);
        unsigned number = (unsigned)page;
        if (own->hashes[page] != hash) {
            MDB_val key = { sizeof number, &number }, value = { WORKLOAD_PAGE_BYTES, bytes };
            own->hashes[page] = hash;
            need(mdb_put(transaction, own->table, &key, &value, flags));
        }
    }
}

static MDB_txn *begin(const struct store *own, unsigned flags)
{
    MDB_txn *transaction;
    need(mdb_txn_begin(own->environment, NULL, flags, &transaction));
    return transaction;
}

static struct store *new_store(struct peer_host *host)
{
    struct store *own = calloc(1, sizeof *own);
    if (own == NULL) {
        bench_fail("no memory for a peer");
    }
    host->own = own;
    return own;
}

static bool open_lmdb(struct peer_host *host, const char **why)
{
    const struct workload_shape *shape = &host->workload.shape;
    struct store *own = new_store(host);
    char path[BENCH_PATH_BYTES];
    (void)why;
    own->hashes = calloc((size_t)shape->pages, sizeof *own->hashes);
    if (own->hashes == NULL) {
        bench_fail("no memory for a peer");
    }
    host->state = bench_fresh(host->bytes);
    workload_fill(host->state, shape, 0, shape->pages);
    peer_path(host, path, peer_name(PEER_LMDB));
    need(mdb_env_create(&own->environment));
    need(mdb_env_set_mapsize(own->environment, 4 * host->bytes + SLACK_BYTES));
    need(mdb_env_open(own->environment, path, MDB_NOSUBDIR | MDB_NOLOCK, 0600));
    MDB_txn *transaction = begin(own, 0);
    need(mdb_dbi_open(transaction, NULL, MDB_INTEGERKEY, &own->table));
    need(mdb_txn_commit(transaction));
    for (uint64_t page = 0; page < shape->pages; page += LOAD_PAGES) {
        const uint64_t end = page + LOAD_PAGES < shape->pages ? page + LOAD_PAGES : shape->pages;
        transaction = begin(own, 0);
        put_changed(host, transaction, page, end, MDB_APPEND);
        need(mdb_txn_commit(transaction));
    }
    return true;
}

/* What this process has handed to write(2) and the like. */
static double written_bytes(void)
{
    char line[128];
    double bytes = -1;
    FILE *file = fopen("/proc/self/io", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "wchar:", 6) == 0) {
            bytes = strtod(line + 6, NULL);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static void save_lmdb(struct peer_host *host, enum peer peer, struct peer_result *result)
{
    const struct store *own = host->own;
    const double before = written_bytes();
    (void)peer;
    peer_change(host);
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    MDB_txn *transaction = begin(own, 0);
    put_changed(host, transaction, 0, host->workload.shape.pages, 0);
    result->pause_ms = bench_wall_ms() - wall; /* the transaction holds copies */
    need(mdb_txn_commit(transaction));
    result->wall_ms = bench_wall_ms() - wall;
    result->cpu_ms = bench_cpu_ms() - cpu;
    result->bytes = before < 0 ? -1 : written_bytes() - before;
}

static void load_lmdb(struct peer_host *host, enum peer peer, uint8_t *memory)
{
    const struct store *own = host->own;
    MDB_txn *transaction = begin(own, MDB_RDONLY);
    MDB_cursor *cursor;
    MDB_val key, value;
    int status;
    (void)peer;
    need(mdb_cursor_open(transaction, own->table, &cursor));
    while ((status = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        unsigned number;
        memcpy(&number, key.mv_data, sizeof number);
        memcpy(memory + (size_t)number * WORKLOAD_PAGE_BYTES, value.mv_data, WORKLOAD_PAGE_BYTES);
    }
    need(status == MDB_NOTFOUND ? 0 : status);
    mdb_cursor_close(cursor);
    mdb_txn_abort(transaction);
}

const struct peer_home_methods peer_home_lmdb = { open_lmdb, save_lmdb, load_lmdb };
