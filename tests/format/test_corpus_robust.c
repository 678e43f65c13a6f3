/* test_corpus_robust.c - every corpus file, as it is and changed under right hashes: no crash, no hang, bounded memory
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "format/bytes.h"
#include "format/digest.h"
#include "format/memory.h"
#include "format/record.h"
#include "os/file.h"
#include "read_all.h"

enum { FILES_MIN = 80, FILES_MAX = 256, NAME_BYTES = 64, FILE_BYTES_MAX = 8 << 20, RECORDS_MAX = 4096 };
enum { MUTATIONS = 20 };
enum { HASH_AT = 48, HEADER_HASH_AT = 56, END_CHAIN_AT = 88 };
static const size_t live_bytes_max = (size_t)256 << 20;
static const double seconds_max = 2.0;

/* ---- the allocator, counted, and a disk that fails on demand */

static size_t live_bytes, live_bytes_peak;
static unsigned reads_until_failure; /* 0: reading never fails */
static bool read_failed;             /* and stays so */
static size_t comparisons;           /* of two snapshots that succeeded */

void *__real_svp_memory_alloc(size_t bytes);
void *__wrap_svp_memory_alloc(size_t bytes);
void *__real_svp_memory_zalloc(size_t count, size_t bytes);
void *__wrap_svp_memory_zalloc(size_t count, size_t bytes);
void *__real_svp_memory_resize(void *old, size_t count, size_t bytes);
void *__wrap_svp_memory_resize(void *old, size_t count, size_t bytes);
void __real_svp_memory_free(void *block);
void __wrap_svp_memory_free(void *block);
int __real_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);
int __wrap_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);

static void *count_in(void *block)
{
    live_bytes += malloc_usable_size(block); /* of NULL it is 0 */
    live_bytes_peak = live_bytes > live_bytes_peak ? live_bytes : live_bytes_peak;
    return block;
}

void *__wrap_svp_memory_alloc(size_t bytes)
{
    return count_in(__real_svp_memory_alloc(bytes));
}

void *__wrap_svp_memory_zalloc(size_t count, size_t bytes)
{
    return count_in(__real_svp_memory_zalloc(count, bytes));
}

void *__wrap_svp_memory_resize(void *old, size_t count, size_t bytes)
{
    size_t before = malloc_usable_size(old);
    void *block = __real_svp_memory_resize(old, count, bytes);
    live_bytes -= block != NULL ? before : 0;
    return count_in(block);
}

void __wrap_svp_memory_free(void *block)
{
    live_bytes -= malloc_usable_size(block);
    __real_svp_memory_free(block);
}

int __wrap_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done)
{
    if (reads_until_failure > 0 && --reads_until_failure == 0) {
        read_failed = true;
    }
    if (read_failed) {
        return EIO;
    }
    return __real_svp_file_read(file, to, bytes, offset, done);
}

/* ---- the corpus */

struct corpus {
    size_t count;
    char names[FILES_MAX][NAME_BYTES];
    const char *folder;
    char scratch[64]; /* a file that mutations are written to */
};

static int order_names(const void *left, const void *right)
{
    return strcmp(left, right);
}

static void corpus_open(struct corpus *corpus)
{
    corpus->count = 0;
    corpus->folder = getenv("SAVEPOINT_CORPUS");
    CHECK_MSG(corpus->folder != NULL, "SAVEPOINT_CORPUS must name the folder of the corpus");
    DIR *folder = opendir(corpus->folder);
    CHECK_MSG(folder != NULL, "%s: cannot be opened", corpus->folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        size_t bytes = strlen(entry->d_name);
        if (bytes > 4 && strcmp(entry->d_name + bytes - 4, ".svp") == 0) {
            CHECK(corpus->count < FILES_MAX && bytes < NAME_BYTES);
            memcpy(corpus->names[corpus->count++], entry->d_name, bytes + 1);
        }
    }
    closedir(folder);
    CHECK_MSG(corpus->count >= FILES_MIN, "only %zu files in %s", corpus->count, corpus->folder);
    qsort(corpus->names, corpus->count, NAME_BYTES, order_names);
    snprintf(corpus->scratch, sizeof corpus->scratch, "/tmp/savepoint-corpus-XXXXXX");
    int descriptor = mkstemp(corpus->scratch);
    CHECK(descriptor >= 0);
    close(descriptor);
}

static void corpus_close(struct corpus *corpus)
{
    unlink(corpus->scratch);
    CHECK_EQ(live_bytes, 0);
}

