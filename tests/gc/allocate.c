/* allocate.c - new objects, in cells that the last cycle has left free */
#include "collector.h"

uint64_t gc_check_of(uint64_t id)
{
    return (id ^ id >> 29) * UINT64_C(0xBF58476D1CE4E5B9);
}

/* The next free cell of the thread, or its end. */
static size_t find_free(struct gc_thread *thread)
{
    const size_t wish_at = thread->first + (thread->end - thread->first) * 6 / 10;
    for (size_t cell = thread->cursor; cell < thread->end; cell = (cell / GC_WORD_CELLS + 1) * GC_WORD_CELLS) {
        uint64_t unused = ~thread->gc->live[cell / GC_WORD_CELLS] >> (cell % GC_WORD_CELLS);
        if (cell >= wish_at && thread->cursor < wish_at) {
            gc_want_cycle(thread->gc);
        }
        if (unused != 0) {
            cell += (size_t)__builtin_ctzll(unused);
            thread->cursor = cell + 1;
            return cell;
        }
    }
    thread->cursor = thread->end;
    return thread->end;
}

static void begin_cycle(struct gc_thread *thread, uint64_t cycle)
{
    const uint64_t made = thread->made - thread->made_before;
    if (made < (thread->end - thread->first) / 10) { /* its memory is almost full: it lets half of it go */
        for (int i = 0; i < GC_ROOTS; i += 2) {
            thread->roots[i] = NULL;
        }
    }
    thread->made_before = thread->made;
    thread->cycle = cycle;
    thread->cursor = thread->first;
}

static struct gc_object *make_at(struct gc_thread *thread, size_t cell)
{
    struct gc *gc = thread->gc;
    const uint64_t bit = UINT64_C(1) << (cell % GC_WORD_CELLS);
    struct gc_object *object = &gc->cells[cell];
    gc->live[cell / GC_WORD_CELLS] |= bit;
    if (atomic_load_explicit(&gc->marking, memory_order_relaxed)) {
        atomic_fetch_or_explicit(&gc->marks[cell / GC_WORD_CELLS], bit, memory_order_relaxed);
    }
    for (int i = 0; i < GC_LINKS; i++) {
        atomic_store_explicit(&object->links[i], NULL, memory_order_relaxed);
        object->expected[i] = 0;
    }
    object->id = (uint64_t)(thread->number + 1) << 48 | ++thread->made;
    object->check = gc_check_of(object->id);
    return object;
}

struct gc_object *gc_make(struct gc_thread *thread)
{
    struct gc *gc = thread->gc;
    for (int attempt = 0; attempt < 3; attempt++) {
        uint64_t cycle = atomic_load(&gc->cycle);
        if (cycle != thread->cycle) {
            begin_cycle(thread, cycle);
        }
        size_t cell = find_free(thread);
        if (cell < thread->end) {
            return make_at(thread, cell);
        }
        gc_wait_for_cycle(gc);
    }
    return NULL;
}
