/* power_disk.c - a record of the writer's system calls, and every state of the disk that a power cut may leave */
#define _POSIX_C_SOURCE 200809L
#include "power_disk.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fault.h"

static struct record record = { .names = { { NO_FILE, NO_FILE } } };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* several threads make the calls */

static uint64_t inode_of(const struct svp_file *file)
{
    struct stat status;
    CHECK(fstat(file->descriptor, &status) == 0);
    return (uint64_t)status.st_ino;
}

static int number_new(const struct svp_file *file)
{
    CHECK(record.file_count < FILES_MAX);
    record.inodes[record.file_count] = inode_of(file);
    return (int)record.file_count++;
}

/* The newest of that inode, which may have had another file before. */
static int number_of(const struct svp_file *file)
{
    const uint64_t inode = inode_of(file);
    for (size_t i = record.file_count; i > 0; i--) {
        if (record.inodes[i - 1] == inode) {
            return (int)i - 1;
        }
    }
    return number_new(file);
}

static struct step *add_step(struct step step)
{
    CHECK(record.count < STEPS_MAX);
    record.steps[record.count] = step;
    return &record.steps[record.count++];
}

static void note_contents(const struct fault_event *event)
{
    const int file = number_of(event->file);
    struct step *step = add_step((struct step){ .file = file, .count = event->count, .offset = (size_t)event->offset });
    switch (event->kind) {
    case FAULT_WRITE:
        step->kind = STEP_WRITE;
        step->bytes = malloc(event->count + 1);
        CHECK(step->bytes != NULL);
        memcpy(step->bytes, event->bytes, event->count);
        break;
    case FAULT_TRUNCATE:
        step->kind = STEP_TRUNCATE;
        break;
    default:
        step->kind = STEP_SYNC;
        break;
    }
}

static void note(const struct fault_event *event)
{
    pthread_mutex_lock(&mutex);
    if (event->kind == FAULT_SYNC_FOLDER) {
        add_step((struct step){ .kind = STEP_FOLDER });
    } else {
        note_contents(event);
    }
    pthread_mutex_unlock(&mutex);
}

void record_durable(size_t snapshots)
{
    pthread_mutex_lock(&mutex);
    add_step((struct step){ .kind = STEP_DURABLE, .snapshots = snapshots });
    pthread_mutex_unlock(&mutex);
}

void record_created(size_t name, const struct svp_file *file)
{
    pthread_mutex_lock(&mutex);
    record.names.files[name] = number_new(file);
    add_step((struct step){ .kind = STEP_NAMES, .names = record.names });
    pthread_mutex_unlock(&mutex);
}

void record_renamed(size_t from, size_t to)
{
    pthread_mutex_lock(&mutex);
    record.names.files[to] = record.names.files[from];
    record.names.files[from] = NO_FILE;
    add_step((struct step){ .kind = STEP_NAMES, .names = record.names });
    pthread_mutex_unlock(&mutex);
}

void record_removed(size_t name)
{
    pthread_mutex_lock(&mutex);
    record.names.files[name] = NO_FILE;
    add_step((struct step){ .kind = STEP_NAMES, .names = record.names });
    pthread_mutex_unlock(&mutex);
}

void forget_record(void)
{
    while (record.count > 0) {
        free(record.steps[--record.count].bytes);
    }
    record.file_count = 0;
    record.names = (struct names){ { NO_FILE, NO_FILE } };
}

void record_calls(bool on)
{
    fault_observe(on ? note : NULL);
}

const struct record *recorded(void)
{
    return &record;
}

static void apply(struct image *image, const struct step *step)
{
    if (step->kind == STEP_WRITE) {
        CHECK(step->offset + step->count <= sizeof image->bytes);
        memcpy(image->bytes + step->offset, step->bytes, step->count);
        image->size = step->offset + step->count > image->size ? step->offset + step->count : image->size;
    } else if (step->kind == STEP_TRUNCATE) {
        if (step->offset < image->size) {
            memset(image->bytes + step->offset, 0, image->size - step->offset);
        }
        image->size = step->offset;
    }
}

void free_window(struct window *window)
{
    for (size_t i = 0; i < window->block_count; i++) {
        for (size_t k = 0; k < window->blocks[i].version_count; k++) {
            free(window->blocks[i].versions[k]);
        }
    }
    window->block_count = 0;
    window->size_count = 0;
}

static void add_version(struct window *window, size_t block, const uint8_t *before, const uint8_t *now)
{
    size_t i = 0;
    while (i < window->block_count && window->blocks[i].block != block) {
        i++;
    }
    if (i == window->block_count) {
        window->block_count++;
        window->blocks[i].block = block;
        window->blocks[i].version_count = 1;
        window->blocks[i].versions[0] = malloc(BLOCK);
        CHECK(window->blocks[i].versions[0] != NULL);
        memcpy(window->blocks[i].versions[0], before, BLOCK);
    }
    size_t version = window->blocks[i].version_count++;
    CHECK(version < VERSIONS_MAX);
    window->blocks[i].versions[version] = malloc(BLOCK);
    CHECK(window->blocks[i].versions[version] != NULL);
    memcpy(window->blocks[i].versions[version], now, BLOCK);
}

static bool is_of(const struct step *step, int file)
{
    return (step->kind == STEP_WRITE || step->kind == STEP_TRUNCATE || step->kind == STEP_SYNC) && step->file == file;
}

void open_window(struct window *window, struct image *image, int file, size_t cut)
{
    static struct image before;
    static struct image cache;
    size_t synced = 0;
    image->size = 0;
    memset(image->bytes, 0, sizeof image->bytes);
    window->durable = 0;
    for (size_t i = 0; i < cut; i++) {
        const struct step *step = &record.steps[i];
        synced = is_of(step, file) && step->kind == STEP_SYNC ? i : synced;
        window->durable = step->kind == STEP_DURABLE ? step->snapshots : window->durable;
    }
    for (size_t i = 0; i < synced; i++) {
        if (is_of(&record.steps[i], file)) {
            apply(image, &record.steps[i]);
        }
    }
    cache = *image;
    window->sizes[window->size_count++] = cache.size;
    for (size_t i = synced; i < cut; i++) {
        if (!is_of(&record.steps[i], file)) {
            continue;
        }
        before = cache;
        apply(&cache, &record.steps[i]);
        if (cache.size != before.size) {
            window->sizes[window->size_count++] = cache.size;
        }
        for (size_t block = 0; block < BLOCKS_MAX; block++) {
            if (memcmp(before.bytes + block * BLOCK, cache.bytes + block * BLOCK, BLOCK) != 0) {
                add_version(window, block, before.bytes + block * BLOCK, cache.bytes + block * BLOCK);
            }
        }
    }
}

void build_state(struct image *image, const struct image *durable, const struct window *window, const size_t *choice,
                 const size_t *tear, size_t size)
{
    image->size = size;
    memcpy(image->bytes, durable->bytes, size);
    for (size_t i = 0; i < window->block_count; i++) {
        uint8_t *to = image->bytes + window->blocks[i].block * BLOCK;
        size_t version = choice[i];
        memcpy(to, window->blocks[i].versions[version], BLOCK);
        if (tear != NULL && version > 0) {
            size_t from = tear[i] * SECTOR;
            memcpy(to + from, window->blocks[i].versions[version - 1] + from, BLOCK - from);
        }
    }
}

size_t count_states(const struct window *window)
{
    size_t states = window->size_count;
    for (size_t i = 0; i < window->block_count && states <= EXHAUSTIVE; i++) {
        states *= window->blocks[i].version_count;
    }
    return states;
}
