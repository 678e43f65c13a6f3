/* test_trap_swap.c - pages under watch are swapped out and in again
 *
 * Brings a small swap file of its own for as long as it runs, which needs root. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trap_fixture.h"

enum { SWAP_PAGES = 2048 };

/* The first page of a swap area, as mkswap(8) writes it. */
static void write_swap_header(int file, size_t page_bytes)
{
    unsigned char *header = calloc(1, page_bytes);
    const uint32_t fields[] = { 1, SWAP_PAGES - 1, 0 }; /* version, last page, bad pages */
    CHECK(header != NULL);
    memcpy(header + 1024, fields, sizeof fields);
    memcpy(header + page_bytes - 10, "SWAPSPACE2", 10);
    CHECK_EQ(pwrite(file, header, page_bytes, 0), page_bytes);
    CHECK_EQ(fsync(file), 0);
    free(header);
}

static void swap_in_and_out(void *argument)
{
    const struct watched *parent = argument;
    struct watched watched;
    watched_open(&watched, parent->backend, TRAP_PAGES);
    fill_pages(&watched, 0, 8, 7);
    CHECK_REARM(&watched, PAGES(0, 8));
    write_page(&watched, 2);
    page_out(&watched, 0, 8);
    CHECK_PEEK(&watched, PAGE(2)); /* also while it is out */
    CHECK_EQ(*(volatile unsigned char *)page_address(&watched, 3), 7);
    CHECK_PEEK(&watched, PAGE(2)); /* read back: clean */
    write_page(&watched, 4);
    CHECK_REARM(&watched, PAGE(2) | PAGE(4));
    page_out(&watched, 0, 8);
    CHECK_REARM(&watched, 0);
    for (size_t page = 0; page < 8; page++) {
        CHECK_EQ(page_address(&watched, page)[60], 7);
    }
    check_alive(&watched);
    write_page(&watched, 5);
    page_out(&watched, 5, 1);
    CHECK_REARM(&watched, PAGE(5)); /* armed while it is out */
    CHECK_PEEK(&watched, 0);
    write_page(&watched, 5);
    CHECK_REARM(&watched, PAGE(5));
    watched_close(&watched);
}

TRAP_TEST(trap_swap, swapped_out_and_in)
{
    char name[] = "/var/tmp/savepoint-swap.XXXXXX";
    int file = mkstemp(name);
    CHECK(file >= 0);
    unsigned char *zeros = calloc(SWAP_PAGES, watched->page_bytes);
    CHECK(zeros != NULL);
    CHECK_EQ(pwrite(file, zeros, SWAP_PAGES * watched->page_bytes, 0), SWAP_PAGES * watched->page_bytes);
    free(zeros);
    write_swap_header(file, watched->page_bytes);
    int failure = swapon(name, 0) == 0 ? 0 : errno;
    int status = failure == 0 ? run_child(swap_in_and_out, watched) : 0;
    CHECK(failure != 0 || swapoff(name) == 0);
    CHECK_EQ(unlink(name), 0);
    close(file);
    if (failure != 0) {
        CHECK_SKIP("no swap file can be had: %s", strerror(failure));
    }
    CHECK_EQ(status, 0);
    check_alive(watched);
}
