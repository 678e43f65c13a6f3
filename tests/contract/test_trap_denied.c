/* test_trap_denied.c - sandboxes and old kernels: what does not work says so, and leaves everything as it was
 *
 * Each case runs in a child under a filter of system calls that plays the environment. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trap_fixture.h"
#include "watch/uffd_abi.h"

struct denial {
    uint32_t system_call;
    uint32_t request; /* second argument to look for; 0: any */
    uint32_t os_code;
    const char *words; /* in the message */
};

static struct denial denials[] = {
    { SYS_userfaultfd, 0, EPERM, "seccomp" },
    { SYS_userfaultfd, 0, ENOSYS, "no userfaultfd" },
    { SYS_ioctl, (uint32_t)UFFD_ABI_HANDSHAKE, EINVAL, "too old" },
    { SYS_ioctl, (uint32_t)UFFD_ABI_REGISTER, EPERM, "" },
    { SYS_ioctl, (uint32_t)UFFD_ABI_WRITEPROTECT, EINVAL, "" },
    { SYS_ioctl, (uint32_t)UFFD_ABI_PAGEMAP_SCAN, ENOTTY, "PAGEMAP_SCAN" },
    { SYS_ioctl, (uint32_t)UFFD_ABI_PAGEMAP_SCAN, EPERM, "seccomp" },
};
enum { DENIALS = sizeof denials / sizeof denials[0] };

static void deny(const struct denial *denial)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denial->system_call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denial->request, 0, denial->request != 0 ? 1 : 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | denial->os_code),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof rules / sizeof rules[0], rules };
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* The kernel can write there, and so can we, with no handler of ours installed. */
static void check_untouched(unsigned char *memory, size_t pages)
{
    struct sigaction now;
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    for (size_t page = 0; page < pages; page++) {
        CHECK_EQ(memory[page * host_page_bytes() + 1], 7);
        CHECK_EQ(write(ends[1], "x", 1), 1);
        CHECK_EQ(read(ends[0], memory + page * host_page_bytes(), 1), 1);
    }
    close(ends[0]);
    close(ends[1]);
    CHECK_EQ(sigaction(SIGSEGV, NULL, &now), 0);
    CHECK(now.sa_handler == SIG_DFL);
}

static unsigned char *filled_pages(size_t pages)
{
    unsigned char *memory = map_pages(pages);
    memset(memory, 7, pages * host_page_bytes());
    return memory;
}

/* ---- an environment that denies it from the beginning: seen from a session */

struct place {
    char folder[64], path[96];
    struct savepoint *session;
};

static void open_place(struct place *place, const char *watch)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.watch = watch;
    strcpy(place->folder, "/tmp/savepoint-trap-XXXXXX");
    CHECK(mkdtemp(place->folder) != NULL);
    snprintf(place->path, sizeof place->path, "%s/a.svp", place->folder);
    CHECK_OK(savepoint_open(&place->session, place->path, &options, NULL));
}

static void close_place(struct place *place)
{
    CHECK_OK(savepoint_close(place->session, NULL));
    (void)unlink(place->path);
    CHECK_EQ(rmdir(place->folder), 0);
}

static void force_uffd(void *argument)
{
    const struct denial *denial = argument;
    struct place place;
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    struct savepoint_region region;
    signal(SIGSEGV, SIG_DFL);
    deny(denial);
    unsigned char *memory = filled_pages(128);
    open_place(&place, "uffd");
    CHECK_STATUS(savepoint_watch(place.session, "memory", memory, 128 * host_page_bytes(), &error),
                 SAVEPOINT_NO_BACKEND);
    CHECK_STATUS(error.status, SAVEPOINT_NO_BACKEND);
    CHECK_MSG(error.message[0] != '\0' && strstr(error.message, denial->words) != NULL, "message: %s", error.message);
    CHECK_STATUS(savepoint_region_at(place.session, &region, 0, NULL), SAVEPOINT_NOT_FOUND);
    check_untouched(memory, 128);
    close_place(&place);
}

static void fall_back(void *argument)
{
    struct place place;
    struct savepoint_region region;
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    signal(SIGSEGV, SIG_DFL);
    deny(argument);
    unsetenv("SAVEPOINT_WATCH");
    unsigned char *memory = filled_pages(128);
    open_place(&place, NULL);
    for (size_t i = 0; i < 2; i++) { /* 256 KiB, and more */
        size_t bytes = (i == 0 ? 32 : 96) * host_page_bytes();
        CHECK_OK(savepoint_watch(place.session, i == 0 ? "small" : "large", memory, bytes, NULL));
        CHECK_OK(savepoint_region_at(place.session, &region, i, NULL));
        CHECK_STR(region.backend, i == 0 ? "compare" : "signal");
        memory += bytes;
    }
    CHECK_OK(savepoint_read_statistics(place.session, &statistics, NULL));
    CHECK((statistics.flags & SAVEPOINT_SESSION_FALLBACK) != 0);
    memory -= host_page_bytes();
    for (int turn = 0; turn < 3; turn++) {
        struct savepoint_snapshot snapshot;
        memory[9]++;
        CHECK_OK(savepoint_take(place.session, NULL, NULL, NULL));
        CHECK_OK(savepoint_wait(place.session, 0, &snapshot, NULL));
        CHECK_EQ(snapshot.changed_pages, turn == 0 ? 128 : 1);
    }
    close_place(&place);
}

