/* mach_fixture.h - memory under one strategy of the mach write-watch, on each emulated kernel
 *
 * Every look compares: a page that is not reported holds what it held when it was reported last, and no page holds
 * anything but what was stored to it. So writes are neither missed nor lost. */
#ifndef MACH_FIXTURE_H
#define MACH_FIXTURE_H

#include "emulation.h"
#include "watch/mach.h"
#include "watch_fixture.h"

enum { GUARDED = 8 };

/* Each kernel and way of collapsing that a strategy works on; false past the last. A fresh emulation comes with it. */
bool mach_setting(size_t index, struct mach_emulation_options *options, const struct svp_watch_backend **backend);
#define FOR_EACH_SETTING(options, backend)                                                                             \
    for (size_t setting_index_ = 0; mach_setting(setting_index_, &(options), &(backend)); setting_index_++)

struct guarded {
    struct watched watched;
    unsigned char *stored, *seen; /* what must be there; what was there when it was reported last */
};

/* Memory that was written, and is clean. Its object is the emulation's from the beginning. */
void guarded_map(struct guarded *guarded, const struct svp_watch_backend *backend, size_t pages);
enum savepoint_status guarded_try(struct guarded *guarded); /* opens and adds; closed again where that fails */
void guarded_open(struct guarded *guarded, const struct svp_watch_backend *backend, size_t pages);

/* Ends the watch, checks that the memory is ordinary, and gives it back. Close: nothing of the model must be left. */
void guarded_end(struct guarded *guarded);
void guarded_close(struct guarded *guarded);

void guarded_store(struct guarded *guarded, size_t page);
void guarded_changed(struct guarded *guarded, size_t first, size_t pages); /* what is there now was meant */

/* Collects, compares, and requires all pages of `written` among the reported ones. */
uint64_t guarded_look(struct guarded *guarded, enum svp_watch_mode mode, uint64_t written);
enum savepoint_status guarded_try_look(struct guarded *guarded, enum svp_watch_mode mode, uint64_t written);

mach_vm_address_t guarded_page(const struct guarded *guarded, size_t page);
bool is_exact(const struct guarded *guarded); /* reports what was written and no more, in ordinary times */

#endif
