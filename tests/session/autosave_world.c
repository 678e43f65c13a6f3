/* autosave_world.c - autosaves under a clock and a disk that the test holds in its hands */
#define _POSIX_C_SOURCE 200809L
#include "autosave_world.h"

#include <pthread.h>
#include <stdatomic.h>

#include "archive/append.h"
#include "fault.h"
#include "os/host.h"

/* ---- the clock */

static atomic_ullong now_ns = 1000 * SECOND;
static atomic_ullong step_ns;

uint64_t __wrap_svp_host_monotonic_ns(void);
uint64_t __wrap_svp_host_monotonic_ns(void)
{
    return atomic_fetch_add(&now_ns, atomic_load(&step_ns));
}

void clock_advance(uint64_t ns)
{
    atomic_fetch_add(&now_ns, ns);
}

void clock_step(uint64_t ns)
{
    atomic_store(&step_ns, ns);
}

/* ---- the disk */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool stuck;
static unsigned waiting;
static _Thread_local bool ticking;

static void check_thread(const char *call)
{
    CHECK_MSG(!ticking, "savepoint_tick calls %s", call);
}

static void before_call(enum fault_kind kind)
{
    if (kind == FAULT_MEMORY) {
        return;
    }
    check_thread("a wrapped file function");
    pthread_mutex_lock(&mutex);
    while (stuck && (kind == FAULT_WRITE || kind == FAULT_SYNC)) {
        waiting++;
        pthread_cond_broadcast(&changed);
        pthread_cond_wait(&changed, &mutex);
        waiting--;
    }
    pthread_mutex_unlock(&mutex);
}

