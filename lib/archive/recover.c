/* recover.c - opening an archive for writing: create, lock, save and cut a torn tail, seal an unsealed one */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "archive/append.h"
#include "format/bytes.h"
#include "format/coder.h"
#include "format/memory.h"
#include "os/host.h"
#include "os/vm.h"
#include "status.h"

enum { COPY_BYTES = 1 << 20, PATH_TRIES = 100 };

static const char creator[] = "savepoint 0.1.0";

static enum savepoint_status
fail_open(const char *path, int code, enum svp_append_mode mode, struct savepoint_error *error)
{
    const char *advice =
        code == ENOENT && mode == SVP_APPEND_CREATE
            ? "the folder does not exist, or this is a link to nowhere: create the folder first"
        : code == ENOENT ? "there is no such archive"
        : code == EISDIR ? "this is a directory: name a file in it"
        : code == EINVAL ? "this is not a regular file"
        : code == EROFS  ? "this file system is read-only: choose another place, or have it mounted for writing"
        : code == EACCES || code == EPERM ? "no permission to write here: check owner and mode of file and folder"
                                          : "cannot open the archive for writing";
    return svp_status_os(error, code, "open", "%s: %s", path, advice);
}

static enum savepoint_status lock(struct svp_source *source, struct savepoint_error *error)
{
    bool held_by_other = false;
    int code = svp_file_lock(&source->file, &held_by_other);
    if (code != 0) {
        return svp_status_os(error, code, "lock", "%s: this file system gives no locks", source->path);
    }
    if (held_by_other || !svp_file_is_at(&source->file, source->path)) {
        return svp_status_fail(
            error, SAVEPOINT_LOCKED, "lock",
            "%s: another process or session is writing this archive: close it there, or use another file",
            source->path);
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status copy_tail(const struct svp_source *source, const struct svp_file *to, uint64_t from,
                                       uint64_t end, struct savepoint_error *error)
{
    uint8_t *chunk = svp_memory_alloc(COPY_BYTES);
    int code = chunk == NULL ? ENOMEM : 0;
    for (uint64_t at = from; code == 0 && at < end;) {
        size_t wanted = end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
        size_t done = 0;
        code = svp_file_read(&source->file, chunk, wanted, at, &done);
        if (code == 0) {
            code = done == wanted ? svp_file_write(to, chunk, done, at - from) : EIO;
        }
        at += done;
    }
    if (code == 0) {
        code = svp_file_sync(to);
    }
    svp_memory_free(chunk);
    if (code != 0) {
        return svp_status_os(error, code, "save the torn tail",
                             "%s: %" PRIu64
                             " unfinished bytes at its end could not be saved, so nothing was cut: make room "
                             "and open it again",
                             source->path, end - from);
    }
    return SAVEPOINT_OK;
}

/* Saves [from, end) as PATH.torn-FROM (or .torn-FROM.1, ... when that exists). */
static enum savepoint_status
save_tail(const struct svp_source *source, uint64_t from, uint64_t end, struct savepoint_error *error)
{
    size_t name_bytes = strlen(source->path) + 64;
    char *name = svp_memory_alloc(name_bytes);
    struct svp_file saved = SVP_FILE_NONE;
    if (name == NULL) {
        return svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "%s: no memory", source->path);
    }
    int code = EEXIST;
    for (unsigned i = 0; code == EEXIST && i < PATH_TRIES; i++) {
        int length = snprintf(name, name_bytes, "%s.torn-%" PRIu64, source->path, from);
        if (i > 0) {
            snprintf(name + length, name_bytes - (size_t)length, ".%u", i);
        }
        code = svp_file_open(&saved, name, SVP_FILE_CREATE_NEW, NULL);
    }
    enum savepoint_status status =
        code == 0 ? copy_tail(source, &saved, from, end, error)
                  : svp_status_os(error, code, "save the torn tail", "%s: cannot be created, so nothing was cut", name);
    if (code == 0 && status == SAVEPOINT_OK) {
        code = svp_file_sync_folder(name); /* the copy's name is durable before the original is cut */
        status =
            code == 0 ? status : svp_status_os(error, code, "save the torn tail", "%s: cannot be made durable", name);
    }
    if (saved.descriptor >= 0 && status != SAVEPOINT_OK) {
        svp_file_remove(name); /* a part of a copy is of no use, and takes room */
    }
    svp_file_close(&saved);
    svp_memory_free(name);
    return status;
}

static enum savepoint_status
cut_torn(struct svp_append *append, const struct svp_log *log, struct svp_repair *repair, struct savepoint_error *error)
{
    uint64_t kept = log->kept_bytes;
    enum savepoint_status status = save_tail(&append->source, kept, log->file_bytes, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    int code = svp_file_truncate(&append->source.file, kept);
    code = code == 0 ? svp_file_sync(&append->source.file) : code;
    if (code != 0) {
        return svp_status_os(error, code, "cut the torn tail", "%s: cannot cut the unfinished end",
                             append->source.path);
    }
    *repair = (struct svp_repair){ kept, log->file_bytes - kept, true, repair->resealed };
    return SAVEPOINT_OK;
}

/* After a failed sync the kernel may hold clean copies of pages the disk never got: writing them again makes a sync
 * mean something. */
static enum savepoint_status
reseal(struct svp_append *append, const struct svp_log *log, struct svp_repair *repair, struct savepoint_error *error)
{
    uint8_t *chunk = svp_memory_alloc(COPY_BYTES);
    int code = chunk == NULL ? ENOMEM : 0;
    for (uint64_t at = log->sealed_bytes; code == 0 && at < log->committed_bytes;) {
        uint64_t left = log->committed_bytes - at;
        size_t wanted = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        size_t done = 0;
        code = svp_file_read(&append->source.file, chunk, wanted, at, &done);
        code = code == 0 && done < wanted ? EIO : code;
        code = code == 0 ? svp_file_write(&append->source.file, chunk, done, at) : code;
        at += done;
    }
    code = code == 0 ? svp_file_sync(&append->source.file) : code;
    svp_memory_free(chunk);
    if (code != 0) {
        return svp_status_os(error, code, "seal", "%s: the newest snapshots could not be made durable",
                             append->source.path);
    }
    append->tail.durable_bytes = log->committed_bytes;
    repair->resealed = true;
    return SAVEPOINT_OK;
}

static void begin_new(struct svp_append *append)
{
    struct svp_segment *segment = &append->segment;
    svp_host_random(&append->source.salt, sizeof append->source.salt);
    append->source.salt_known = true;
    svp_host_random(segment->file_uuid, sizeof segment->file_uuid);
    svp_host_random(segment->history_uuid, sizeof segment->history_uuid);
}

static void describe_writer(struct svp_segment *segment)
{
    segment->version = 0;
    segment->alignment = SVP_FILE_ALIGNMENT;
    segment->incompatible |= svp_coder_features();
    segment->page_bytes = SVP_PAGE_BYTES;
    segment->host_page_bytes = (uint32_t)svp_vm_page_bytes();
    snprintf(segment->creator, sizeof segment->creator, "%s", creator);
    snprintf(segment->abi, sizeof segment->abi, "%s", svp_host_abi());
    segment->build_id_bytes = (uint32_t)svp_host_build_id(segment->build_id, sizeof segment->build_id);
}

/* Now, not with the first sync: a relative path may name another folder by then. */
static enum savepoint_status make_name_durable(const struct svp_append *append, struct savepoint_error *error)
{
    int code = svp_file_sync_folder(append->source.path);
    return code == 0
               ? SAVEPOINT_OK
               : svp_status_os(error, code, "open", "%s: cannot make the archive's name durable", append->source.path);
}

static enum savepoint_status adopt_log(struct svp_append *append, const struct svp_log *log, struct svp_repair *repair,
                                       struct savepoint_error *error)
{
    enum savepoint_status status = SAVEPOINT_OK;
    if (log->damage_offset != SVP_NO_OFFSET) {
        return svp_status_at(error, SAVEPOINT_CORRUPT, log->damage_offset, "open",
                             "%s: bytes that were once durable have changed: nothing was touched; 'savepoint verify' "
                             "tells what is lost",
                             append->source.path);
    }
    if (!log->newborn && log->segment.alignment == SVP_STREAM_ALIGNMENT) {
        return svp_status_fail(error, SAVEPOINT_UNSUPPORTED, "open",
                               "%s: this is a recorded stream: it can be read, but not continued", append->source.path);
    }
    if (log->has_end && log->segment.read_only_compatible != 0) {
        return svp_status_fail(error, SAVEPOINT_UNSUPPORTED, "open",
                               "%s: a newer savepoint wrote this archive: it can be read here, but not continued",
                               append->source.path);
    }
    append->tail = (struct svp_tail){
        .end = log->end,
        .has_end = log->has_end,
        .end_offset = log->end_offset,
        .transaction = log->transaction,
        .committed_bytes = log->committed_bytes,
        .durable_bytes = log->sealed_bytes,
        .sealed = log->sealed,
        .seal_hash = log->seal_hash,
    };
    append->segment = log->segment;
    append->previous_segment = log->segment;
    if (log->torn_bytes > 0) {
        status = cut_torn(append, log, repair, error);
    }
    if (status == SAVEPOINT_OK && log->has_end && log->sealed_bytes < log->committed_bytes) {
        status = reseal(append, log, repair, error);
    }
    if (status == SAVEPOINT_OK && !log->has_end) {
        append->segment = (struct svp_segment){ 0 };
        begin_new(append);
    }
    bool seal_due = log->has_end && !log->sealed; /* torn, or just deserved: it opens the next transaction */
    if (status == SAVEPOINT_OK && seal_due && !svp_tail_seal(&append->tail, append->source.salt)) {
        status = svp_status_fail(error, SAVEPOINT_NO_MEMORY, "open", "%s: no memory", append->source.path);
    }
    append->source.limit = append->tail.committed_bytes;
    append->output =
        (struct svp_output){ .source = &append->source, .tail = append->tail, .seal_written = log->sealed };
    return status;
}

/* Somebody else may have found the empty file by now, and be about to write to it: then it stays. */
void svp_append_forget(const struct svp_append *append, const char *path)
{
    struct svp_file file = SVP_FILE_NONE;
    bool held_by_other = false;
    uint64_t bytes = 0;
    if (!append->created || svp_file_open(&file, path, SVP_FILE_WRITE, NULL) != 0) {
        return;
    }
    const bool ours = svp_file_lock(&file, &held_by_other) == 0 && !held_by_other && svp_file_is_at(&file, path);
    if (ours && svp_file_size(&file, &bytes) == 0 && bytes == 0) {
        svp_file_remove(path);
    }
    svp_file_close(&file);
}

enum savepoint_status svp_append_open(struct svp_append *append, struct svp_repair *repair, const char *path,
                                      enum svp_append_mode mode, struct savepoint_error *error)
{
    struct svp_file file = SVP_FILE_NONE;
    struct svp_log log;
    *append = (struct svp_append){ .source = { .file = SVP_FILE_NONE } };
    *repair = (struct svp_repair){ 0 };
    int code =
        svp_file_open(&file, path, mode == SVP_APPEND_CREATE ? SVP_FILE_CREATE : SVP_FILE_WRITE, &append->created);
    if (code != 0) {
        return fail_open(path, code, mode, error);
    }
    enum savepoint_status status = svp_source_open(&append->source, file, path, error);
    if (status == SAVEPOINT_OK) {
        status = lock(&append->source, error);
    }
    if (status == SAVEPOINT_OK) {
        status = svp_log_open(&log, &append->source, error);
    }
    if (status == SAVEPOINT_OK && mode == SVP_APPEND_HISTORY && !log.has_end) {
        status = svp_status_fail(error, SAVEPOINT_NOT_AN_ARCHIVE, "open",
                                 "%s: no snapshot was ever completed in it: there is nothing to change", path);
    }
    if (status == SAVEPOINT_OK) {
        status = adopt_log(append, &log, repair, error);
    }
    if (status == SAVEPOINT_OK && (repair->resealed || !append->tail.has_end)) {
        status = make_name_durable(append, error);
    }
    if (status != SAVEPOINT_OK) {
        svp_source_close(&append->source);
        svp_append_forget(append, path);
        return status;
    }
    describe_writer(&append->segment);
    return SAVEPOINT_OK;
}