static void path_of(char path[512], const struct corpus *corpus, size_t index)
{
    CHECK(snprintf(path, 512, "%s/%s", corpus->folder, corpus->names[index]) < 512);
}

static size_t load(uint8_t *bytes, const char *path)
{
    FILE *file = fopen(path, "rb");
    CHECK_MSG(file != NULL, "%s: cannot be opened", path);
    size_t count = fread(bytes, 1, FILE_BYTES_MAX, file);
    CHECK(count < FILE_BYTES_MAX && ferror(file) == 0);
    fclose(file);
    return count;
}

static void store(const char *path, const uint8_t *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes, 1, count, file) == count);
    CHECK(fclose(file) == 0);
}

/* ---- everything a reader can ask for */

static void count_finding(void *user, const struct savepoint_finding *finding)
{
    CHECK(finding->status == SAVEPOINT_CORRUPT || finding->status == SAVEPOINT_UNSUPPORTED);
    CHECK(memchr(finding->message, '\0', sizeof finding->message) != NULL);
    ++*(size_t *)user;
}

static enum savepoint_status verify(struct savepoint_archive *archive, size_t *findings)
{
    struct savepoint_verify_options options = SAVEPOINT_VERIFY_OPTIONS_INIT;
    struct savepoint_verify_result result = { 0 };
    *findings = 0;
    options.report = count_finding;
    options.report_user = findings;
    return savepoint_archive_verify(archive, &result, &options, NULL);
}

/* Reads all there is within the bounds; false: it cannot be opened. */
static bool exercise(const char *path, const char *name, unsigned mutation)
{
    struct savepoint_archive *archive = NULL;
    size_t findings = 0;
    clock_t start = clock();
    live_bytes_peak = live_bytes;
    bool opened = savepoint_archive_open(&archive, path, NULL) == SAVEPOINT_OK;
    if (opened) {
        comparisons += read_all(archive);
        CHECK_OK(verify(archive, &findings));
        savepoint_archive_close(archive);
    }
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    CHECK_MSG(live_bytes_peak <= live_bytes_max, "%s, mutation %u: %zu bytes of memory", name, mutation,
              live_bytes_peak);
    CHECK_MSG(seconds <= seconds_max, "%s, mutation %u: %.1f s", name, mutation, seconds);
    return opened;
}

CHECK_TEST(corpus_robust, as_they_are)
{
    struct corpus corpus;
    size_t readable = 0;
    corpus_open(&corpus);
    for (size_t i = 0; i < corpus.count; i++) {
        char path[512];
        path_of(path, &corpus, i);
        readable += exercise(path, corpus.names[i], 0) ? 1 : 0;
    }
    CHECK_MSG(readable >= FILES_MIN - 20, "only %zu files could be opened", readable);
    CHECK_MSG(comparisons >= FILES_MIN, "only %zu comparisons of snapshots succeeded", comparisons);
    corpus_close(&corpus);
}

/* ---- mutations under right hashes */

static uint64_t random_state;

static uint32_t random_below(size_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % (uint32_t)limit;
}

struct record_list {
    size_t count;
    struct svp_record records[RECORDS_MAX];
};

/* All records of good headers whose body lies inside the file. */
static void list_records(struct record_list *list, const uint8_t *bytes, size_t count)
{
    list->count = 0;
    for (size_t at = 0; at + SVP_HEADER_BYTES <= count && list->count < RECORDS_MAX;) {
        struct svp_record *record = &list->records[list->count];
        bool good = svp_record_read(record, bytes + at, at) == SVP_GOOD && svp_record_bytes(record) <= count - at;
        list->count += good ? 1 : 0;
        at += good ? (size_t)svp_record_bytes(record) : 8;
    }
}

static void mutate(uint8_t *bytes, size_t file_bytes, const struct record_list *list)
{
    const struct svp_record *record = &list->records[random_below(list->count)];
    uint8_t *body = bytes + record->offset + SVP_HEADER_BYTES;
    size_t left = (size_t)record->body_bytes;
    if (random_below(16) == 0) { /* type, flags, transaction */
        static const uint8_t places[] = { 8, 9, 10, 16 };
        bytes[record->offset + places[random_below(sizeof places)]] ^= (uint8_t)(1u << random_below(8));
        return;
    }
    if (left == 0) {
        return;
    }
    const uint64_t values[] = { 0,
                                1,
                                4096,
                                UINT64_MAX,
                                UINT64_MAX - 7,
                                UINT64_C(1) << 63,
                                UINT64_C(1) << 31,
                                file_bytes,
                                record->offset,
                                8 * (uint64_t)random_below(file_bytes / 8) };
    uint64_t value = values[random_below(sizeof values / sizeof values[0])];
    size_t reach = random_below(4) == 0 || left < 48 ? left : 48 + random_below(left - 47);
    size_t at = random_below(reach);
    uint32_t kind = random_below(4);
    if (kind == 0) {
        body[at] ^= (uint8_t)(1u << random_below(8));
    } else if (kind == 1) {
        body[at] = (uint8_t)value;
    } else if (kind == 2 && left >= 8) {
        svp_store64(body + (at & ~(size_t)7 & (left - 8)), value);
    } else if (left >= 4) {
        svp_store32(body + (at & ~(size_t)3 & (left - 4)), (uint32_t)value);
    }
}