CHECK_TEST(trap_denied, uffd_forced)
{
    for (size_t i = 0; i < DENIALS; i++) {
        CHECK_CHILD(force_uffd, &denials[i]);
    }
}

CHECK_TEST(trap_denied, a_fallback_is_used_and_flagged)
{
    for (size_t i = 0; i < DENIALS; i++) {
        CHECK_CHILD(fall_back, &denials[i]);
    }
}

/* ---- one that denies it later: a program that confines itself when it has started */

static void need_uffd(void)
{
    struct savepoint_error error;
    struct svp_watch_caps caps;
    if (svp_watch_backend_find("uffd")->probe(&caps, &error) != SAVEPOINT_OK) {
        CHECK_SKIP("uffd: %s", error.message);
    }
}

static void scan_denied_later(void *argument)
{
    const struct denial *denial = argument;
    struct watched watched;
    watched_open(&watched, svp_watch_backend_find("uffd"), TRAP_PAGES);
    write_page(&watched, 3);
    CHECK_REARM(&watched, PAGE(3));
    signal(SIGSEGV, SIG_DFL);
    deny(denial);
    CHECK_STATUS(try_collect(&watched, SVP_WATCH_PEEK), SAVEPOINT_NO_BACKEND);
    CHECK(try_collect(&watched, SVP_WATCH_REARM) != SAVEPOINT_OK);
    watched_remove(&watched, 0, TRAP_PAGES);
    fill_pages(&watched, 0, TRAP_PAGES, 7);
    check_untouched(watched.memory, TRAP_PAGES);
    watched_close(&watched);
}

static void add_denied_later(void *argument)
{
    struct watched watched;
    struct savepoint_error error = { .status = SAVEPOINT_OK };
    watched_open(&watched, svp_watch_backend_find("uffd"), TRAP_PAGES);
    unsigned char *memory = filled_pages(8);
    signal(SIGSEGV, SIG_DFL);
    deny(argument);
    enum savepoint_status status =
        watched.backend->add(watched.watch, (uintptr_t)memory, 8 * watched.page_bytes, &error);
    CHECK(status != SAVEPOINT_OK && error.status == status && error.message[0] != '\0');
    check_untouched(memory, 8);
    check_alive(&watched);
    watched_close(&watched);
}

CHECK_TEST(trap_denied, confined_after_the_start)
{
    struct denial registering = { SYS_ioctl, (uint32_t)UFFD_ABI_REGISTER, EPERM, "" };
    struct denial protecting = { SYS_ioctl, (uint32_t)UFFD_ABI_WRITEPROTECT, EPERM, "" };
    need_uffd();
    CHECK_CHILD(scan_denied_later, &denials[DENIALS - 2]);
    CHECK_CHILD(scan_denied_later, &denials[DENIALS - 1]);
    CHECK_CHILD(add_denied_later, &registering);
    CHECK_CHILD(add_denied_later, &protecting);
}

/* ---- nobody's privileges (vm.unprivileged_userfaultfd=0 as it is everywhere): all backends work */

static void give_up_privileges(void)
{
    if (geteuid() == 0) {
        CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    }
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
}

static void check_works(const struct svp_watch_backend *backend)
{
    struct watched watched;
    watched_open(&watched, backend, TRAP_PAGES);
    check_alive(&watched);
    watched_close(&watched);
}

static void be_nobody(void *unused)
{
    (void)unused;
    give_up_privileges();
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0); /* as after execve */
    const struct svp_watch_backend *backend;
    for (size_t i = 0; (backend = svp_watch_backend_at(i)) != NULL; i++) {
        check_works(backend);
    }
}

CHECK_TEST(trap_denied, without_privileges)
{
    need_uffd();
    CHECK_CHILD(be_nobody, NULL);
}

/* A daemon that has given its privileges up may not look into its own /proc files. What it watched before goes on;
 * for the rest it is told what to do. */
static void become_nobody(void *unused)
{
    (void)unused;
    const struct svp_watch_backend *uffd = svp_watch_backend_find("uffd");
    struct svp_watch_caps caps;
    struct savepoint_error error;
    struct watched before;
    watched_open(&before, uffd, TRAP_PAGES);
    give_up_privileges();
    check_alive(&before);
    unsigned char *memory = map_pages(8);
    CHECK_OK(uffd->add(before.watch, (uintptr_t)memory, 8 * before.page_bytes, NULL));
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 0);  /* as setuid leaves it */
    if (uffd->probe(&caps, &error) != SAVEPOINT_OK) { /* root may look nevertheless */
        CHECK_MSG(strstr(error.message, "PR_SET_DUMPABLE") != NULL, "message: %s", error.message);
    }
    check_works(svp_watch_backend_find("signal"));
    check_works(svp_watch_backend_find("compare"));
    CHECK_EQ(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), 0);
    check_works(uffd);
    watched_close(&before);
}

CHECK_TEST(trap_denied, privileges_given_up_later)
{
    need_uffd();
    CHECK_CHILD(become_nobody, NULL);
}
