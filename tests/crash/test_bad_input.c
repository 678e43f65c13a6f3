/* test_bad_input.c - files that are no archives, or not ours to write: the right error, and not a byte changed */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/bytes.h"
#include "format/record.h"
#include "small_archive.h"

enum { NOBODY = 65534 };

static void check_refusal(const char *what, enum savepoint_status got, enum savepoint_status wanted,
                          const struct savepoint_error *error, const char *mentioned, int os_code)
{
    CHECK_MSG(got == wanted, "%s: %s instead of %s: %s", what, savepoint_status_name(got),
              savepoint_status_name(wanted), error->message);
    CHECK_STATUS(error->status, wanted);
    CHECK_MSG(strstr(error->message, mentioned) != NULL, "%s: '%s' does not mention '%s'", what, error->message,
              mentioned);
    CHECK_MSG(error->os_code == os_code, "%s: system error %d instead of %d", what, error->os_code, os_code);
    CHECK(error->operation != NULL);
}

static enum savepoint_status try_reader(const char *path, struct savepoint_error *error)
{
    struct savepoint_archive *archive = NULL;
    *error = (struct savepoint_error){ .status = SAVEPOINT_OK };
    enum savepoint_status status = savepoint_archive_open(&archive, path, error);
    CHECK((status == SAVEPOINT_OK) == (archive != NULL));
    savepoint_archive_close(archive);
    return status;
}

static enum savepoint_status try_writer(const char *path, uint32_t flags, struct savepoint_error *error)
{
    struct savepoint *session = NULL;
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.flags = flags;
    *error = (struct savepoint_error){ .status = SAVEPOINT_OK };
    enum savepoint_status status = savepoint_open(&session, path, &options, error);
    CHECK((status == SAVEPOINT_OK) == (session != NULL));
    CHECK_OK(savepoint_close(session, NULL));
    return status;
}

/* A child's checks; as somebody who is not root, whom modes bind, where `drop` asks for it. */
static void run_child(void (*body)(const char *path), const char *path, bool drop)
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(!drop || geteuid() != 0 || (setgid(NOBODY) == 0 && setuid(NOBODY) == 0));
        body(path);
        fflush(NULL);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
}

/* A good session works at `path` afterwards. */
static void check_usable(const char *path)
{
    struct world world = { 0 };
    world_open(&world, path, "compare", 2);
    world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    check_archive(path, &world.history, 1, path);
    world_free(&world);
}

static void check_foreign(const char *name, const void *bytes, size_t count)
{
    const char *path = scratch_path("foreign");
    struct savepoint_error error;
    file_write(path, bytes, count);
    check_refusal(name, try_reader(path, &error), SAVEPOINT_NOT_AN_ARCHIVE, &error, path, 0);
    check_refusal(name, try_writer(path, 0, &error), SAVEPOINT_NOT_AN_ARCHIVE, &error, path, 0);
    CHECK_MSG(strstr(error.message, "give the path of an archive") != NULL, "%s: %s", name, error.message);
    check_file(path, (struct bytes){ (uint8_t *)(uintptr_t)bytes, count }, name);
    file_remove(path);
    check_usable(path);
    file_remove(path);
}

CHECK_TEST(bad_input, foreign_bytes)
{
    static const char text[] = "Dear archive,\nI am a letter, and would like to stay one.\n";
    static const uint8_t zeros[3 * PAGE_BYTES];
    static uint8_t noise[5 * PAGE_BYTES];
    uint64_t seed = 1;
    random_fill(noise, sizeof noise, &seed);
    struct bytes program = file_read("/proc/self/exe");
    check_foreign("text", text, sizeof text - 1);
    check_foreign("one letter", text, 1);
    check_foreign("program", program.at, program.count < 100000 ? program.count : 100000);
    check_foreign("zeros", zeros, sizeof zeros);
    check_foreign("noise", noise, sizeof noise);
    bytes_free(&program);
}

CHECK_TEST(bad_input, an_empty_file_is_new)
{
    const char *path = scratch_path("empty");
    struct savepoint_error error;
    file_write(path, "", 0);
    check_refusal("empty", try_reader(path, &error), SAVEPOINT_NOT_AN_ARCHIVE, &error, "empty", 0);
    CHECK_OK(try_writer(path, SAVEPOINT_OPEN_MUST_EXIST, &error));
    struct bytes after = file_read(path);
    CHECK_EQ(after.count, 0); /* opening alone writes nothing */
    bytes_free(&after);
    check_usable(path);
}

