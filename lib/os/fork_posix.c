/* fork_posix.c - what is to be done in the children that fork() makes: a list of items
 *
 * The list is walked in the child. The prepare handler takes the lock so that the list is whole at the moment of the
 * fork; parent and child release it. */
#include "os/host.h"

#include <errno.h>
#include <pthread.h>

#include "format/memory.h"

struct fork_item {
    struct fork_item *next;
    void (*hook)(void *);
    void *item;
};
static struct fork_item *fork_items;
static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static int fork_code;

static void before_fork(void)
{
    pthread_mutex_lock(&fork_lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&fork_lock);
}

static void after_fork_in_child(void)
{
    for (struct fork_item *at = fork_items; at != NULL; at = at->next) {
        at->hook(at->item);
    }
    pthread_mutex_unlock(&fork_lock);
}

static void register_handlers(void)
{
    fork_code = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

int svp_host_at_fork(void (*hook)(void *item), void *item)
{
    pthread_once(&fork_once, register_handlers);
    struct fork_item *added = fork_code == 0 ? svp_memory_alloc(sizeof *added) : NULL;
    if (added == NULL) {
        return fork_code != 0 ? fork_code : ENOMEM;
    }
    pthread_mutex_lock(&fork_lock);
    *added = (struct fork_item){ fork_items, hook, item };
    fork_items = added;
    pthread_mutex_unlock(&fork_lock);
    return 0;
}

void svp_host_at_fork_end(void *item)
{
    pthread_mutex_lock(&fork_lock);
    for (struct fork_item **at = &fork_items; *at != NULL; at = &(*at)->next) {
        if ((*at)->item == item) {
            struct fork_item *ended = *at;
            *at = ended->next;
            svp_memory_free(ended);
            break;
        }
    }
    pthread_mutex_unlock(&fork_lock);
}
