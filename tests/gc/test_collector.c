/* test_collector.c - no reachable object is ever freed by a collector that trusts the write-watch: uffd, signal,
 * compare
 *
 * And, to show that the test can fail: one that does not ask the watch frees some. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mutator.h"

enum { HEAP_BYTES = 8 << 20, MUTATORS = 3, STEPS = 200000, IGNORING_TRIES = 20 };

static bool run(struct gc *gc, enum gc_mode mode, const char *backend)
{
    const char *why = "";
    if (!gc_open(gc, mode, backend, HEAP_BYTES, MUTATORS, &why)) {
        fprintf(stderr, "test_collector: %s\n", why);
        return false;
    }
    gc->audit = true;
    bool started = mutators_run(gc, STEPS);
    printf("%s: %" PRIu64 " cycles, %" PRIu64 " pages looked at again; %" PRIu64 " live objects not marked, %" PRIu64
           " objects damaged\n",
           mode == GC_IGNORING ? "ignoring" : backend, (uint64_t)atomic_load(&gc->cycle), gc->pages_revisited,
           gc->unmarked, (uint64_t)atomic_load(&gc->damaged));
    gc_close(gc);
    return started;
}

int main(int argc, char **argv)
{
    static struct gc gc;
    const bool ignoring = argc == 2 && strcmp(argv[1], "ignoring") == 0;
    if (argc != 2) {
        fputs("usage: test_collector uffd|signal|compare|ignoring\n", stderr);
        return 2;
    }
    for (int i = 0; i < (ignoring ? IGNORING_TRIES : 1); i++) {
        if (!run(&gc, ignoring ? GC_IGNORING : GC_CONCURRENT, argv[1])) {
            return 1;
        }
        bool whole = gc.unmarked == 0 && atomic_load(&gc.damaged) == 0;
        if (ignoring && !whole) {
            return 0; /* as it must be */
        }
        if (!ignoring && (!whole || atomic_load(&gc.cycle) < 3 || gc.pages_revisited == 0)) {
            return 1;
        }
    }
    return ignoring ? 1 : 0;
}