CHECK_TEST(bad_input, a_started_magic_is_saved_and_begun_anew)
{
    struct small_archive small;
    const char *path = scratch_path("newborn.svp");
    const char *torn = scratch_path("newborn.svp.torn-0");
    struct savepoint_error error;
    small_archive_make(&small, path, 2, 0, 1);
    for (size_t bytes = 1; bytes < 400; bytes++) {
        file_write(path, small.file.at, bytes);
        enum savepoint_status status = try_reader(path, &error);
        CHECK_MSG(status == SAVEPOINT_NOT_AN_ARCHIVE || (bytes > 144 && status == SAVEPOINT_OK), "%zu bytes: %s", bytes,
                  savepoint_status_name(status));
        CHECK_OK(try_writer(path, 0, &error));
        check_file(torn, (struct bytes){ small.file.at, bytes }, "the start of an archive");
        file_remove(torn);
        check_usable(path);
    }
    small_archive_free(&small);
}

CHECK_TEST(bad_input, not_a_file)
{
    const char *folder = scratch_path("a folder");
    const char *pipe_path = scratch_path("a pipe");
    struct savepoint_error error;
    CHECK(mkdir(folder, 0700) == 0 && mkfifo(pipe_path, 0600) == 0);
    check_refusal("folder", try_reader(folder, &error), SAVEPOINT_NOT_AN_ARCHIVE, &error, folder, 0);
    check_refusal("folder", try_writer(folder, 0, &error), SAVEPOINT_IO, &error, folder, EISDIR);
    check_refusal("pipe", try_reader(pipe_path, &error), SAVEPOINT_NOT_AN_ARCHIVE, &error, pipe_path, 0);
    check_refusal("pipe", try_writer(pipe_path, 0, &error), SAVEPOINT_IO, &error, pipe_path, EINVAL);
    check_refusal("device", try_writer("/dev/null", 0, &error), SAVEPOINT_IO, &error, "/dev/null", EINVAL);
    char missing[300];
    snprintf(missing, sizeof missing, "%s/missing/x.svp", folder);
    check_refusal("missing folder", try_writer(missing, 0, &error), SAVEPOINT_IO, &error, missing, ENOENT);
    snprintf(missing, sizeof missing, "%s/x.svp", folder);
    check_refusal("missing", try_reader(missing, &error), SAVEPOINT_IO, &error, missing, ENOENT);
    check_refusal("must exist", try_writer(missing, SAVEPOINT_OPEN_MUST_EXIST, &error), SAVEPOINT_IO, &error, missing,
                  ENOENT);
    CHECK(!file_exists(missing));
    check_usable(missing);
    CHECK_STATUS(try_writer("", 0, &error), SAVEPOINT_INVALID);
}

static void open_read_only(const char *path)
{
    struct savepoint_error error;
    CHECK_OK(try_reader(path, &error));
    check_refusal("read-only", try_writer(path, 0, &error), SAVEPOINT_IO, &error, path, EACCES);
}

CHECK_TEST(bad_input, a_file_that_may_only_be_read)
{
    struct small_archive small;
    struct stat status;
    const char *path = scratch_path("read-only.svp");
    small_archive_make(&small, path, 2, 0, 2);
    CHECK(stat(path, &status) == 0);
    CHECK_EQ(status.st_mode & 07777, 0600); /* archives hold memory, so secrets */
    char folder[300];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    CHECK(chmod(folder, 0755) == 0 && chmod(path, 0444) == 0);
    run_child(open_read_only, path, true);
    check_file(path, small.file, "read-only");
    CHECK(chmod(path, 0600) == 0);
    struct savepoint_error error;
    CHECK_OK(try_writer(path, 0, &error));
    small_archive_free(&small);
}

/* ---- newer formats */