void disk_stick(bool now_stuck)
{
    pthread_mutex_lock(&mutex);
    stuck = now_stuck;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

void disk_wait_stuck(void)
{
    pthread_mutex_lock(&mutex);
    while (waiting == 0) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

/* Those that fault.c leaves alone. */
int __real_svp_file_open(struct svp_file *file, const char *path, enum svp_file_mode mode, bool *created);
int __wrap_svp_file_open(struct svp_file *file, const char *path, enum svp_file_mode mode, bool *created);
int __wrap_svp_file_open(struct svp_file *file, const char *path, enum svp_file_mode mode, bool *created)
{
    check_thread("svp_file_open");
    return __real_svp_file_open(file, path, mode, created);
}

int __real_svp_file_size(const struct svp_file *file, uint64_t *bytes);
int __wrap_svp_file_size(const struct svp_file *file, uint64_t *bytes);
int __wrap_svp_file_size(const struct svp_file *file, uint64_t *bytes)
{
    check_thread("svp_file_size");
    return __real_svp_file_size(file, bytes);
}

bool __real_svp_file_has_name(const struct svp_file *file);
bool __wrap_svp_file_has_name(const struct svp_file *file);
bool __wrap_svp_file_has_name(const struct svp_file *file)
{
    check_thread("svp_file_has_name");
    return __real_svp_file_has_name(file);
}

bool __real_svp_file_is_at(const struct svp_file *file, const char *path);
bool __wrap_svp_file_is_at(const struct svp_file *file, const char *path);
bool __wrap_svp_file_is_at(const struct svp_file *file, const char *path)
{
    check_thread("svp_file_is_at");
    return __real_svp_file_is_at(file, path);
}

/* ---- autosaves */

void autosave_open(struct world *world, const char *name, size_t pages)
{
    const char *path = scratch_path(name);
    file_remove(path);
    world_open(world, path, "compare", pages);
}

void autosave_end(struct world *world)
{
    world_close(world);
    check_archive(world->path, &world->history, world->history.count, "at the end");
    world_free(world);
}

uint64_t autosave_tick(struct savepoint *session, enum savepoint_status wanted, struct savepoint_error *error)
{
    struct savepoint_error found = { 0 };
    uint64_t ticket = 77;
    fault_watch(before_call);
    ticking = true;
    enum savepoint_status status = savepoint_tick(session, &ticket, &found);
    ticking = false;
    CHECK_MSG(status == wanted, "tick: %s, not %s: %s", savepoint_status_name(status), savepoint_status_name(wanted),
              found.message);
    if (status != SAVEPOINT_OK) {
        CHECK_EQ(ticket, 77);
        CHECK_EQ(found.status, status);
        CHECK(found.message[0] != '\0');
        ticket = 0;
    }
    if (error != NULL) {
        *error = found;
    }
    return ticket;
}

void autosave_set(struct world *world, uint32_t keep_last)
{
    struct savepoint_autosave_options options = SAVEPOINT_AUTOSAVE_OPTIONS_INIT;
    options.interval_ns = SECOND;
    options.keep_last = keep_last;
    CHECK_OK(savepoint_autosave(world->session, &options, NULL));
}

struct savepoint_snapshot autosave_take(struct world *world)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error error = { 0 };
    clock_advance(SECOND);
    uint64_t ticket = autosave_tick(world->session, SAVEPOINT_OK, NULL);
    CHECK(ticket != 0);
    enum savepoint_status status = savepoint_wait(world->session, ticket, &snapshot, &error);
    CHECK_MSG(status == SAVEPOINT_OK, "autosave: %s: %s", savepoint_status_name(status), error.message);
    CHECK((snapshot.flags & SAVEPOINT_SNAPSHOT_AUTOSAVE) != 0);
    history_add(&world->history, &snapshot, world->memory);
    return snapshot;
}

struct savepoint_statistics autosave_statistics(struct savepoint *session)
{
    struct savepoint_statistics statistics = { .size = sizeof statistics };
    CHECK_OK(savepoint_read_statistics(session, &statistics, NULL));
    return statistics;
}

/* ---- archives */

void ref_write(const char *path, enum svp_ref_kind kind, const char *name, const struct savepoint_snapshot *target)
{
    struct svp_append append;
    struct svp_repair repair;
    struct svp_ref ref = { .kind = (uint16_t)kind };
    uint64_t offset = 0;
    CHECK_OK(svp_append_open(&append, &repair, path, SVP_APPEND_EXISTING, NULL));
    strcpy(ref.name, name);
    ref.previous = append.tail.end.newest_ref;
    if (target != NULL) {
        ref.target = target->file_offset;
        memcpy(ref.target_id.bytes, target->id.bytes, sizeof ref.target_id.bytes);
    }
    CHECK_OK(svp_append_begin(&append, NULL));
    svp_buffer_clear(&append.body);
    svp_ref_write(&append.body, &ref);
    CHECK_OK(svp_append_record(&append, SVP_REF, &offset, NULL));
    struct svp_end end = append.tail.end;
    end.newest_ref = offset;
    end.head = kind == SVP_REF_HEAD ? ref.target : end.head;
    CHECK_OK(svp_append_finish(&append, &end, true, NULL));
    CHECK_OK(svp_append_close(&append, NULL));
}

void read_dropped(const struct world *world, bool *dropped)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot, found;
    size_t moment = world->history.count;
    CHECK_OK(savepoint_archive_open(&archive, world->path, NULL));
    CHECK_OK(savepoint_archive_newest(archive, &snapshot, NULL));
    while (moment-- > 0) {
        char text[SAVEPOINT_ID_TEXT_BYTES];
        savepoint_id_format(&snapshot.id, text);
        CHECK_MEM(snapshot.id.bytes, world->history.moments[moment].id.bytes, sizeof snapshot.id.bytes);
        dropped[moment] = (snapshot.flags & SAVEPOINT_SNAPSHOT_DROPPED) != 0;
        CHECK_STATUS(savepoint_archive_find(archive, &found, text, NULL),
                     dropped[moment] ? SAVEPOINT_NOT_FOUND : SAVEPOINT_OK);
        CHECK_STATUS(savepoint_archive_previous(archive, &snapshot, NULL),
                     moment > 0 ? SAVEPOINT_OK : SAVEPOINT_NOT_FOUND);
    }
    savepoint_archive_close(archive);
}

const char *kept_moments(const struct world *world)
{
    static char text[27];
    bool dropped[26];
    size_t count = 0;
    CHECK(world->history.count <= 26);
    read_dropped(world, dropped);
    for (size_t i = 0; i < world->history.count; i++) {
        if (!dropped[i]) {
            text[count++] = (char)('A' + i);
        }
    }
    text[count] = '\0';
    return text;
}
