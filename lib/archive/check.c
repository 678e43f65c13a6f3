/* check.c - savepoint_archive_verify: every byte of the file, then every snapshot */
#include <stdio.h>
#include <string.h>

#include "archive/archive.h"
#include "archive/audit.h"
#include "archive/findings.h"
#include "archive/replay.h"
#include "archive/scan.h"
#include "archive/verify.h"
#include "options.h"
#include "status.h"

struct check {
    struct savepoint_archive *archive;
    const struct savepoint_verify_options *options;
    struct savepoint_verify_result result;
    struct svp_verify_pace pace;
    struct svp_findings told;
};

/* The same damage is met on several ways: told once, and once more for each snapshot that it touches. */
static void report(struct check *check, const struct savepoint_error *error, const struct savepoint_id *snapshot)
{
    struct savepoint_finding finding = { .status = error->status, .file_offset = error->file_offset };
    bool known = !svp_findings_add(&check->told, error);
    if (known && snapshot == NULL) {
        return;
    }
    check->result.findings++;
    if (check->options->report == NULL) {
        return;
    }
    if (snapshot != NULL) {
        finding.snapshot = *snapshot;
    }
    if (known) {
        snprintf(finding.message, sizeof finding.message, "%.200s: this snapshot needs what stands there",
                 check->archive->source.path);
    } else {
        snprintf(finding.message, sizeof finding.message, "%.255s", error->message);
    }
    check->options->report(check->options->report_user, &finding);
}

/* A failure that is about the bytes, not about this process. */
static bool is_finding(enum savepoint_status status)
{
    return status == SAVEPOINT_CORRUPT || status == SAVEPOINT_UNSUPPORTED;
}

/* The next place behind `offset` where a record with a good header stands; `end` when there is none. */
static enum savepoint_status resynchronise(const struct svp_source *source, uint64_t *next, uint64_t offset,
                                           uint64_t end, struct savepoint_error *error)
{
    struct svp_record record;
    bool found = false;
    enum savepoint_status status = svp_scan_header(source, &found, &record, offset + 8, end, error);
    *next = found ? record.offset : end;
    return status;
}

/* Every record from the first to the end of the last transaction, and the seal behind it. */
static enum savepoint_status check_records(struct check *check, struct savepoint_error *error)
{
    const struct svp_source *source = &check->archive->source;
    const struct svp_log *log = &check->archive->log;
    struct svp_buffer body = { 0 };
    struct svp_audit audit;
    enum savepoint_status status = SAVEPOINT_OK;
    svp_audit_open(&audit, source, log->segment.alignment);
    for (uint64_t offset = 0; status == SAVEPOINT_OK && offset < log->committed_bytes;) {
        struct svp_record record = { 0 };
        struct savepoint_error found = { 0 };
        uint64_t next = 0;
        status = svp_source_record(source, &record, &body, offset, 0, &found);
        if (status == SAVEPOINT_OK) {
            next = offset + svp_record_bytes(&record);
            check->result.records_checked++;
            status = svp_audit_record(&audit, &record, &body, &found);
        }
        if (is_finding(status)) {
            report(check, &found, NULL);
            status = SAVEPOINT_OK;
        }
        if (status == SAVEPOINT_OK && next == 0) {
            status = resynchronise(source, &next, offset, log->committed_bytes, &found);
            svp_audit_gap(&audit, offset, next);
        }
        if (status != SAVEPOINT_OK) {
            *error = found;
            break;
        }
        status = svp_verify_step(&check->pace, next - offset, error);
        offset = next;
    }
    svp_audit_close(&audit);
    svp_buffer_free(&body);
    return status;
}

/* Notes how the check of a snapshot ended; anything but OK ends the verification. */
static enum savepoint_status conclude(struct check *check, enum savepoint_status status, const struct savepoint_id *id,
                                      const struct savepoint_error *found, struct savepoint_error *error)
{
    if (status != SAVEPOINT_OK && !is_finding(status)) {
        *error = *found;
        return status;
    }
    check->result.snapshots_checked++;
    if (status != SAVEPOINT_OK) {
        check->result.snapshots_damaged++;
        report(check, found, id);
    }
    return SAVEPOINT_OK;
}

static enum savepoint_status
check_one(struct check *check, const struct savepoint_snapshot *snapshot, struct savepoint_error *error)
{
    struct savepoint_error found = { 0 };
    enum savepoint_status status =
        svp_verify_snapshot(&check->archive->reader, snapshot->file_offset, check->archive->log.segment.history_uuid,
                            &check->result.pages_checked, &check->pace, &found);
    return conclude(check, status, &snapshot->id, &found, error);
}

struct place { /* of one snapshot */
    uint64_t commit_offset;
    struct savepoint_id id;
};

/* All snapshots, newest first. Those whose own records are damaged, which is a finding when the records are checked,
 * can only be counted. */