/* Turns the SEGMENT's ABI entry into the name of a feature, of the same length. */
static void name_feature(uint8_t *body, size_t bytes, uint8_t mask, uint8_t bit)
{
    enum { TLVS = 80, TLV_HEADER = 8, TLV_FEATURE = 1, TLV_ABI = 3 };
    size_t at = TLVS;
    while (at + TLV_HEADER <= bytes && svp_load16(body + at) != TLV_ABI) {
        at += TLV_HEADER + (size_t)svp_round_up(svp_load32(body + at + 4), 8);
    }
    CHECK(at + TLV_HEADER + 12 <= bytes && svp_load32(body + at + 4) == 12);
    svp_store16(body + at, TLV_FEATURE);
    body[at + TLV_HEADER] = mask;
    body[at + TLV_HEADER + 1] = bit;
    memcpy(body + at + TLV_HEADER + 2, "hovercraft", 10);
}

/* The file with its first SEGMENT changed, and the record's hashes made good. */
static struct bytes patch_segment(struct bytes file, uint16_t version, int mask, uint8_t bit)
{
    struct svp_record segment;
    struct svp_buffer written = { 0 };
    struct bytes patched = { malloc(file.count), file.count };
    CHECK(patched.at != NULL && svp_record_read(&segment, file.at, 0) == SVP_GOOD && segment.type == SVP_SEGMENT);
    memcpy(patched.at, file.at, file.count);
    uint8_t *body = patched.at + SVP_HEADER_BYTES;
    svp_store16(body, version);
    if (mask >= 0) {
        uint8_t *masks = body + 8 + 8 * mask;
        svp_store64(masks, svp_load64(masks) | UINT64_C(1) << bit);
        name_feature(body, (size_t)segment.body_bytes, (uint8_t)mask, bit);
    }
    svp_record_write(&written, &segment, body, (size_t)segment.body_bytes);
    CHECK(!written.failed && written.count == svp_record_bytes(&segment));
    memcpy(patched.at, written.bytes, written.count);
    svp_buffer_free(&written);
    return patched;
}

CHECK_TEST(bad_input, a_newer_format)
{
    static const struct {
        const char *name;
        uint16_t version;
        int mask; /* -1: none */
        uint8_t bit;
        enum savepoint_status reader, writer;
        const char *mentioned;
    } cases[] = {
        { "unchanged", 0, -1, 0, SAVEPOINT_OK, SAVEPOINT_OK, "" },
        { "version", 9, -1, 0, SAVEPOINT_UNSUPPORTED, SAVEPOINT_UNSUPPORTED, "9" },
        { "incompatible bit 20", 0, 0, 20, SAVEPOINT_UNSUPPORTED, SAVEPOINT_UNSUPPORTED, "hovercraft" },
        { "incompatible bit 63", 0, 0, 63, SAVEPOINT_UNSUPPORTED, SAVEPOINT_UNSUPPORTED, "hovercraft" },
        { "read-only bit 3", 0, 1, 3, SAVEPOINT_OK, SAVEPOINT_UNSUPPORTED, "newer" },
        { "compatible bit 3", 0, 2, 3, SAVEPOINT_OK, SAVEPOINT_OK, "" },
    };
    struct small_archive small;
    const char *path = scratch_path("newer.svp");
    small_archive_make(&small, path, 2, 0, 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct savepoint_error error;
        struct bytes patched = patch_segment(small.file, cases[i].version, cases[i].mask, cases[i].bit);
        file_write(path, patched.at, patched.count);
        enum savepoint_status status = try_reader(path, &error);
        CHECK_MSG(status == cases[i].reader, "%s: reader: %s: %s", cases[i].name, savepoint_status_name(status),
                  error.message);
        status = try_writer(path, 0, &error);
        CHECK_MSG(status == cases[i].writer, "%s: writer: %s: %s", cases[i].name, savepoint_status_name(status),
                  error.message);
        CHECK_MSG(strstr(error.message, cases[i].mentioned) != NULL, "%s: '%s' does not mention '%s'", cases[i].name,
                  error.message, cases[i].mentioned);
        CHECK(status == SAVEPOINT_OK || strstr(error.message, path) != NULL);
        check_file(path, patched, cases[i].name);
        bytes_free(&patched);
    }
    small_archive_free(&small);
}

/* ---- two writers */

static void open_locked(const char *path)
{
    struct savepoint_error error;
    const struct savepoint_ref ref = { .kind = SAVEPOINT_REF_HEAD, .target = { { 1 } } };
    check_refusal("second writer", try_writer(path, 0, &error), SAVEPOINT_LOCKED, &error, path, 0);
    CHECK_STATUS(savepoint_archive_set_ref(path, &ref, NULL), SAVEPOINT_LOCKED);
}

