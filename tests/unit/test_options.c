/* test_options.c - size-versioned options: older and newer callers */
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>

#include "check.h"
#include "options.h"

struct known { /* as this library knows it */
    size_t size;
    uint32_t a;
    uint32_t b;
};
struct newer {
    struct known known;
    uint64_t c;
};

static const struct known defaults = { sizeof(struct known), 7, 8 };

CHECK_TEST(options, null_means_defaults)
{
    struct known options = defaults;
    CHECK_OK(svp_options_copy(&options, sizeof options, NULL, "test", NULL));
    CHECK_MEM(&options, &defaults, sizeof options);
}

CHECK_TEST(options, an_older_caller_sets_what_it_knows)
{
    struct known options = defaults;
    const struct known given = { offsetof(struct known, b), 1, 99 };
    CHECK_OK(svp_options_copy(&options, sizeof options, &given, "test", NULL));
    CHECK_EQ(options.a, 1);
    CHECK_EQ(options.b, 8);
    CHECK_EQ(options.size, sizeof options);
}

CHECK_TEST(options, a_newer_caller_is_served_while_what_is_new_is_zero)
{
    struct known options = defaults;
    struct newer given = { { sizeof given, 1, 2 }, 0 };
    CHECK_OK(svp_options_copy(&options, sizeof options, &given, "test", NULL));
    CHECK_EQ(options.b, 2);
    CHECK_EQ(options.size, sizeof options);
    given.c = UINT64_C(1) << 63;
    options = defaults;
    CHECK_STATUS(svp_options_copy(&options, sizeof options, &given, "test", NULL), SAVEPOINT_UNSUPPORTED);
    CHECK_MEM(&options, &defaults, sizeof options);
}

CHECK_TEST(options, an_uninitialised_size_is_refused)
{
    struct known options = defaults;
    for (size_t size = 0; size < sizeof size; size++) {
        const struct known given = { size, 1, 2 };
        CHECK_STATUS(svp_options_copy(&options, sizeof options, &given, "test", NULL), SAVEPOINT_INVALID);
    }
    CHECK_MEM(&options, &defaults, sizeof options);
}

CHECK_TEST(options, every_public_structure_goes_through_it)
{
    char path[64];
    struct savepoint *session = NULL;
    struct savepoint_options open = SAVEPOINT_OPTIONS_INIT;
    struct savepoint_take_options take = SAVEPOINT_TAKE_OPTIONS_INIT;
    struct savepoint_restore_options restore = SAVEPOINT_RESTORE_OPTIONS_INIT;
    struct savepoint_region_options region = SAVEPOINT_REGION_OPTIONS_INIT;
    struct savepoint_verify_options verify = SAVEPOINT_VERIFY_OPTIONS_INIT;
    struct savepoint_id id = { { 0 } };
    void *base = NULL;
    snprintf(path, sizeof path, "options-%ld.svp", (long)getpid());
    remove(path);
    open.size = 1;
    CHECK_STATUS(savepoint_open(&session, path, &open, NULL), SAVEPOINT_INVALID);
    CHECK_OK(savepoint_open(&session, path, NULL, NULL));
    take.size = restore.size = region.size = verify.size = 3;
    CHECK_STATUS(savepoint_map(session, &base, "m", 4096, &region, NULL), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_take(session, NULL, &take, NULL), SAVEPOINT_INVALID);
    CHECK_STATUS(savepoint_restore(session, &id, &restore, NULL), SAVEPOINT_INVALID);
    CHECK_OK(savepoint_take(session, NULL, NULL, NULL));
    CHECK_OK(savepoint_close(session, NULL));
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_STATUS(savepoint_archive_verify(archive, &result, &verify, NULL), SAVEPOINT_INVALID);
    savepoint_archive_close(archive);
    remove(path);
}
