/* thread.h - one mutex, one condition, one thread: what the session's worker needs */
#ifndef SVP_THREAD_H
#define SVP_THREAD_H

#include <stdbool.h>
#include <stdint.h>

struct svp_mutex; /* all opaque and made by the functions below */
struct svp_condition;
struct svp_thread;

struct svp_mutex *svp_mutex_open(void); /* NULL: no memory */
void svp_mutex_close(struct svp_mutex *mutex);
void svp_mutex_lock(struct svp_mutex *mutex);
void svp_mutex_unlock(struct svp_mutex *mutex);

struct svp_condition *svp_condition_open(void);
void svp_condition_close(struct svp_condition *condition);
void svp_condition_wait(struct svp_condition *condition, struct svp_mutex *mutex);
/* The same for about so long at most; may return at any time. */
void svp_condition_wait_for(struct svp_condition *condition, struct svp_mutex *mutex, uint64_t ns);
void svp_condition_wake_all(struct svp_condition *condition);

/* Starts a thread with all signals blocked (the application's handlers stay on its own threads), but for the
 * faults, which are the thread's own doing. */
struct svp_thread *svp_thread_start(void (*run)(void *), void *argument);
void svp_thread_join(struct svp_thread *thread); /* frees it */

#endif