CHECK_TEST(bad_input, a_second_writer)
{
    struct world world = { 0 };
    struct savepoint_error error;
    const char *path = scratch_path("two writers.svp");
    world_open(&world, path, "compare", 2);
    world_take(&world, SAVEPOINT_SYNC);
    struct bytes before = file_read(path);
    open_locked(path);
    run_child(open_locked, path, false);
    CHECK_OK(try_reader(path, &error));
    check_file(path, before, "two writers");
    world_page(&world, 0)[0]++;
    world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    check_archive(path, &world.history, 2, "two writers");
    CHECK_OK(try_writer(path, 0, &error));
    bytes_free(&before);
    world_free(&world);
}

/* ---- a full disk */

static void fill_and_go_on(const char *path, int os_code, const char *why, void (*make_room)(void))
{
    struct world world = { 0 };
    struct savepoint_error error = { 0 };
    uint64_t ticket = 0;
    uint64_t seed = 5;
    world_open(&world, path, "compare", 64);
    random_fill(world.memory, 4 * PAGE_BYTES, &seed);
    world_take(&world, SAVEPOINT_SYNC);
    random_fill(world.memory, 64 * PAGE_BYTES, &seed);
    CHECK_OK(world_start(&world, SAVEPOINT_SYNC, &ticket));
    check_refusal("full", savepoint_wait(world.session, ticket, NULL, &error), SAVEPOINT_NO_SPACE, &error, path,
                  os_code);
    CHECK_MSG(strstr(error.message, why) != NULL, "the message of a full disk: %s", error.message);
    check_archive(path, &world.history, 1, "full");
    make_room();
    world_take(&world, SAVEPOINT_SYNC);
    world_close(&world);
    check_archive(path, &world.history, 2, "with room again");
    world_free(&world);
}

static void lift_limit(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void fill_to_limit(const char *path)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = 64 << 10;
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &limit) == 0);
    fill_and_go_on(path, EFBIG, "a limit (ulimit -f", lift_limit);
}

CHECK_TEST(bad_input, a_file_size_limit)
{
    run_child(fill_to_limit, scratch_path("limit.svp"), false);
}

static char mounted[300];

/* False where this process may not mount. `path` becomes one on the new file system. */
static bool mount_disk(char path[320], const char *name)
{
    snprintf(mounted, sizeof mounted, "%s", scratch_path(name));
    snprintf(path, 320, "%s/disk.svp", mounted);
    CHECK(mkdir(mounted, 0700) == 0);
    return geteuid() == 0 && mount("tmpfs", mounted, "tmpfs", 0, "size=64k") == 0;
}

static void enlarge(void)
{
    CHECK(mount("tmpfs", mounted, "tmpfs", MS_REMOUNT, "size=2m") == 0);
}

static void fill_disk(const char *path)
{
    fill_and_go_on(path, ENOSPC, "no space left on device: make room", enlarge);
}

CHECK_TEST(bad_input, a_full_disk)
{
    char path[320];
    if (!mount_disk(path, "small disk")) {
        printf("no right to mount a file system: only the file size limit was tested\n");
        return;
    }
    run_child(fill_disk, path, false);
    CHECK(umount(mounted) == 0);
}

CHECK_TEST(bad_input, a_read_only_file_system)
{
    char path[320];
    struct savepoint_error error;
    if (!mount_disk(path, "read-only disk")) {
        printf("no right to mount a file system: only modes were tested\n");
        return;
    }
    check_usable(path);
    CHECK(mount("tmpfs", mounted, "tmpfs", MS_REMOUNT | MS_RDONLY, "") == 0);
    const char *wanted = "/disk.svp: this file system is read-only: choose another place";
    check_refusal("there", try_writer(path, SAVEPOINT_OPEN_MUST_EXIST, &error), SAVEPOINT_IO, &error, wanted, EROFS);
    check_refusal("there", try_writer(path, 0, &error), SAVEPOINT_IO, &error, wanted, EROFS);
    CHECK_OK(try_reader(path, &error));
    memcpy(strrchr(path, '/') + 1, "new", 4);
    check_refusal("new", try_writer(path, 0, &error), SAVEPOINT_IO, &error, "/new: this file system is read-only",
                  EROFS);
    CHECK(umount(mounted) == 0);
}
