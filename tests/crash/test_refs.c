/* test_refs.c - references: set, moved, deleted, refused; and with every call below them failing in turn */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdio.h>

#include "crash_fixture.h"
#include "fault.h"

enum { PAGES = 2, SNAPSHOTS = 3, CALLS_MAX = 2000, NAMES = 70 };

/* Three snapshots, closed. */
static void make(struct world *world, const char *path)
{
    *world = (struct world){ .path = NULL };
    file_remove(path);
    world_open(world, path, "compare", PAGES);
    for (int i = 0; i < SNAPSHOTS; i++) {
        memset(world_page(world, 0), 'a' + i, PAGE_BYTES);
        world_take(world, SAVEPOINT_SYNC);
    }
    world_close(world);
}

static const struct savepoint_id *id_of(const struct world *world, size_t index)
{
    return &world->history.moments[index].id;
}

/* `target` NULL deletes the name. */
static struct savepoint_ref ref_to(uint32_t kind, const char *name, const struct savepoint_id *target)
{
    struct savepoint_ref ref = { .kind = kind };
    snprintf(ref.name, sizeof ref.name, "%s", name);
    if (target != NULL) {
        ref.target = *target;
    }
    return ref;
}

static enum savepoint_status
set(const char *path, uint32_t kind, const char *name, const struct savepoint_id *target, struct savepoint_error *error)
{
    const struct savepoint_ref ref = ref_to(kind, name, target);
    return savepoint_archive_set_ref(path, &ref, error);
}

/* Where the archive says a name points, or all zero; *count is that of all references. */
static struct savepoint_id target_of(const char *path, uint32_t kind, const char *name, size_t *count)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_ref ref;
    struct savepoint_id target = { { 0 } };
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    for (*count = 0; savepoint_archive_ref_at(archive, &ref, *count, NULL) == SAVEPOINT_OK; ++*count) {
        if (ref.kind == kind && strcmp(ref.name, name) == 0) {
            target = ref.target;
        }
    }
    savepoint_archive_close(archive);
    return target;
}

static void
check_target(const char *path, uint32_t kind, const char *name, const struct savepoint_id *wanted, size_t wanted_count)
{
    static const struct savepoint_id none;
    size_t count = 0;
    const struct savepoint_id target = target_of(path, kind, name, &count);
    CHECK_MSG(memcmp(&target, wanted == NULL ? &none : wanted, sizeof target) == 0, "'%s' points elsewhere", name);
    CHECK_EQ(count, wanted_count);
}

static void check_finds(const char *path, const char *expression, const struct savepoint_id *wanted)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot found;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_find(archive, &found, expression, NULL));
    CHECK_MSG(memcmp(&found.id, wanted, sizeof found.id) == 0, "'%s' is another one", expression);
    savepoint_archive_close(archive);
}

CHECK_TEST(refs, a_label_is_set_moved_and_deleted)
{
    struct world world;
    const char *path = scratch_path("labels.svp");
    make(&world, path);
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 0), NULL));
    check_target(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 0), 1);
    check_finds(path, "best", id_of(&world, 0));
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 2), NULL));
    check_target(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 2), 1);
    check_finds(path, "best~1", id_of(&world, 1));
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "other", id_of(&world, 2), NULL));
    check_target(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 2), 2);
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "best", NULL, NULL));
    check_target(path, SAVEPOINT_REF_LABEL, "best", NULL, 1);
    CHECK_STATUS(set(path, SAVEPOINT_REF_LABEL, "best", NULL, NULL), SAVEPOINT_NOT_FOUND);
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 1), NULL));
    check_target(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 1), 2);
    check_archive(path, &world.history, SNAPSHOTS, "labelled");
    world_free(&world);
}

CHECK_TEST(refs, of_many_names_each_keeps_its_newest_target)
{
    struct world world;
    char name[16];
    const char *path = scratch_path("many.svp");
    make(&world, path);
    for (int i = 0; i < 2 * NAMES; i++) { /* all are moved once */
        snprintf(name, sizeof name, "n-%d", i % NAMES);
        CHECK_OK(set(path, SAVEPOINT_REF_LABEL, name, id_of(&world, (size_t)(i / NAMES + i % 2)), NULL));
    }
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "n-%d", i);
        check_target(path, SAVEPOINT_REF_LABEL, name, id_of(&world, (size_t)(1 + i % 2)), NAMES);
    }
    world_free(&world);
}

/* The last place in the file where `text` stands. */
static size_t last_place(struct bytes file, const char *text)
{
    size_t at = file.count - strlen(text);
    while (memcmp(file.at + at, text, strlen(text)) != 0) {
        CHECK(at > 0);
        at--;
    }
    return at;
}

