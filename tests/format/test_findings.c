/* test_findings.c - verify tells one damage once: as a finding of its own, and again for each snapshot it touches */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "format/record.h"

enum { PAGE = 4096, PAGES = 8, TAKES = 4, BYTES_MAX = 1 << 19, RECORDS_MAX = 100, FINDINGS_MAX = 64 };

struct fixture {
    char path[64];
    uint8_t bytes[BYTES_MAX]; /* the archive, whole */
    size_t byte_count;
    size_t record_count;
    struct svp_record records[RECORDS_MAX];
};

struct told {
    size_t count;
    struct savepoint_finding findings[FINDINGS_MAX];
};

static bool is_none(const struct savepoint_id *id)
{
    static const struct savepoint_id none;
    return memcmp(id, &none, sizeof none) == 0;
}

/* ---- an archive with records of every type but ancillary ones: labels, a moved HEAD, tombstones, several seals */

static void set_ref(const char *path, enum savepoint_ref_kind kind, const char *name, const struct savepoint_id *target)
{
    struct savepoint_ref ref = { .kind = (uint32_t)kind, .target = *target };
    strcpy(ref.name, name);
    CHECK_OK(savepoint_archive_set_ref(path, &ref, NULL));
}

static void autosave(struct savepoint *session, struct savepoint_snapshot *snapshot)
{
    uint64_t ticket = 0;
    while (ticket == 0) {
        CHECK_OK(savepoint_tick(session, &ticket, NULL));
    }
    CHECK_OK(savepoint_wait(session, ticket, snapshot, NULL));
}

static void take_all(const char *path, struct savepoint_snapshot *snapshots, bool resume)
{
    struct savepoint *session = NULL;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_autosave_options autosaves = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    uint8_t *memory = aligned_alloc(PAGE, PAGES * PAGE);
    CHECK(memory != NULL);
    memset(memory, resume ? 2 : 1, PAGES * PAGE);
    options.watch = "compare";
    autosaves.interval_ns = 1;
    autosaves.keep_last = 2;
    CHECK_OK(savepoint_open(&session, path, &options, NULL));
    CHECK_OK(savepoint_watch(session, "memory", memory, PAGES * PAGE, NULL));
    CHECK_OK(savepoint_autosave(session, &autosaves, NULL));
    CHECK(!resume || savepoint_resume(session, NULL, NULL) == SAVEPOINT_OK);
    for (unsigned i = 0; i < TAKES; i++) {
        memory[i * PAGE + i]++;
        memory[(i + 1) * PAGE]++;
        autosave(session, &snapshots[i]);
    }
    CHECK_OK(savepoint_close(session, NULL));
    free(memory);
}

static void find_records(struct fixture *fixture)
{
    for (size_t at = 0; at + SVP_HEADER_BYTES <= fixture->byte_count; at += 8) {
        struct svp_record *record = &fixture->records[fixture->record_count];
        if (svp_record_read(record, fixture->bytes + at, at) == SVP_GOOD) {
            CHECK(++fixture->record_count < RECORDS_MAX);
        }
    }
}

static struct fixture *open_fixture(void)
{
    struct savepoint_snapshot snapshots[TAKES];
    struct fixture *fixture = calloc(1, sizeof *fixture);
    CHECK(fixture != NULL);
    strcpy(fixture->path, "/tmp/savepoint-findings-XXXXXX");
    int descriptor = mkstemp(fixture->path);
    CHECK(descriptor >= 0 && close(descriptor) == 0);
    take_all(fixture->path, snapshots, false);
    set_ref(fixture->path, SAVEPOINT_REF_LABEL, "label", &snapshots[TAKES - 1].id);
    set_ref(fixture->path, SAVEPOINT_REF_PIN, "", &snapshots[TAKES - 2].id);
    set_ref(fixture->path, SAVEPOINT_REF_HEAD, "", &snapshots[TAKES - 2].id);
    take_all(fixture->path, snapshots, true);
    FILE *file = fopen(fixture->path, "rb");
    CHECK(file != NULL);
    fixture->byte_count = fread(fixture->bytes, 1, BYTES_MAX, file);
    CHECK(fixture->byte_count < BYTES_MAX && fclose(file) == 0);
    find_records(fixture);
    return fixture;
}

static void close_fixture(struct fixture *fixture)
{
    unlink(fixture->path);
    free(fixture);
}

/* ---- looking at a damaged copy */

static void note(void *user, const struct savepoint_finding *finding)
{
    struct told *told = user;
    CHECK(told->count < FINDINGS_MAX);
    told->findings[told->count++] = *finding;
}

