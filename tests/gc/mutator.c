/* mutator.c - what the collector is tried with: threads that make, move and drop objects, and check each they meet */
#include "mutator.h"

enum { DEPTH_MAX = 6 };

static uint32_t draw(struct gc_thread *thread, uint32_t count)
{
    uint64_t value = thread->random;
    value ^= value << 13;
    value ^= value >> 7;
    value ^= value << 17;
    thread->random = value;
    return (uint32_t)((value >> 32) * count >> 32);
}

/* NULL also for an object that is no longer what the link was made to: one that was freed too early. */
static struct gc_object *follow(struct gc_thread *thread, struct gc_object *from, uint32_t link)
{
    struct gc_object *object = atomic_load_explicit(&from->links[link], memory_order_relaxed);
    if (object != NULL && (object->id != from->expected[link] || object->check != gc_check_of(object->id))) {
        atomic_fetch_add(&thread->gc->damaged, 1);
        atomic_store_explicit(&from->links[link], NULL, memory_order_relaxed);
        return NULL;
    }
    return object;
}

static void set_link(struct gc_object *from, uint32_t link, struct gc_object *object)
{
    from->expected[link] = object != NULL ? object->id : 0;
    atomic_store_explicit(&from->links[link], object, memory_order_release);
}

/* An object some steps behind a root. */
static struct gc_object *walk(struct gc_thread *thread)
{
    struct gc_object **root = &thread->roots[draw(thread, GC_ROOTS)];
    if (*root == NULL) {
        *root = gc_make(thread);
    }
    struct gc_object *object = *root;
    for (uint32_t depth = draw(thread, DEPTH_MAX); object != NULL && depth > 0; depth--) {
        struct gc_object *next = follow(thread, object, draw(thread, GC_LINKS));
        if (next == NULL) {
            break;
        }
        object = next;
    }
    return object;
}

/* What is behind two links changes places. */
static void swap(struct gc_thread *thread, struct gc_object *one, uint32_t link)
{
    struct gc_object *other = walk(thread);
    const uint32_t other_link = draw(thread, GC_LINKS);
    if (other != NULL) {
        struct gc_object *behind_one = follow(thread, one, link);
        struct gc_object *behind_other = follow(thread, other, other_link);
        set_link(one, link, behind_other);
        set_link(other, other_link, behind_one);
    }
}

static void step(struct gc_thread *thread)
{
    struct gc_object *object = walk(thread);
    const uint32_t choice = draw(thread, 1024);
    const uint32_t link = draw(thread, GC_LINKS);
    if (object == NULL) {
        return;
    }
    if (choice < 512) { /* a new object; what was there goes behind it, but now and then is dropped */
        struct gc_object *made = gc_make(thread);
        if (made != NULL) {
            set_link(made, draw(thread, GC_LINKS), choice == 0 ? NULL : follow(thread, object, link));
            set_link(object, link, made);
        }
    } else if (choice < 768) {
        swap(thread, object, link);
    } else {
        object->payload[choice % 6]++;
    }
}

static void *mutate(void *argument)
{
    struct gc_thread *thread = argument;
    for (uint64_t i = 0; i < thread->steps; i++) {
        gc_poll(thread);
        step(thread);
    }
    gc_leave(thread);
    return NULL;
}

bool mutators_run(struct gc *gc, uint64_t steps)
{
    unsigned started = 0;
    for (; started < gc->thread_count; started++) {
        struct gc_thread *thread = &gc->threads[started];
        thread->steps = steps;
        if (pthread_create(&thread->thread, NULL, mutate, thread) != 0) {
            break;
        }
    }
    for (unsigned i = started; i < gc->thread_count; i++) {
        gc_leave(&gc->threads[i]);
    }
    gc_serve(gc);
    for (unsigned i = 0; i < started; i++) {
        pthread_join(gc->threads[i].thread, NULL);
    }
    return started == gc->thread_count;
}
