/* fault.c - failures made on purpose: the Nth call of a wrapped function fails */
#define _POSIX_C_SOURCE 200809L
#include "fault.h"

#include <pthread.h>

#include "format/memory.h"
#include "os/file.h"
#include "session/takes.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static bool held, writer_held, tear;
static unsigned takes_encoded;
static fault_observer *observer;
static fault_watcher *watcher;
static struct plan {
    bool armed, sticky;
    uint64_t fail_at, calls, hits;
    int os_code;
} plans[FAULT_KINDS];

void fault_arm(enum fault_kind kind, uint64_t number, bool sticky, int os_code)
{
    pthread_mutex_lock(&mutex);
    plans[kind] = (struct plan){ .armed = true, .sticky = sticky, .fail_at = number, .os_code = os_code };
    pthread_mutex_unlock(&mutex);
}

void fault_tear_writes(bool half)
{
    pthread_mutex_lock(&mutex);
    tear = half;
    pthread_mutex_unlock(&mutex);
}

void fault_disarm(void)
{
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < FAULT_KINDS; i++) {
        plans[i].armed = false;
    }
    tear = false;
    pthread_mutex_unlock(&mutex);
}

static struct plan read_plan(enum fault_kind kind)
{
    pthread_mutex_lock(&mutex);
    struct plan plan = plans[kind];
    pthread_mutex_unlock(&mutex);
    return plan;
}

uint64_t fault_calls(enum fault_kind kind)
{
    return read_plan(kind).calls;
}

uint64_t fault_hits(enum fault_kind kind)
{
    return read_plan(kind).hits;
}

void fault_hold_worker(bool hold)
{
    pthread_mutex_lock(&mutex);
    held = hold;
    pthread_cond_broadcast(&released);
    pthread_mutex_unlock(&mutex);
}

void fault_hold_writer(bool hold)
{
    pthread_mutex_lock(&mutex);
    writer_held = hold;
    takes_encoded = hold ? 0 : takes_encoded;
    pthread_cond_broadcast(&released);
    pthread_mutex_unlock(&mutex);
}

void fault_wait_encoded(unsigned takes)
{
    pthread_mutex_lock(&mutex);
    while (takes_encoded < takes) {
        pthread_cond_wait(&released, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

void fault_observe(fault_observer *whom)
{
    pthread_mutex_lock(&mutex);
    observer = whom;
    pthread_mutex_unlock(&mutex);
}

void fault_watch(fault_watcher *whom)
{
    pthread_mutex_lock(&mutex);
    watcher = whom;
    pthread_mutex_unlock(&mutex);
}

/* The code to fail with; 0: go on. */
static int next_failure(enum fault_kind kind)
{
    struct plan *plan = &plans[kind];
    int code = 0;
    pthread_mutex_lock(&mutex);
    fault_watcher *told = watcher;
    pthread_mutex_unlock(&mutex);
    if (told != NULL) {
        told(kind);
    }
    pthread_mutex_lock(&mutex);
    if (plan->armed) {
        plan->calls++;
        bool due = plan->calls == plan->fail_at || (plan->sticky && plan->calls > plan->fail_at);
        if (plan->fail_at != 0 && due) {
            plan->hits++;
            code = plan->os_code;
        }
    }
    pthread_mutex_unlock(&mutex);
    return code;
}

static int tell(int code, struct fault_event event)
{
    pthread_mutex_lock(&mutex);
    if (code == 0 && observer != NULL) {
        observer(&event);
    }
    pthread_mutex_unlock(&mutex);
    return code;
}

int __real_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);
int __wrap_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done);
int __wrap_svp_file_read(const struct svp_file *file, void *to, size_t bytes, uint64_t offset, size_t *done)
{
    int code = next_failure(FAULT_READ);
    return code != 0 ? code : __real_svp_file_read(file, to, bytes, offset, done);
}

int __real_svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset);
int __wrap_svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset);
int __wrap_svp_file_write(const struct svp_file *file, const void *from, size_t bytes, uint64_t offset)
{
    int code = next_failure(FAULT_WRITE);
    if (code != 0 && !tear) {
        return code;
    }
    size_t stored = code != 0 ? bytes / 2 : bytes;
    int real = __real_svp_file_write(file, from, stored, offset);
    tell(real, (struct fault_event){ FAULT_WRITE, file, from, stored, offset });
    return code != 0 ? code : real;
}