static void check_find_status(const char *path, const char *expression, enum savepoint_status wanted)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot found;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_STATUS(savepoint_archive_find(archive, &found, expression, NULL), wanted);
    savepoint_archive_close(archive);
}

/* The snapshots stay; a name that may have been moved by the lost record is not followed to where it was before. */
CHECK_TEST(refs, a_damaged_reference_costs_no_snapshot)
{
    struct world world;
    struct view view;
    const char *path = scratch_path("damaged-label.svp");
    make(&world, path);
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 0), NULL));
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 2), NULL));
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "later", id_of(&world, 1), NULL));
    struct bytes file = file_read(path);
    file.at[last_place(file, "best")] ^= 1;
    file_write(path, file.at, file.count);
    view_archive(&view, path, &world.history, "a damaged reference");
    CHECK_STATUS(view.opened, SAVEPOINT_OK);
    CHECK(view.snapshots == SNAPSHOTS && view.unreadable == 0 && view.findings > 0);
    CHECK(view.info.damage_offset != UINT64_MAX);
    check_finds(path, "later", id_of(&world, 1));
    check_finds(path, "HEAD", id_of(&world, SNAPSHOTS - 1));
    check_find_status(path, "best", SAVEPOINT_CORRUPT);
    bytes_free(&file);
    world_free(&world);
}

/* A pin and a label of one name are two things; a pin without name goes by the id of its snapshot. */
CHECK_TEST(refs, pins_are_apart_from_labels)
{
    struct world world;
    char id[SAVEPOINT_ID_TEXT_BYTES];
    const char *path = scratch_path("pins.svp");
    make(&world, path);
    savepoint_id_format(id_of(&world, 1), id);
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "keep", id_of(&world, 0), NULL));
    CHECK_OK(set(path, SAVEPOINT_REF_PIN, "keep", id_of(&world, 1), NULL));
    CHECK_OK(set(path, SAVEPOINT_REF_PIN, "", id_of(&world, 1), NULL));
    CHECK_OK(set(path, SAVEPOINT_REF_PIN, "for: ~the~ report @{1}", id_of(&world, 2), NULL));
    check_target(path, SAVEPOINT_REF_LABEL, "keep", id_of(&world, 0), 4);
    check_target(path, SAVEPOINT_REF_PIN, "keep", id_of(&world, 1), 4);
    check_target(path, SAVEPOINT_REF_PIN, id, id_of(&world, 1), 4);
    CHECK_OK(set(path, SAVEPOINT_REF_PIN, "keep", NULL, NULL));
    check_target(path, SAVEPOINT_REF_LABEL, "keep", id_of(&world, 0), 3);
    CHECK_OK(set(path, SAVEPOINT_REF_PIN, id, NULL, NULL));
    check_target(path, SAVEPOINT_REF_PIN, id, NULL, 2);
    check_archive(path, &world.history, SNAPSHOTS, "pinned");
    world_free(&world);
}

static void refuse(const char *path, const struct savepoint_ref *ref, const char *mentioned)
{
    struct savepoint_error error = { 0 };
    CHECK_MSG(savepoint_archive_set_ref(path, ref, &error) == SAVEPOINT_INVALID, "'%s' is taken", ref->name);
    CHECK_MSG(strstr(error.message, mentioned) != NULL, "'%s' does not mention '%s'", error.message, mentioned);
    CHECK_MSG(strpbrk(error.message, "\n\x1b\x7f\xff") == NULL, "'%s' is not fit to print", error.message);
}

