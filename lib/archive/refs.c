/* refs.c - writing references: HEAD, labels, pins */
#include <string.h>

#include "archive/append.h"
#include "archive/catalog.h"
#include "archive/verify.h"
#include "os/host.h"
#include "status.h"
#include "utf8.h"

static bool is_none(const struct savepoint_id *id)
{
    static const struct savepoint_id none;
    return memcmp(id, &none, sizeof none) == 0;
}

/* C0, DEL and C1 of well-formed UTF-8. */
static bool has_control(const char *name)
{
    for (const unsigned char *at = (const unsigned char *)name; *at != '\0'; at++) {
        if (*at < 0x20 || *at == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0)) {
            return true;
        }
    }
    return false;
}

/* NULL for a name that can be found again and read aloud; else what is wrong with it. */
static const char *name_fault(const struct savepoint_ref *ref)
{
    if (!svp_utf8_valid(ref->name)) {
        return "is no UTF-8";
    }
    if (has_control(ref->name)) {
        return "has control characters";
    }
    if (ref->kind == SAVEPOINT_REF_PIN) {
        return NULL;
    }
    if (ref->name[0] == '\0') {
        return "is empty";
    }
    if (strcmp(ref->name, "HEAD") == 0) {
        return "means what a program resumes from";
    }
    if (strpbrk(ref->name, "~:") != NULL || strstr(ref->name, "@{") != NULL) {
        return "has ~ or : or @{ in it";
    }
    return svp_name_is_id(ref->name) ? "would be taken for the digits of an id" : NULL;
}

static enum savepoint_status check_name(const struct savepoint_ref *ref, struct savepoint_error *error)
{
    const char *fault = name_fault(ref);
    if (fault == NULL) {
        return SAVEPOINT_OK;
    }
    bool printable = svp_utf8_valid(ref->name) && !has_control(ref->name);
    if (ref->kind == SAVEPOINT_REF_PIN) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "set reference",
                               "this name of a pin %s: any text without control characters is good", fault);
    }
    return svp_status_fail(error, SAVEPOINT_INVALID, "set reference",
                           "this name%s%.80s%s %s: good is any text of up to 255 bytes but HEAD, 4 to 32 hex digits, "
                           "and what has ~ : @{ or control characters in it",
                           printable ? ", '" : "", printable ? ref->name : "", printable ? "'," : "", fault);
}

static enum savepoint_status check_ref(const struct savepoint_ref *ref, struct savepoint_error *error)
{
    bool known = ref->kind >= SAVEPOINT_REF_HEAD && ref->kind <= SAVEPOINT_REF_PIN;
    if (!known || ref->reserved != 0 || memchr(ref->name, '\0', sizeof ref->name) == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "set reference",
                               "a reference has a kind, zero in reserved, and a name that ends within its array");
    }
    if (ref->kind == SAVEPOINT_REF_HEAD) {
        bool good = ref->name[0] == '\0' && !is_none(&ref->target);
        return good ? SAVEPOINT_OK
                    : svp_status_fail(error, SAVEPOINT_INVALID, "set reference",
                                      "HEAD needs a target and takes no name");
    }
    if (is_none(&ref->target) && ref->name[0] == '\0') {
        return svp_status_fail(error, SAVEPOINT_INVALID, "set reference", "the name to delete must be told");
    }
    return check_name(ref, error);
}

/* A name that is not there cannot be deleted: that is better told than passed over. */
static enum savepoint_status
find_name(const struct svp_catalog *catalog, const struct savepoint_ref *ref, struct savepoint_error *error)
{
    for (size_t i = 0; i < catalog->ref_count; i++) {
        if (catalog->refs[i].kind == ref->kind && strcmp(catalog->refs[i].name, ref->name) == 0) {
            return SAVEPOINT_OK;
        }
    }
    return svp_status_fail(error, SAVEPOINT_NOT_FOUND, "set reference", "%s: there is no %s '%.80s'",
                           catalog->source->path, ref->kind == SAVEPOINT_REF_PIN ? "pin" : "label", ref->name);
}

/* Finds the target's COMMIT; *offset is 0 where a name is deleted. HEAD's must decode: a program resumes from it. */
static enum savepoint_status
find_target(struct svp_append *append, uint64_t *offset, const struct savepoint_ref *ref, struct savepoint_error *error)
{
    struct svp_catalog catalog;
    struct svp_reader reader;
    struct savepoint_snapshot target = { .file_offset = 0 };
    struct svp_verify_pace pace = { 0 };
    uint64_t pages_checked = 0;
    enum savepoint_status status =
        svp_catalog_open(&catalog, &append->source, append->segment.alignment, &append->tail.end, append->tail.has_end,
                         append->tail.durable_bytes, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_reader_open(&reader, &append->source);
    status = is_none(&ref->target) ? find_name(&catalog, ref, error)
                                   : svp_catalog_find_id(&catalog, &target, &ref->target, error);
    if (status == SAVEPOINT_OK && ref->kind == SAVEPOINT_REF_HEAD) {
        status = svp_verify_snapshot(&reader, target.file_offset, append->segment.history_uuid, &pages_checked, &pace,
                                     error);
    }
    *offset = target.file_offset;
    svp_reader_close(&reader);
    svp_catalog_close(&catalog);
    return status;
}

static enum savepoint_status
write_ref(struct svp_append *append, const struct savepoint_ref *wanted, uint64_t target, struct savepoint_error *error)
{
    struct svp_ref ref = { .previous = append->tail.end.newest_ref,
                           .target = target,
                           .time_ns = svp_host_time_ns(),
                           .kind = (uint16_t)wanted->kind };
    uint64_t offset = 0;
    memcpy(ref.target_id.bytes, wanted->target.bytes, sizeof ref.target_id.bytes);
    memcpy(ref.name, wanted->name, sizeof ref.name);
    if (ref.kind == SVP_REF_PIN && ref.name[0] == '\0') {
        savepoint_id_format(&wanted->target, ref.name);
    }
    enum savepoint_status status = svp_append_begin(append, error);
    if (status != SAVEPOINT_OK) {
        return status;
    }
    svp_buffer_clear(&append->body);
    svp_ref_write(&append->body, &ref);
    status = svp_append_record(append, SVP_REF, &offset, error);
    if (status != SAVEPOINT_OK) {
        svp_append_abort(append);
        return status;
    }
    struct svp_end end = append->tail.end;
    end.newest_ref = offset;
    end.head = ref.kind == SVP_REF_HEAD ? target : end.head;
    return svp_append_finish(append, &end, true, error);
}

enum savepoint_status
savepoint_archive_set_ref(const char *path, const struct savepoint_ref *ref, struct savepoint_error *error)
{
    struct svp_append append;
    struct svp_repair repair;
    uint64_t target = 0;
    if (path == NULL || ref == NULL) {
        return svp_status_fail(error, SAVEPOINT_INVALID, "set reference", "path and ref must not be NULL");
    }
    enum savepoint_status status = check_ref(ref, error);
    status = status == SAVEPOINT_OK ? svp_append_open(&append, &repair, path, SVP_APPEND_HISTORY, error) : status;
    if (status != SAVEPOINT_OK) {
        return status;
    }
    status = find_target(&append, &target, ref, error);
    status = status == SAVEPOINT_OK ? write_ref(&append, ref, target, error) : status;
    enum savepoint_status closed = svp_append_close(&append, status == SAVEPOINT_OK ? error : NULL);
    return status != SAVEPOINT_OK ? status : closed;
}
