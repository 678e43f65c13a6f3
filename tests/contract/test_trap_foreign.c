/* test_trap_foreign.c - two users of one range: another library's userfaultfd, another session, another backend */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trap_fixture.h"
#include "watch/uffd_abi.h"

enum { REGISTER_MISSING = 1 }; /* the mode of those who page memory in by themselves */

/* Another library, which knows nothing of us. */
static int open_foreign(void)
{
    struct uffd_abi_handshake handshake = { .version = UFFD_ABI_VERSION };
    int file = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_ABI_USER_MODE_ONLY);
    if (file < 0) {
        CHECK_SKIP("this system has no userfaultfd: %s", strerror(errno));
    }
    CHECK_EQ(ioctl(file, UFFD_ABI_HANDSHAKE, &handshake), 0);
    return file;
}

static int foreign_register(int file, unsigned char *start, size_t bytes, uint64_t mode)
{
    struct uffd_abi_register argument = { { (uintptr_t)start, bytes }, mode, 0 };
    return ioctl(file, UFFD_ABI_REGISTER, &argument) == 0 ? 0 : errno;
}

/* They were there first: of the whole range nothing is armed, and theirs goes on. Memory beside theirs is free. */
static void check_theirs_first(struct watched *watched, uint64_t mode)
{
    int file = open_foreign();
    watched_remove(watched, 0, TRAP_PAGES);
    fill_pages(watched, 0, TRAP_PAGES, 1);
    CHECK_EQ(foreign_register(file, page_address(watched, 6), 2 * watched->page_bytes, mode), 0);
    if (is(watched, "uffd")) {
        struct savepoint_error error;
        CHECK_STATUS(
            watched->backend->add(watched->watch, (uintptr_t)watched->memory, TRAP_PAGES * watched->page_bytes, &error),
            SAVEPOINT_OVERLAP);
        CHECK_MSG(strstr(error.message, "another userfaultfd") != NULL, "message: %s", error.message);
        CHECK_OK(watched_add(watched, 0, 6));
        CHECK_OK(watched_add(watched, 8, 8));
        watched_remove(watched, 0, 6);
        watched_remove(watched, 8, 8);
        CHECK_STATUS(watched_add(watched, 7, 2), SAVEPOINT_OVERLAP);
        /* Still theirs: nobody else can have it. */
        int third = open_foreign();
        CHECK_EQ(foreign_register(third, page_address(watched, 6), 2 * watched->page_bytes, mode), EBUSY);
        close(third);
    } else {
        CHECK_OK(watched_add(watched, 0, TRAP_PAGES));
        check_alive(watched);
        watched_remove(watched, 0, TRAP_PAGES);
    }
    close(file);
    CHECK_OK(watched_add(watched, 0, TRAP_PAGES));
    check_alive(watched);
}

TRAP_TEST(trap_foreign, another_userfaultfd_was_there_first)
{
    check_theirs_first(watched, UFFD_ABI_REGISTER_WP);
    check_theirs_first(watched, REGISTER_MISSING);
}

/* We were: they are refused, and ours goes on. */
TRAP_TEST(trap_foreign, another_userfaultfd_comes_later)
{
    int file = open_foreign();
    write_page(watched, 3);
    int refusal = foreign_register(file, page_address(watched, 2), 4 * watched->page_bytes, UFFD_ABI_REGISTER_WP);
    CHECK_EQ(refusal, is(watched, "uffd") ? EBUSY : 0);
    CHECK_REARM(watched, PAGE(3));
    check_alive(watched);
    close(file);
    check_alive(watched);
}

/* Two watches of one backend: the second is refused, the first lives on. */
TRAP_TEST(trap_foreign, another_watch_of_the_same_backend)
{
    struct watched second;
    watched_open(&second, watched->backend, TRAP_PAGES);
    write_page(watched, 3);
    enum savepoint_status wanted = watched->caps.exclusive ? SAVEPOINT_OVERLAP : SAVEPOINT_OK;
    CHECK_STATUS(second.backend->add(second.watch, (uintptr_t)page_address(watched, 2), 4 * watched->page_bytes, NULL),
                 wanted);
    CHECK_REARM(watched, PAGE(3));
    check_alive(watched);
    check_alive(&second);
    watched_close(&second);
    check_alive(watched);
}

/* What the application has mapped over a part is not ours any more, and somebody else may watch it: our end is not
 * theirs. */
TRAP_TEST(trap_foreign, another_watch_where_it_was_mapped_over)
{
    unsigned char *over = page_address(watched, 5);
    struct watched second;
    CHECK_EQ(
        mmap(over, 2 * watched->page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        over);
    if (is(watched, "signal")) { /* cannot notice: it is ours until it is removed */
        watched_remove(watched, 0, TRAP_PAGES);
    }
    watched_open_on(&second, watched->backend, over, 2);
    check_alive(&second);
    write_page(&second, 1);
    if (!is(watched, "signal")) {
        watched_remove(watched, 0, TRAP_PAGES);
    }
    CHECK_REARM(&second, PAGE(1));
    check_alive(&second);
    watched_close(&second);
    CHECK_OK(watched_add(watched, 0, TRAP_PAGES));
    check_alive(watched);
}

/* Watches of two backends see the same writes, each at its own pace. But signal comes last: what it has closed looks
 * read-only to all others. */
static void check_refused_after_signal(const struct watched *watched, const struct svp_watch_backend *backend)
{
    struct svp_watch *watch = NULL;
    CHECK_OK(backend->open(&watch, NULL));
    CHECK_STATUS(backend->add(watch, (uintptr_t)watched->memory, TRAP_PAGES * watched->page_bytes, NULL),
                 SAVEPOINT_BAD_MEMORY);
    backend->close(watch);
    check_alive(watched);
}

TRAP_TEST(trap_foreign, another_backend_on_the_same_memory)
{
    const struct svp_watch_backend *backend;
    for (size_t i = 0; (backend = svp_watch_backend_at(i)) != NULL; i++) {
        struct svp_watch_caps caps;
        struct watched second;
        if (backend == watched->backend || backend->probe(&caps, NULL) != SAVEPOINT_OK) {
            continue;
        }
        if (is(watched, "signal")) {
            check_refused_after_signal(watched, backend);
            continue;
        }
        watched_open_on(&second, backend, watched->memory, TRAP_PAGES);
        for (size_t page = 0; page < TRAP_PAGES; page++) {
            write_page(watched, page);
            CHECK_REARM(&second, PAGE(page));
            CHECK_PEEK(watched, PAGE(page));
            if (page % 2 == 0) {
                CHECK_REARM(watched, PAGE(page));
                write_page(watched, page);
                CHECK_REARM(&second, PAGE(page));
            }
            CHECK_REARM(watched, PAGE(page));
        }
        watched_close(&second);
        check_alive(watched);
    }
}