static void refuse_names(const char *path, const struct savepoint_id *target)
{
    static const struct {
        const char *name, *mentioned;
    } cases[] = {
        { "", "empty" },
        { "HEAD", "'HEAD'" },
        { "abcd", "id" },
        { "0123456789abcdefABCDEF0123456789", "id" },
        { "a~1", "~ : @{" },
        { "label:x", "~ : @{" },
        { "@{1 day ago}", "@{" },
        { "x@{}", "@{" },
        { "a\nb", "control" },
        { "a\x1b[31m", "control" },
        { "a\x7f", "control" },
        { "a\xc2\x9b", "control" },
        { "a\xff", "UTF-8" },
        { "\xc0\x80", "UTF-8" },
        { "\xed\xa0\x80", "UTF-8" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct savepoint_ref ref = ref_to(SAVEPOINT_REF_LABEL, cases[i].name, target);
        refuse(path, &ref, cases[i].mentioned);
    }
    struct savepoint_ref ref = ref_to(SAVEPOINT_REF_PIN, "a\x1b[31m", target);
    refuse(path, &ref, "control");
    ref = ref_to(SAVEPOINT_REF_PIN, "", NULL);
    refuse(path, &ref, "name to delete");
    ref = ref_to(SAVEPOINT_REF_HEAD, "HEAD", target);
    refuse(path, &ref, "HEAD");
    ref = ref_to(SAVEPOINT_REF_HEAD, "", NULL);
    refuse(path, &ref, "HEAD");
    ref = ref_to(0, "x", target);
    refuse(path, &ref, "kind");
    ref = ref_to(4, "x", target);
    refuse(path, &ref, "kind");
    ref = ref_to(SAVEPOINT_REF_LABEL, "x", target);
    ref.reserved = 1;
    refuse(path, &ref, "reserved");
    ref.reserved = 0;
    memset(ref.name, 'x', sizeof ref.name);
    refuse(path, &ref, "ends within");
}

CHECK_TEST(refs, what_is_refused_changes_nothing)
{
    struct world world;
    const char *path = scratch_path("refused.svp");
    const struct savepoint_id unknown = { { 1 } };
    make(&world, path);
    struct bytes before = file_read(path);
    refuse_names(path, id_of(&world, 0));
    CHECK_STATUS(set(path, SAVEPOINT_REF_LABEL, "x", &unknown, NULL), SAVEPOINT_NOT_FOUND);
    CHECK_STATUS(set(path, SAVEPOINT_REF_PIN, "", &unknown, NULL), SAVEPOINT_NOT_FOUND);
    CHECK_STATUS(set(path, SAVEPOINT_REF_PIN, "x", NULL, NULL), SAVEPOINT_NOT_FOUND);
    CHECK_STATUS(savepoint_archive_set_ref(path, NULL, NULL), SAVEPOINT_INVALID);
    check_file(path, before, "after refusals");
    CHECK_STATUS(set(scratch_path("none.svp"), SAVEPOINT_REF_LABEL, "x", id_of(&world, 0), NULL), SAVEPOINT_IO);
    CHECK(!file_exists(scratch_path("none.svp")));
    bytes_free(&before);
    world_free(&world);
}

CHECK_TEST(refs, the_longest_name_and_other_scripts)
{
    struct world world;
    static const char *const names[] = { "abc", "abcdefg", "before boss", "\xe6\xbc\xa2\xe5\xad\x97",
                                         "-x",  "@",       "{a}",         "0123456789abcdefABCDEF01234567890" };
    char longest[SAVEPOINT_NAME_BYTES];
    const char *path = scratch_path("names.svp");
    make(&world, path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_OK(set(path, SAVEPOINT_REF_LABEL, names[i], id_of(&world, i % SNAPSHOTS), NULL));
        check_target(path, SAVEPOINT_REF_LABEL, names[i], id_of(&world, i % SNAPSHOTS), i + 1);
        check_finds(path, names[i], id_of(&world, i % SNAPSHOTS));
    }
    memset(longest, 'n', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, longest, id_of(&world, 0), NULL));
    check_finds(path, longest, id_of(&world, 0));
    check_archive(path, &world.history, SNAPSHOTS, "named");
    world_free(&world);
}

/* A session takes on; the label stays where it was, and the session finds it, too. */
CHECK_TEST(refs, names_outlive_a_session)
{
    struct world world;
    struct savepoint_snapshot found;
    const char *path = scratch_path("session.svp");
    make(&world, path);
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 0), NULL));
    CHECK_OK(set(path, SAVEPOINT_REF_PIN, "", id_of(&world, 1), NULL));
    memset(world.memory, 0, PAGES * PAGE_BYTES);
    world_open(&world, path, "compare", PAGES);
    CHECK_STATUS(set(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 1), NULL), SAVEPOINT_LOCKED);
    world_resume(&world);
    for (int i = 0; i < 2; i++) {
        world_page(&world, 1)[0]++;
        world_take(&world, SAVEPOINT_SYNC);
        CHECK_OK(savepoint_find(world.session, &found, "best", NULL));
        CHECK_MEM(&found.id, id_of(&world, 0), sizeof found.id);
    }
    world_close(&world);
    check_target(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 0), 2);
    check_finds(path, "HEAD", id_of(&world, SNAPSHOTS + 1));
    CHECK_OK(set(path, SAVEPOINT_REF_HEAD, "", id_of(&world, 0), NULL));
    check_finds(path, "HEAD", id_of(&world, 0));
    check_target(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 0), 2);
    check_archive(path, &world.history, SNAPSHOTS + 2, "gone on");
    world_free(&world);
}

