/* test_torn.c - an archive cut at every byte: readers see a prefix, the next writer saves the tail, cuts it, goes on */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "small_archive.h"

enum { PAGES = 3, NOISE_PAGES = 1, SNAPSHOTS = 3 };

static void torn_name(char *name, size_t name_bytes, const char *path, size_t offset)
{
    snprintf(name, name_bytes, "%s.torn-%zu", path, offset);
}

static void check_reader(const struct small_archive *small, const char *path, size_t length)
{
    struct view view;
    char what[64];
    size_t whole = small_archive_whole(small, length);
    snprintf(what, sizeof what, "cut to %zu", length);
    view_archive(&view, path, &small->world.history, what);
    if (view.opened != SAVEPOINT_OK) {
        CHECK_MSG(whole == 0 && view.opened == SAVEPOINT_NOT_AN_ARCHIVE, "%s: %s: %s", what,
                  savepoint_status_name(view.opened), view.error.message);
        return;
    }
    CHECK_MSG(view.snapshots == whole && !view.walk_broken && view.unreadable == 0, "%s: %zu of %zu snapshots: %s",
              what, view.snapshots, whole, view.error.message);
    CHECK_MSG(view.findings == 0 && view.info.damage_offset == UINT64_MAX, "%s: called corruption", what);
    CHECK_MSG(view.info.torn_bytes == length - small_archive_kept(small, length), "%s: %llu torn bytes", what,
              (unsigned long long)view.info.torn_bytes);
}

static void
check_saved(const struct small_archive *small, const char *path, size_t kept, size_t length, struct savepoint *session)
{
    char name[300];
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_OK(savepoint_read_statistics(session, &statistics, NULL));
    torn_name(name, sizeof name, path, kept);
    if (kept == length) {
        CHECK_MSG(!file_exists(name) && (statistics.flags & SAVEPOINT_SESSION_TORN_CUT) == 0, "cut to %zu: saved %s",
                  length, name);
        return;
    }
    CHECK_MSG((statistics.flags & SAVEPOINT_SESSION_TORN_CUT) != 0, "cut to %zu: the cut is not told", length);
    CHECK_EQ(statistics.torn_offset, kept);
    CHECK_EQ(statistics.torn_bytes, length - kept);
    check_file(name, (struct bytes){ small->file.at + kept, length - kept }, "the saved tail");
    file_remove(name);
}

/* The writer cuts, resumes, takes; all is there when it is opened again. */
static void check_writer(const struct small_archive *small, const char *path, size_t length)
{
    size_t whole = small_archive_whole(small, length);
    size_t kept = small_archive_kept(small, length);
    struct world world = { .history = small->world.history };
    char what[64];
    snprintf(what, sizeof what, "cut to %zu, continued", length);
    world.history.count = whole;
    world_open(&world, path, "compare", PAGES);
    check_saved(small, path, kept, length, world.session);
    world_resume(&world);
    struct bytes now = file_read(path);
    CHECK_MSG(now.count == kept && memcmp(now.at, small->file.at, kept) == 0, "%s: what was kept has changed", what);
    bytes_free(&now);
    memset(world_page(&world, 2), 'z', PAGE_BYTES);
    world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    check_archive(path, &world.history, whole + 1, what);
    CHECK_EQ(world.history.count, whole + 1);
    free(world.history.moments[whole].memory);
    world.history = (struct history){ 0 };
    world_free(&world);
}

CHECK_TEST(torn, cut_at_every_byte)
{
    struct small_archive small;
    const char *path = scratch_path("torn.svp");
    size_t cuts = 0;
    size_t writers = 0;
    small_archive_make(&small, path, PAGES, NOISE_PAGES, SNAPSHOTS);
    for (size_t length = small.file.count; length-- > 0;) {
        CHECK(truncate(path, (off_t)length) == 0);
        check_reader(&small, path, length);
        cuts++;
    }
    const char *copy = scratch_path("torn-writer.svp");
    for (size_t length = 0; length < small.file.count; length++) {
        size_t in_block = length % PAGE_BYTES;
        bool edge = in_block < 160 || in_block > PAGE_BYTES - 32;
        if (deep() || edge || length % 17 == 0) {
            file_write(copy, small.file.at, length);
            check_writer(&small, copy, length);
            writers++;
        }
    }
    printf("cut at %zu bytes of %zu, continued at %zu\n", cuts, small.file.count, writers);
    CHECK(cuts == small.file.count && writers > 1000);
    small_archive_free(&small);
}