int __real_svp_file_sync(const struct svp_file *file);
int __wrap_svp_file_sync(const struct svp_file *file);
int __wrap_svp_file_sync(const struct svp_file *file)
{
    int code = next_failure(FAULT_SYNC);
    return code != 0 ? code
                     : tell(__real_svp_file_sync(file), (struct fault_event){ .kind = FAULT_SYNC, .file = file });
}

int __real_svp_file_sync_folder(const char *path);
int __wrap_svp_file_sync_folder(const char *path);
int __wrap_svp_file_sync_folder(const char *path)
{
    int code = next_failure(FAULT_SYNC_FOLDER);
    return code != 0 ? code
                     : tell(__real_svp_file_sync_folder(path), (struct fault_event){ .kind = FAULT_SYNC_FOLDER });
}

int __real_svp_file_truncate(const struct svp_file *file, uint64_t bytes);
int __wrap_svp_file_truncate(const struct svp_file *file, uint64_t bytes);
int __wrap_svp_file_truncate(const struct svp_file *file, uint64_t bytes)
{
    int code = next_failure(FAULT_TRUNCATE);
    return code != 0 ? code
                     : tell(__real_svp_file_truncate(file, bytes),
                            (struct fault_event){ .kind = FAULT_TRUNCATE, .file = file, .offset = bytes });
}

void *__real_svp_memory_alloc(size_t bytes);
void *__wrap_svp_memory_alloc(size_t bytes);
void *__wrap_svp_memory_alloc(size_t bytes)
{
    return next_failure(FAULT_MEMORY) != 0 ? NULL : __real_svp_memory_alloc(bytes);
}

void *__real_svp_memory_zalloc(size_t count, size_t bytes);
void *__wrap_svp_memory_zalloc(size_t count, size_t bytes);
void *__wrap_svp_memory_zalloc(size_t count, size_t bytes)
{
    return next_failure(FAULT_MEMORY) != 0 ? NULL : __real_svp_memory_zalloc(count, bytes);
}

void *__real_svp_memory_resize(void *old, size_t count, size_t bytes);
void *__wrap_svp_memory_resize(void *old, size_t count, size_t bytes);
void *__wrap_svp_memory_resize(void *old, size_t count, size_t bytes)
{
    return next_failure(FAULT_MEMORY) != 0 ? NULL : __real_svp_memory_resize(old, count, bytes);
}

struct svp_take *__real_svp_take_next(struct savepoint *session);
struct svp_take *__wrap_svp_take_next(struct savepoint *session);
struct svp_take *__wrap_svp_take_next(struct savepoint *session)
{
    struct svp_take *take = __real_svp_take_next(session);
    pthread_mutex_lock(&mutex);
    while (held) {
        pthread_cond_wait(&released, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    return take;
}

struct svp_take *__real_svp_take_oldest(struct savepoint *session);
struct svp_take *__wrap_svp_take_oldest(struct savepoint *session);
struct svp_take *__wrap_svp_take_oldest(struct savepoint *session)
{
    struct svp_take *take = __real_svp_take_oldest(session);
    pthread_mutex_lock(&mutex);
    while (writer_held) {
        pthread_cond_wait(&released, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    return take;
}

void __real_svp_take_encoded(struct savepoint *session, struct svp_take *take);
void __wrap_svp_take_encoded(struct savepoint *session, struct svp_take *take);
void __wrap_svp_take_encoded(struct savepoint *session, struct svp_take *take)
{
    __real_svp_take_encoded(session, take);
    pthread_mutex_lock(&mutex);
    takes_encoded++;
    pthread_cond_broadcast(&released);
    pthread_mutex_unlock(&mutex);
}