/* ---- failures */

struct tally {
    unsigned calls, refused, uncertain, tolerated;
};

static enum savepoint_status expected(enum fault_kind kind, int os_code)
{
    if (kind == FAULT_MEMORY) {
        return SAVEPOINT_NO_MEMORY;
    }
    return os_code == ENOSPC ? SAVEPOINT_NO_SPACE : SAVEPOINT_IO;
}

/* Moves "best" from the first snapshot to the second while a call fails: afterwards it is at one of the two, and at the
 * first one unless the status says otherwise. True when the failure was met. */
static bool move_with_fault(const struct world *world, const struct bytes *before, enum fault_kind kind,
                            uint64_t number, bool sticky, int os_code, struct tally *tally)
{
    struct savepoint_error error = { 0 };
    size_t count = 0;
    file_write(world->path, before->at, before->count);
    fault_arm(kind, number, sticky, os_code);
    enum savepoint_status status = set(world->path, SAVEPOINT_REF_LABEL, "best", id_of(world, 1), &error);
    bool met = fault_hits(kind) > 0;
    fault_disarm();
    const struct savepoint_id target = target_of(world->path, SAVEPOINT_REF_LABEL, "best", &count);
    bool moved = memcmp(&target, id_of(world, 1), sizeof target) == 0;
    bool stayed = memcmp(&target, id_of(world, 0), sizeof target) == 0;
    CHECK_MSG(count == 1 && (moved || stayed), "kind %d, call %llu: the name is lost", kind,
              (unsigned long long)number);
    CHECK_MSG(status == SAVEPOINT_UNCERTAIN || moved == (status == SAVEPOINT_OK), "kind %d, call %llu: %s, and it %s",
              kind, (unsigned long long)number, savepoint_status_name(status), moved ? "moved" : "stayed");
    if (status == SAVEPOINT_OK) {
        tally->tolerated++;
    } else if (status == SAVEPOINT_UNCERTAIN) {
        CHECK_MSG(kind == FAULT_SYNC, "kind %d, call %llu: uncertain", kind, (unsigned long long)number);
        tally->uncertain++;
    } else {
        CHECK_MSG(status == expected(kind, os_code) && error.message[0] != '\0', "kind %d, call %llu: %s: %s", kind,
                  (unsigned long long)number, savepoint_status_name(status), error.message);
        tally->refused++;
    }
    check_archive(world->path, &world->history, SNAPSHOTS, "after a failure");
    CHECK_OK(set(world->path, SAVEPOINT_REF_LABEL, "best", id_of(world, 2), NULL));
    check_target(world->path, SAVEPOINT_REF_LABEL, "best", id_of(world, 2), 1);
    tally->calls++;
    return met;
}

static struct tally fail_all_calls(enum fault_kind kind, int os_code)
{
    struct world world;
    struct tally tally = { 0 };
    const char *path = scratch_path("faults.svp");
    make(&world, path);
    CHECK_OK(set(path, SAVEPOINT_REF_LABEL, "best", id_of(&world, 0), NULL));
    struct bytes before = file_read(path);
    for (int sticky = 0; sticky < 2; sticky++) {
        uint64_t number = 1;
        while (number < CALLS_MAX && move_with_fault(&world, &before, kind, number, sticky != 0, os_code, &tally)) {
            number++;
        }
        CHECK(number > 1 && number < CALLS_MAX);
    }
    printf("kind %d: %u calls, %u refused, %u uncertain, %u not hurt\n", kind, tally.calls, tally.refused,
           tally.uncertain, tally.tolerated);
    bytes_free(&before);
    world_free(&world);
    return tally;
}

CHECK_TEST(refs, a_write_that_fails_changes_nothing)
{
    CHECK(fail_all_calls(FAULT_WRITE, ENOSPC).refused >= 2);
    fault_tear_writes(true);
    CHECK(fail_all_calls(FAULT_WRITE, EIO).refused >= 2);
    fault_tear_writes(false);
}

CHECK_TEST(refs, a_sync_that_fails_is_uncertain)
{
    CHECK(fail_all_calls(FAULT_SYNC, EIO).uncertain >= 2);
}

CHECK_TEST(refs, reads_and_allocations_that_fail_are_errors)
{
    CHECK(fail_all_calls(FAULT_READ, EIO).refused > 5);
    CHECK(fail_all_calls(FAULT_MEMORY, ENOMEM).refused > 5);
}