/* Also half of the blocks behind the cut may be there: nothing but whole transactions counts. */
CHECK_TEST(torn, a_hole_in_the_last_transaction)
{
    struct small_archive small;
    struct view view;
    const char *path = scratch_path("hole.svp");
    small_archive_make(&small, path, PAGES, 2, SNAPSHOTS);
    size_t from = small.ends[SNAPSHOTS - 2];
    size_t to = small.ends[SNAPSHOTS - 1];
    for (size_t at = from + SEAL_BYTES; at < to; at += 512) {
        size_t bytes = to - at < 512 ? to - at : 512;
        file_write(path, small.file.at, to); /* without its SEAL: never known durable */
        FILE *file = fopen(path, "r+b");
        static const uint8_t zeros[512];
        CHECK(file != NULL && fseek(file, (long)at, SEEK_SET) == 0 && fwrite(zeros, 1, bytes, file) == bytes);
        fclose(file);
        struct bytes now = file_read(path);
        bool changed = memcmp(now.at, small.file.at, to) != 0;
        bytes_free(&now);
        view_archive(&view, path, &small.world.history, "hole");
        CHECK_OK(view.opened);
        CHECK_EQ(view.snapshots, changed ? SNAPSHOTS - 1 : SNAPSHOTS);
        CHECK_EQ(view.info.damage_offset, UINT64_MAX);
        CHECK(view.findings == 0 && view.unreadable == 0);
    }
    small_archive_free(&small);
}

/* A writer begins such a file anew; who only names or drops a snapshot has no business with it. */
CHECK_TEST(torn, what_holds_no_snapshot_is_left_as_it_is)
{
    struct small_archive small;
    const char *path = scratch_path("cut-birth.svp");
    small_archive_make(&small, path, PAGES, NOISE_PAGES, 1);
    struct savepoint_ref ref = { .kind = SAVEPOINT_REF_LABEL, .name = "x" };
    ref.target = small.world.history.moments[0].id;
    for (size_t length = 0; length < small.ends[0]; length += length < 2 ? 1 : 61) {
        const struct bytes cut = { small.file.at, length };
        file_write(path, cut.at, cut.count);
        CHECK_STATUS(savepoint_archive_set_ref(path, &ref, NULL), SAVEPOINT_NOT_AN_ARCHIVE);
        CHECK_STATUS(savepoint_archive_drop(path, &ref.target, 1, NULL), SAVEPOINT_NOT_AN_ARCHIVE);
        check_file(path, cut, "cut within its first snapshot");
        CHECK(!file_exists(scratch_path("cut-birth.svp.torn-0")));
    }
    file_write(path, small.file.at, small.ends[0]);
    CHECK_OK(savepoint_archive_set_ref(path, &ref, NULL));
    small_archive_free(&small);
}

static void expect_refusal(const char *path, struct bytes wanted, enum savepoint_status status)
{
    struct savepoint *session = NULL;
    struct savepoint_error error = { 0 };
    CHECK_STATUS(savepoint_open(&session, path, NULL, &error), status);
    CHECK_MSG(strstr(error.message, path) != NULL, "%s", error.message);
    fault_disarm();
    check_file(path, wanted, "a tail that could not be saved");
}

/* Where the tail cannot be saved, opening fails and nothing is cut. */
CHECK_TEST(torn, what_cannot_be_saved_is_not_cut)
{
    static const struct {
        enum fault_kind kind;
        int os_code;
        enum savepoint_status status;
    } ways[] = {
        { FAULT_WRITE, ENOSPC, SAVEPOINT_NO_SPACE },
        { FAULT_WRITE, EIO, SAVEPOINT_IO },
        { FAULT_SYNC, EIO, SAVEPOINT_IO },
        { FAULT_TRUNCATE, EIO, SAVEPOINT_IO },
    };
    struct small_archive small;
    const char *path = scratch_path("unsaved.svp");
    small_archive_make(&small, path, PAGES, NOISE_PAGES, SNAPSHOTS);
    size_t length = small.ends[2] - 100;
    struct bytes torn = { small.file.at, length };
    file_write(path, torn.at, length);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        fault_arm(ways[i].kind, 1, false, ways[i].os_code);
        expect_refusal(path, torn, ways[i].status);
        CHECK_EQ(fault_hits(ways[i].kind), 1);
    }
    uint64_t number = 1;
    for (bool met = true; met; number++) { /* every allocation of an open, too */
        struct savepoint *session = NULL;
        file_write(path, torn.at, length);
        fault_arm(FAULT_MEMORY, number, false, ENOMEM);
        enum savepoint_status status = savepoint_open(&session, path, NULL, NULL);
        met = fault_hits(FAULT_MEMORY) > 0;
        fault_disarm();
        CHECK_MSG(status == SAVEPOINT_OK || status == SAVEPOINT_NO_MEMORY || status == SAVEPOINT_CORRUPT,
                  "allocation %llu: %s", (unsigned long long)number, savepoint_status_name(status));
        CHECK_OK(savepoint_close(session, NULL));
        struct bytes now = file_read(path);
        CHECK_MSG(now.count == length || now.count == small_archive_kept(&small, length), "allocation %llu: %zu bytes",
                  (unsigned long long)number, now.count);
        CHECK(memcmp(now.at, small.file.at, now.count) == 0);
        bytes_free(&now);
    }
    printf("an open with a torn tail: %llu allocations failed in turn\n", (unsigned long long)number - 2);
    file_write(path, torn.at, length);
    struct world world = { .history = small.world.history };
    world.history.count = 2;
    world_open(&world, path, "compare", PAGES);
    world_resume(&world);
    world_close(&world);
    world.history = (struct history){ 0 };
    world_free(&world);
    small_archive_free(&small);
}