static enum savepoint_status
list_snapshots(struct check *check, struct svp_buffer *places, struct savepoint_error *error)
{
    struct savepoint_snapshot snapshot;
    struct savepoint_error found = { 0 };
    struct svp_catalog *catalog = &check->archive->catalog;
    uint64_t kept = 0;
    enum savepoint_status status = svp_catalog_newest(catalog, &snapshot, &found);
    while (status == SAVEPOINT_OK) {
        const struct place place = { snapshot.file_offset, snapshot.id };
        svp_buffer_add(places, &place, sizeof place);
        check->pace.total_bytes += snapshot.changed_pages * SVP_PAGE_BYTES;
        kept += (snapshot.flags & SAVEPOINT_SNAPSHOT_DROPPED) == 0 ? 1 : 0;
        status = svp_catalog_previous(catalog, &snapshot, snapshot.file_offset, &found);
    }
    if (is_finding(status)) {
        report(check, &found, NULL);
    } else if (status != SAVEPOINT_NOT_FOUND && status != SAVEPOINT_EMPTY) {
        *error = found;
        return status;
    }
    if (catalog->end.snapshot_count > kept) {
        check->result.snapshots_checked += catalog->end.snapshot_count - kept;
        check->result.snapshots_damaged += catalog->end.snapshot_count - kept;
    }
    return places->failed ? svp_status_fail(error, SAVEPOINT_NO_MEMORY, "verify", "no memory") : SAVEPOINT_OK;
}

/* Oldest first: most snapshots then differ little from the one checked before. */
static enum savepoint_status
check_snapshots(struct check *check, const struct svp_buffer *places, struct savepoint_error *error)
{
    struct svp_replay replay = { 0 };
    enum savepoint_status status = SAVEPOINT_OK;
    for (size_t left = places->count / sizeof(struct place); status == SAVEPOINT_OK && left > 0; left--) {
        struct place place;
        struct savepoint_error found = { 0 };
        memcpy(&place, places->bytes + (left - 1) * sizeof place, sizeof place);
        status = svp_replay_check(&replay, &check->archive->reader, place.commit_offset,
                                  check->archive->log.segment.history_uuid, &check->result.pages_checked, &check->pace,
                                  &found);
        status = conclude(check, status, &place.id, &found, error);
    }
    svp_replay_close(&replay);
    return status;
}

static enum savepoint_status check_all(struct check *check, struct savepoint_error *error)
{
    struct svp_buffer places = { 0 };
    enum savepoint_status status = list_snapshots(check, &places, error);
    status = status == SAVEPOINT_OK ? check_records(check, error) : status;
    status = status == SAVEPOINT_OK ? check_snapshots(check, &places, error) : status;
    svp_buffer_free(&places);
    return status;
}

/* What opening had already seen behind the last good transaction. */
static void report_tail(struct check *check)
{
    const struct svp_log *log = &check->archive->log;
    struct savepoint_error error = { 0 };
    if (log->damage_offset != SVP_NO_OFFSET && log->damage_offset >= log->committed_bytes) {
        svp_status_at(
            &error, SAVEPOINT_CORRUPT, log->damage_offset, "verify",
            "%s: bytes that were once durable have changed here; snapshots behind this place cannot be reached",
            check->archive->source.path);
        report(check, &error, NULL);
    }
    if (log->stream_cut) {
        svp_status_at(&error, SAVEPOINT_CORRUPT, log->committed_bytes, "verify",
                      "%s: the stream ended early: its end is missing", check->archive->source.path);
        report(check, &error, NULL);
    }
}

enum savepoint_status
savepoint_archive_verify(struct savepoint_archive *archive, struct savepoint_verify_result *result,
                         const struct savepoint_verify_options *options, struct savepoint_error *error)
{
    struct savepoint_verify_options chosen = SAVEPOINT_VERIFY_OPTIONS_INIT;
    struct savepoint_error ignored;
    if (archive == NULL || result == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "verify", "archive and result must not be NULL");
    }
    enum savepoint_status status = svp_options_copy(&chosen, sizeof chosen, options, "verify", error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    struct check check = { .archive = archive, .options = &chosen };
    struct savepoint_error *detail = error != NULL ? error : &ignored;
    check.pace.progress = check.options->progress;
    check.pace.user = check.options->progress_user;
    if (check.options->snapshot != NULL) {
        check.pace.total_bytes = check.options->snapshot->region_pages * SVP_PAGE_BYTES;
        status = check_one(&check, check.options->snapshot, detail);
    } else {
        check.pace.total_bytes = archive->log.committed_bytes;
        report_tail(&check);
        status = check_all(&check, detail);
    }
    if (status == SAVEPOINT_OK) {
        *result = check.result;
    }
    svp_findings_close(&check.told);
    return status;
}
