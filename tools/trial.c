/* trial.c - a session on an archive in a temporary folder, over memory of its own */
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>

#include "machine.h"
#include "outfile.h"

static const char region_name[] = "trial";

static enum savepoint_status no_memory(struct trial *trial)
{
    trial->error = (struct savepoint_error){ .status = SAVEPOINT_NO_MEMORY, .file_offset = UINT64_MAX };
    snprintf(trial->error.message, sizeof trial->error.message, "no memory for a trial");
    return SAVEPOINT_NO_MEMORY;
}

static enum savepoint_status open_session(struct trial *trial)
{
    struct savepoint_options options = SAVEPOINT_OPTIONS_INIT;
    options.watch = trial->backend;
    enum savepoint_status status = savepoint_open(&trial->session, trial->path, &options, &trial->error);
    if (status == SAVEPOINT_OK) {
        status = savepoint_watch(trial->session, region_name, trial->memory, trial->bytes, &trial->error);
    }
    return status;
}

static enum savepoint_status close_session(struct trial *trial)
{
    struct savepoint *session = trial->session;
    trial->session = NULL;
    return savepoint_close(session, &trial->error);
}

enum savepoint_status trial_open(struct trial *trial, const char *folder, const char *backend, size_t bytes)
{
    *trial = (struct trial){ .backend = backend, .path = outfile_join(folder, "trial.svp"), .bytes = bytes };
    trial->memory = machine_map(bytes);
    return trial->memory == NULL ? no_memory(trial) : open_session(trial);
}

enum savepoint_status trial_close(struct trial *trial)
{
    enum savepoint_status status = close_session(trial);
    if (trial->memory != NULL) {
        machine_unmap(trial->memory, trial->bytes);
    }
    outfile_remove(trial->path);
    free(trial->path);
    return status;
}

enum savepoint_status trial_capture(struct trial *trial, uint64_t *ticket)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    options.durability = SAVEPOINT_ORDERED;
    return savepoint_take(trial->session, ticket, &options, &trial->error);
}

enum savepoint_status trial_wait(struct trial *trial, struct savepoint_snapshot *snapshot, uint64_t ticket)
{
    return savepoint_wait(trial->session, ticket, snapshot, &trial->error);
}

enum savepoint_status trial_take(struct trial *trial, struct savepoint_snapshot *snapshot)
{
    uint64_t ticket = 0;
    enum savepoint_status status = trial_capture(trial, &ticket);
    return status == SAVEPOINT_OK ? trial_wait(trial, snapshot, ticket) : status;
}

enum savepoint_status trial_read(struct trial *trial, unsigned char *to, const struct savepoint_snapshot *snapshot)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot found;
    char name[SAVEPOINT_ID_TEXT_BYTES];
    enum savepoint_status status = savepoint_archive_open(&archive, trial->path, &trial->error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    savepoint_id_format(&snapshot->id, name);
    status = savepoint_archive_find(archive, &found, name, &trial->error);
    if (status == SAVEPOINT_OK) {
        status = savepoint_archive_read(archive, to, &found, region_name, 0, trial->bytes, &trial->error);
    }
    savepoint_archive_close(archive);
    return status;
}

enum savepoint_status trial_restore(struct trial *trial, const struct savepoint_id *id)
{
    return savepoint_restore(trial->session, id, NULL, &trial->error);
}

enum savepoint_status trial_move(struct trial *trial)
{
    unsigned char *elsewhere = machine_map(trial->bytes);
    if (elsewhere == NULL) {
        return no_memory(trial);
    }
    enum savepoint_status status = close_session(trial);
    machine_unmap(trial->memory, trial->bytes);
    trial->memory = elsewhere;
    if (status == SAVEPOINT_OK) {
        status = open_session(trial);
    }
    return status == SAVEPOINT_OK ? savepoint_resume(trial->session, NULL, &trial->error) : status;
}