/* A folder that takes no new file: only root may write there, so a child becomes somebody else. */
CHECK_TEST(torn, a_folder_that_takes_no_file)
{
    struct small_archive small;
    char folder[300];
    char path[340];
    snprintf(folder, sizeof folder, "%s", scratch_path("folder"));
    snprintf(path, sizeof path, "%s/torn.svp", folder);
    CHECK(mkdir(folder, 0755) == 0);
    small_archive_make(&small, path, PAGES, NOISE_PAGES, SNAPSHOTS);
    size_t length = small.ends[2] - 100;
    file_write(path, small.file.at, length);
    if (geteuid() == 0) {
        char parent[300];
        snprintf(parent, sizeof parent, "%s", folder);
        *strrchr(parent, '/') = '\0';
        CHECK(chmod(parent, 0755) == 0 && chown(path, 65534, 65534) == 0 && chown(folder, 65534, 65534) == 0);
    }
    CHECK(chmod(folder, 0555) == 0);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
        expect_refusal(path, (struct bytes){ small.file.at, length }, SAVEPOINT_IO);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
    CHECK(chmod(folder, 0755) == 0);
    small_archive_free(&small);
}

/* What an earlier open saved under the same name stays. */
CHECK_TEST(torn, a_saved_tail_is_never_overwritten)
{
    struct small_archive small;
    const char *path = scratch_path("twice.svp");
    char first[300];
    char second[310];
    small_archive_make(&small, path, PAGES, NOISE_PAGES, SNAPSHOTS);
    size_t kept = small.ends[1] + SEAL_BYTES;
    torn_name(first, sizeof first, path, kept);
    snprintf(second, sizeof second, "%s.1", first);
    for (size_t turn = 0; turn < 2; turn++) {
        struct savepoint *session = NULL;
        file_write(path, small.file.at, kept + 1000 + turn);
        CHECK_OK(savepoint_open(&session, path, NULL, NULL));
        CHECK_OK(savepoint_close(session, NULL));
    }
    check_file(first, (struct bytes){ small.file.at + kept, 1000 }, "the first tail");
    check_file(second, (struct bytes){ small.file.at + kept, 1001 }, "the second tail");
    small_archive_free(&small);
}

static char order[16]; /* w: a write, s: a sync, n: the folder, c: the cut */

static void note_order(const struct fault_event *event)
{
    size_t count = strlen(order);
    CHECK(count + 1 < sizeof order);
    order[count] = event->kind == FAULT_WRITE      ? 'w'
                   : event->kind == FAULT_SYNC     ? 's'
                   : event->kind == FAULT_TRUNCATE ? 'c'
                                                   : 'n';
}

/* A power cut after the cut must not take the saved tail: its bytes and its name are durable before. */
CHECK_TEST(torn, the_saved_tail_is_durable_before_the_cut)
{
    struct small_archive small;
    struct savepoint *session = NULL;
    const char *path = scratch_path("order.svp");
    small_archive_make(&small, path, PAGES, NOISE_PAGES, SNAPSHOTS);
    file_write(path, small.file.at, small.ends[2] - 100);
    fault_observe(note_order);
    CHECK_OK(savepoint_open(&session, path, NULL, NULL));
    fault_observe(NULL);
    CHECK_OK(savepoint_close(session, NULL));
    CHECK_MSG(strncmp(order, "wsncs", 5) == 0, "the order is '%s'", order);
    small_archive_free(&small);
}
