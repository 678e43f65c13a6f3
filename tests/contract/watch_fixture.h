/* watch_fixture.h - watched memory, and sets of pages to compare collects with */
#ifndef WATCH_FIXTURE_H
#define WATCH_FIXTURE_H

#include "check.h"
#include "watch/watch.h"

/* The backends under test: the one that SAVEPOINT_TEST_BACKEND names, or all. One that is named and cannot work
 * here makes the test a skip; one that is not named is left out, which the log tells. NULL past the last. */
const struct svp_watch_backend *backend_under_test(size_t index);
#define FOR_EACH_BACKEND(backend)                                                                                      \
    for (size_t backend_index_ = 0; (backend = backend_under_test(backend_index_)) != NULL; backend_index_++)

size_t host_page_bytes(void);
unsigned char *map_pages(size_t pages); /* zero-filled, private, never touched */

struct watched {
    const struct svp_watch_backend *backend;
    struct svp_watch_caps caps;
    struct svp_watch *watch;
    unsigned char *memory;
    size_t pages, page_bytes;
    bool owned;
};
void watched_open(struct watched *watched, const struct svp_watch_backend *backend, size_t pages);
void watched_open_on(struct watched *watched, const struct svp_watch_backend *backend, void *memory, size_t pages);
void watched_close(struct watched *watched);

enum savepoint_status watched_add(struct watched *watched, size_t first_page, size_t pages);
void watched_remove(struct watched *watched, size_t first_page, size_t pages);
enum savepoint_status watched_mark(const struct watched *watched, size_t first_page, size_t pages);
enum savepoint_status watched_prepare(const struct watched *watched, size_t first_page, size_t pages);

/* Changes one byte of the page; several threads may. */
void write_page(const struct watched *watched, size_t page);

/* Sets of pages 0 to 63. */
#define PAGE(index) (UINT64_C(1) << (index))
#define PAGES(first, end) ((PAGE(end) - 1) & ~(PAGE(first) - 1)) /* end < 64 */

/* Pages [first, first + pages) reported with these limits; *resume_page is where the collect stopped. Checks that
 * the runs ascend, lie in the range, do not touch each other, and keep to the limits. */
uint64_t collect_some(const struct watched *watched, enum svp_watch_mode mode, size_t first, size_t pages,
                      size_t max_pages, size_t run_capacity, size_t *resume_page);
uint64_t collect_pages(const struct watched *watched, enum svp_watch_mode mode);
enum savepoint_status try_collect(const struct watched *watched, enum svp_watch_mode mode);

/* What a backend must report when `written` was: exactly that, or everything where nothing is armed. */
uint64_t expected(const struct watched *watched, uint64_t written);
#define CHECK_PEEK(watched, written) CHECK_EQ(collect_pages((watched), SVP_WATCH_PEEK), expected((watched), (written)))
#define CHECK_REARM(watched, written)                                                                                  \
    CHECK_EQ(collect_pages((watched), SVP_WATCH_REARM), expected((watched), (written)))

/* Runs body in a forked child and returns its wait status; the child exits 0 when body returns. */
int run_child(void (*body)(void *), void *argument);
#define CHECK_CHILD(body, argument) CHECK_EQ(run_child((body), (argument)), 0)

#endif