/* All hashes and the chains of END are made right again. */
static void rehash(uint8_t *bytes, const struct record_list *list)
{
    struct svp_buffer chain = { 0 };
    uint64_t before = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct svp_record *record = &list->records[i];
        uint8_t *header = bytes + record->offset;
        uint8_t *body = header + SVP_HEADER_BYTES;
        bool end = record->type == SVP_END && record->body_bytes >= END_CHAIN_AT + 16;
        if (end) {
            uint64_t now = svp_digest64(record->salt, chain.bytes, chain.count);
            svp_store64(body + END_CHAIN_AT, now);
            svp_store64(body + END_CHAIN_AT + 8, before);
            before = now;
            svp_buffer_clear(&chain);
        }
        svp_store64(header + HASH_AT, svp_digest64(record->salt, body, (size_t)svp_round_up(record->body_bytes, 8)));
        uint64_t header_hash = svp_digest64(record->salt, header, HEADER_HASH_AT);
        svp_store64(header + HEADER_HASH_AT, header_hash);
        if (!end) {
            svp_buffer_add64(&chain, header_hash);
        }
    }
    svp_buffer_free(&chain);
}

CHECK_TEST(corpus_robust, mutated)
{
    static uint8_t original[FILE_BYTES_MAX];
    static uint8_t mutated[FILE_BYTES_MAX];
    static struct record_list list;
    struct corpus corpus;
    size_t tried = 0;
    size_t readable = 0;
    corpus_open(&corpus);
    for (size_t i = 0; i < corpus.count; i++) {
        char path[512];
        path_of(path, &corpus, i);
        size_t count = load(original, path);
        list_records(&list, original, count);
        for (unsigned k = 1; list.count > 0 && k <= MUTATIONS; k++) {
            random_state = i * 1000 + k;
            memcpy(mutated, original, count);
            for (uint32_t changes = 1 + random_below(3); changes > 0; changes--) {
                mutate(mutated, count, &list);
            }
            rehash(mutated, &list);
            store(corpus.scratch, mutated, count);
            readable += exercise(corpus.scratch, corpus.names[i], k) ? 1 : 0;
            tried++;
        }
    }
    fprintf(stderr, "%zu mutated files, %zu of them opened\n", tried, readable);
    CHECK(tried >= (size_t)(FILES_MIN - 8) * MUTATIONS && readable >= tried / 2);
    corpus_close(&corpus);
}

/* ---- a read that fails is a failure of verify, never a finding about the file */

CHECK_TEST(corpus_robust, failing_reads_are_no_findings)
{
    struct corpus corpus;
    size_t failures = 0;
    corpus_open(&corpus);
    for (size_t i = 0; i < corpus.count; i++) {
        char path[512];
        bool more = strncmp(corpus.names[i], "good-", 5) == 0 && strcmp(corpus.names[i], "good-xor-chain.svp") != 0;
        path_of(path, &corpus, i);
        for (unsigned nth = 1; more; nth++) {
            struct savepoint_archive *archive = NULL;
            size_t findings = 0;
            CHECK_OK(savepoint_archive_open(&archive, path, NULL));
            reads_until_failure = nth;
            enum savepoint_status status = verify(archive, &findings);
            reads_until_failure = 0;
            more = read_failed;
            read_failed = false;
            CHECK_MSG(status == (more ? SAVEPOINT_IO : SAVEPOINT_OK) && findings == 0,
                      "%s, read %u fails: %s with %zu findings", corpus.names[i], nth, savepoint_status_name(status),
                      findings);
            failures += more ? 1 : 0;
            savepoint_archive_close(archive);
        }
    }
    CHECK_MSG(failures >= 500, "only %zu reads were made to fail", failures);
    corpus_close(&corpus);
}