/* False when the archive cannot be opened. */
static bool verify(const struct fixture *fixture, struct told *told)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result;
    struct savepoint_verify_options options = SAVEPOINT_VERIFY_OPTIONS_INIT;
    FILE *file = fopen(fixture->path, "wb");
    CHECK(file != NULL && fwrite(fixture->bytes, 1, fixture->byte_count, file) == fixture->byte_count);
    CHECK(fclose(file) == 0);
    told->count = 0;
    options.report = note;
    options.report_user = told;
    if (savepoint_archive_open(&archive, fixture->path, NULL) != SAVEPOINT_OK) {
        return false;
    }
    CHECK_OK(savepoint_archive_verify(archive, &result, &options, NULL));
    CHECK_EQ(result.findings, told->count);
    savepoint_archive_close(archive);
    return true;
}

static size_t count_alone(const struct told *told) /* findings that belong to no snapshot */
{
    size_t count = 0;
    for (size_t i = 0; i < told->count; i++) {
        count += is_none(&told->findings[i].snapshot) ? 1 : 0;
    }
    return count;
}

static bool is_told(const struct told *told, uint64_t file_offset)
{
    bool found = false;
    for (size_t i = 0; i < told->count && !found; i++) {
        found = is_none(&told->findings[i].snapshot) && told->findings[i].file_offset == file_offset;
    }
    return found;
}

/* What snapshots say of a place that was told already, and that each speaks once. */
static void check_follow_ups(const struct told *told, size_t flipped)
{
    for (size_t i = 0; i < told->count; i++) {
        const struct savepoint_finding *finding = &told->findings[i];
        if (is_none(&finding->snapshot)) {
            continue;
        }
        bool refers = strstr(finding->message, ": this snapshot needs what stands there") != NULL;
        CHECK_MSG(refers == is_told(told, finding->file_offset), "flip at %zu: snapshot, offset %llu: %s", flipped,
                  (unsigned long long)finding->file_offset, finding->message);
        for (size_t k = 0; k < i; k++) {
            CHECK(memcmp(&told->findings[k].snapshot, &finding->snapshot, sizeof finding->snapshot) != 0);
        }
    }
}

/* Flips a bit of the record's header, or (`inside`) of its body. */
static size_t flip(struct fixture *fixture, size_t index, bool inside)
{
    size_t at = (size_t)fixture->records[index].offset + (inside ? SVP_HEADER_BYTES : 20);
    fixture->bytes[at] ^= 1;
    return at;
}

CHECK_TEST(findings, one_flip_is_one_finding)
{
    struct fixture *fixture = open_fixture();
    unsigned types[16] = { 0 };
    struct told told;
    CHECK(verify(fixture, &told));
    CHECK_EQ(told.count, 0);
    for (size_t i = 0; i < fixture->record_count; i++) {
        for (int inside = 0; inside < 2; inside++) {
            size_t at = flip(fixture, i, inside != 0);
            bool last_seal = i + 1 == fixture->record_count; /* may be taken for an unfinished end */
            CHECK_MSG(verify(fixture, &told) || last_seal, "flip at %zu: not opened", at);
            check_follow_ups(&told, at);
            CHECK_MSG(count_alone(&told) == (last_seal ? 0 : 1),
                      "flip at %zu, in type %u: %zu findings, the second: %s", at, fixture->records[i].type,
                      count_alone(&told), told.findings[1].message);
            CHECK(last_seal || is_told(&told, fixture->records[i].offset));
            flip(fixture, i, inside != 0);
        }
        types[fixture->records[i].type & 15]++;
    }
    CHECK(types[SVP_SEAL] > 2 && types[SVP_SEGMENT] > 1 && types[SVP_REGIONS] > 0 && types[SVP_PAGES] >= TAKES);
    CHECK(types[SVP_COMMIT] == 2 * TAKES && types[SVP_REF] == 3 && types[SVP_TOMBSTONE] > 2 && types[SVP_END] > 0);
    close_fixture(fixture);
}

/* Nothing that is damaged by itself is taken for something that follows. */
CHECK_TEST(findings, two_flips_are_two_findings)
{
    struct fixture *fixture = open_fixture();
    struct told told;
    size_t end = fixture->record_count - 2; /* the last END: what stands behind it is the last seal */
    for (size_t i = 0; i < end; i++) {
        for (size_t k = i + 1; k < end; k++) {
            flip(fixture, i, true);
            flip(fixture, k, true);
            CHECK(verify(fixture, &told));
            CHECK_MSG(is_told(&told, fixture->records[i].offset) && is_told(&told, fixture->records[k].offset),
                      "flips in types %u and %u: %zu findings", fixture->records[i].type, fixture->records[k].type,
                      told.count);
            flip(fixture, i, true);
            flip(fixture, k, true);
        }
    }
    close_fixture(fixture);
}
