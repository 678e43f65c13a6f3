/* fork.c - what fork() does to the parent's map, and a child that has its own memory and its own model */
#define _GNU_SOURCE
#include "model.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct map *child; /* of the fork under way */
static int ready[2];      /* the child has copied the frames: the parent may go on */
static int life[2];       /* ends when the child does */

static void share(struct entry *source, struct map *map)
{
    em_entry_allocate(source);
    em_make_shareable(source, false);
    source->is_shared = true;
    source->object->shared_for_good = true;
    em_map_insert(map, em_entry_new(source));
}

kern_return_t em_fork_copy(struct map *map)
{
    for (size_t i = 0; i < state.self.count; i++) {
        struct entry *source = state.self.entries[i];
        if (source->inheritance == VM_INHERIT_SHARE) {
            share(source, map);
        } else if (source->inheritance == VM_INHERIT_COPY) {
            struct entry *entry = em_copy_quickly(source);
            entry->adopted = source->adopted;
            em_map_insert(map, entry);
        }
    }
    state.self.timestamp++;
    return KERN_SUCCESS;
}

static void prepare(void)
{
    em_lock();
    em_map_reap();
    child = NULL;
    if (state.self.count > 0) {
        child = em_map_other_new();
        em_fork_copy(child);
        if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(life, O_CLOEXEC) != 0) {
            em_panic("no descriptors for fork");
        }
    }
}

static void in_parent(void)
{
    if (child != NULL) {
        char byte;
        close(ready[1]);
        close(life[1]);
        while (em_syscall(SYS_read, ready[0], (long)&byte, 1, 0, 0, 0) < 0) {
        }
        close(ready[0]);
        child->life = life[0];
    }
    em_unlock();
}

/* The child's entries become `self`; what was `self` is the parent, another task. */
static void exchange_maps(void)
{
    struct map own = *child;
    child->entries = state.self.entries;
    child->count = state.self.count;
    child->capacity = state.self.capacity;
    state.self.entries = own.entries;
    state.self.count = own.count;
    state.self.capacity = own.capacity;
    for (size_t i = 0; i < child->count; i++) {
        child->entries[i]->map = child;
    }
    for (size_t i = 0; i < state.self.count; i++) {
        state.self.entries[i]->map = &state.self;
    }
}

static void in_child(void)
{
    if (child != NULL) {
        em_frames_move_to_child();
        exchange_maps();
        for (size_t i = 0; i < child->count; i++) {
            const struct entry *old = child->entries[i];
            if (old->inheritance == VM_INHERIT_NONE) {
                em_pmap_remove(old->start, old->end - old->start, true);
            } else {
                em_pmap_rebuild(old->start, old->end - old->start);
            }
        }
        close(life[0]);
        close(ready[0]);
        close(ready[1]); /* tells the parent */
    }
    em_unlock();
}

__attribute__((constructor)) static void install(void)
{
    pthread_atfork(prepare, in_parent, in_child);
}
