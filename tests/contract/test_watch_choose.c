/* test_watch_choose.c - which backend is chosen, and what is said where the primary cannot work */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "watch/uffd_abi.h"
#include "watch_fixture.h"

CHECK_TEST(watch_choose, backends_are_listed_in_order)
{
    const char *const names[] = { "uffd", "signal", "compare" };
    for (size_t i = 0; i < 3; i++) {
        CHECK_STR(svp_watch_backend_at(i)->name, names[i]);
        CHECK(svp_watch_backend_find(names[i]) == svp_watch_backend_at(i));
    }
    CHECK(svp_watch_backend_at(3) == NULL);
    CHECK(svp_watch_backend_find("mach") == NULL);
}

CHECK_TEST(watch_choose, the_primary_comes_first)
{
    struct svp_watch_caps caps;
    struct savepoint_error error;
    if (svp_watch_backend_at(0)->probe(&caps, &error) != SAVEPOINT_OK) {
        CHECK_SKIP("uffd: %s", error.message);
    }
    const size_t sizes[] = { 4096, 262144, (size_t)1 << 30 };
    for (size_t i = 0; i < 3; i++) {
        struct svp_watch_choice choice = { .fallback = true };
        CHECK_OK(svp_watch_choose(&choice, i == 0 ? "" : NULL, sizes[i], 262144, &error));
        CHECK_STR(choice.backend->name, "uffd");
        CHECK(!choice.fallback);
        CHECK(choice.caps.kernel_writes_counted && choice.caps.atomic_rearm && choice.caps.concurrent_writers_safe &&
              choice.caps.arms_memory && choice.caps.page_bytes == caps.page_bytes);
    }
}

CHECK_TEST(watch_choose, forced_by_name)
{
    const char *const names[] = { "signal", "compare" };
    for (size_t i = 0; i < 2; i++) {
        struct svp_watch_choice choice = { .fallback = true };
        CHECK_OK(svp_watch_choose(&choice, names[i], 4096, 262144, NULL));
        CHECK_STR(choice.backend->name, names[i]);
        CHECK(!choice.fallback);
    }
    struct svp_watch_choice untouched = { .fallback = true };
    struct savepoint_error error;
    CHECK_STATUS(svp_watch_choose(&untouched, "mach", 4096, 262144, &error), SAVEPOINT_NO_BACKEND);
    CHECK(untouched.backend == NULL && untouched.fallback && strstr(error.message, "'mach'") != NULL);
}

/* ---- a kernel or sandbox without the primary, played by a system call filter in a child */

struct denial {
    uint32_t system_call;
    uint32_t request; /* second argument to look for; 0: any */
    uint32_t os_code;
    const char *words; /* in the message */
    bool no_signal;    /* it denies what the signal write-watch needs as well */
};

static void deny(const struct denial *denial)
{
    struct sock_filter with_request[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denial->system_call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denial->request, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | denial->os_code),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_filter any_request[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denial->system_call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | denial->os_code),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program =
        denial->request != 0 ? (struct sock_fprog){ 6, with_request } : (struct sock_fprog){ 4, any_request };
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void choose_without_the_primary(void *argument)
{
    const struct denial *denial = argument;
    deny(denial);
    struct svp_watch_caps caps;
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    CHECK_STATUS(svp_watch_backend_find("uffd")->probe(&caps, &error), SAVEPOINT_NO_BACKEND);
    CHECK_STATUS(error.status, SAVEPOINT_NO_BACKEND);
    CHECK_MSG(strstr(error.message, denial->words) != NULL, "message: %s", error.message);

    struct svp_watch_choice choice = { .fallback = false };
    CHECK_OK(svp_watch_choose(&choice, NULL, 262144, 262144, &error));
    CHECK(choice.fallback);
    CHECK_STR(choice.backend->name, "compare");
    choice.fallback = false;
    enum savepoint_status status = svp_watch_choose(&choice, NULL, 262144 + 4096, 262144, &error);
    if (denial->no_signal) {
        CHECK_STATUS(status, SAVEPOINT_NO_BACKEND);
        CHECK_MSG(strstr(error.message, denial->words) != NULL, "message: %s", error.message);
    } else {
        CHECK_OK(status);
        CHECK(choice.fallback);
        CHECK_STR(choice.backend->name, "signal");
    }
    /* Forced, it fails: never another one instead. */
    choice.backend = NULL;
    CHECK_STATUS(svp_watch_choose(&choice, "uffd", 4096, 262144, &error), SAVEPOINT_NO_BACKEND);
    CHECK(choice.backend == NULL);
}

CHECK_TEST(watch_choose, where_the_primary_is_missing)
{
    struct denial denials[] = {
        { SYS_userfaultfd, 0, EPERM, "seccomp", false },
        { SYS_userfaultfd, 0, ENOSYS, "no userfaultfd", false },
        { SYS_userfaultfd, 0, EINVAL, "too old", false },
        { SYS_ioctl, (uint32_t)UFFD_ABI_HANDSHAKE, EINVAL, "too old", false },
        { SYS_ioctl, (uint32_t)UFFD_ABI_PAGEMAP_SCAN, ENOTTY, "PAGEMAP_SCAN", false },
        { SYS_openat, 0, EACCES, "/proc", true },
    };
    for (size_t i = 0; i < sizeof denials / sizeof denials[0]; i++) {
        CHECK_CHILD(choose_without_the_primary, &denials[i]);
    }
}

/* A kernel that accepts everything and tracks nothing must not be believed. */
CHECK_TEST(watch_choose, a_lie_is_found_out)
{
    struct denial protect = { SYS_ioctl, (uint32_t)UFFD_ABI_WRITEPROTECT, 0, "wrong answers", false };
    struct denial scan = { SYS_ioctl, (uint32_t)UFFD_ABI_PAGEMAP_SCAN, 0, "cannot be read", false };
    CHECK_CHILD(choose_without_the_primary, &protect);
    CHECK_CHILD(choose_without_the_primary, &scan);
}
