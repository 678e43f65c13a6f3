/* test_same.c - pages that refer to others: hostile references are refused, damage costs no more than what refers to it
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../crash/crash_fixture.h"
#include "archive/reader.h"
#include "format/bytes.h"
#include "format/digest.h"
#include "format/pages.h"
#include "format/record.h"

enum { PAGES = 16, TARGET = 2, COPY = 6, RECORDS_MAX = 64, PAYLOAD_AT = SVP_HEADER_BYTES + 32 + SVP_HASH_BYTES };

struct lab {
    struct world world;
    struct bytes file; /* as it was written */
    uint8_t *changed;  /* a copy, to be changed */
    size_t record_count;
    struct svp_record records[RECORDS_MAX];
    uint64_t whole, delta, reference, last_reference; /* PAGES records of each kind */
};

static void list_records(struct lab *lab)
{
    lab->record_count = 0;
    for (size_t at = 0; at + SVP_HEADER_BYTES <= lab->file.count;) {
        struct svp_record *record = &lab->records[lab->record_count++];
        CHECK(lab->record_count < RECORDS_MAX);
        CHECK_EQ(svp_record_read(record, lab->file.at + at, at), SVP_GOOD);
        const unsigned coder = svp_load16(lab->file.at + at + SVP_HEADER_BYTES + 4);
        if (record->type == SVP_PAGES && coder == SVP_CODER_SAME) {
            lab->reference = lab->reference == 0 ? at : lab->reference;
            lab->last_reference = at;
        } else if (record->type == SVP_PAGES) {
            *(coder == SVP_CODER_XOR_RUNS ? &lab->delta : &lab->whole) = at;
        }
        at += svp_record_bytes(record);
    }
}

/* Noise in pages 0 to 3; page 0 gets a delta, page 5 becomes page 1; page 6 becomes page 2, as the last thing. */
static void open_lab(struct lab *lab)
{
    uint64_t seed = 7;
    memset(lab, 0, sizeof *lab);
    file_remove(scratch_path("same.svp"));
    world_open(&lab->world, scratch_path("same.svp"), "compare", PAGES);
    random_fill(lab->world.memory, 4 * PAGE_BYTES, &seed);
    world_take(&lab->world, SAVEPOINT_SYNC);
    lab->world.memory[99]++;
    memcpy(world_page(&lab->world, 5), world_page(&lab->world, 1), PAGE_BYTES);
    memset(world_page(&lab->world, 9), 9, PAGE_BYTES / 2);
    world_take(&lab->world, SAVEPOINT_SYNC);
    memcpy(world_page(&lab->world, COPY), world_page(&lab->world, TARGET), PAGE_BYTES);
    world_take(&lab->world, SAVEPOINT_SYNC);
    world_close(&lab->world);
    lab->file = file_read(lab->world.path);
    lab->changed = malloc(lab->file.count);
    memcpy(lab->changed, lab->file.at, lab->file.count);
    list_records(lab);
    CHECK(lab->whole != 0 && lab->delta != 0 && lab->reference != 0 && lab->last_reference > lab->reference);
    /* page 9 went to the second record of whole pages */
    for (size_t i = 0; i < lab->record_count; i++) {
        if (lab->records[i].type == SVP_PAGES) {
            lab->whole = lab->records[i].offset;
            break;
        }
    }
}

static void close_lab(struct lab *lab)
{
    bytes_free(&lab->file);
    free(lab->changed);
    world_free(&lab->world);
}

/* Writes the changed bytes; `rehash`: with all hashes and chains made right. */
static void store(struct lab *lab, bool rehash)
{
    struct svp_buffer chain = { 0 };
    uint64_t before = 0;
    for (size_t i = 0; rehash && i < lab->record_count; i++) {
        const struct svp_record *record = &lab->records[i];
        uint8_t *header = lab->changed + record->offset;
        uint8_t *body = header + SVP_HEADER_BYTES;
        if (record->type == SVP_END) {
            svp_store64(body + 96, before);
            before = svp_digest64(record->salt, chain.bytes, chain.count);
            svp_store64(body + 88, before);
            svp_buffer_clear(&chain);
        }
        svp_store64(header + 48, svp_digest64(record->salt, body, (size_t)svp_round_up(record->body_bytes, 8)));
        svp_store64(header + 56, svp_digest64(record->salt, header, 56));
        if (record->type != SVP_END) {
            svp_buffer_add(&chain, header + 56, 8);
        }
    }
    svp_buffer_free(&chain);
    file_write(lab->world.path, lab->changed, lab->file.count);
}

/* Reads each page of each snapshot: `lost` has bit `page` of those that must be told to be damaged, no others are. */
static void check_pages(struct lab *lab, const uint32_t lost[3])
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_result result;
    CHECK_OK(savepoint_archive_open(&archive, lab->world.path, NULL));
    for (size_t i = 0; i < 3; i++) {
        struct savepoint_snapshot snapshot;
        const struct moment *moment = &lab->world.history.moments[i];
        char name[16];
        snprintf(name, sizeof name, "HEAD~%zu", 2 - i);
        CHECK_OK(savepoint_archive_find(archive, &snapshot, name, NULL));
        for (size_t page = 0; page < PAGES; page++) {
            uint8_t bytes[PAGE_BYTES];
            enum savepoint_status status =
                savepoint_archive_read(archive, bytes, &snapshot, "heap", page * PAGE_BYTES, PAGE_BYTES, NULL);
            CHECK_MSG(status == ((lost[i] >> page & 1) != 0 ? SAVEPOINT_CORRUPT : SAVEPOINT_OK),
                      "page %zu of snapshot %zu: %s", page, i, savepoint_status_name(status));
            CHECK(status != SAVEPOINT_OK || memcmp(bytes, moment->memory + page * PAGE_BYTES, PAGE_BYTES) == 0);
        }
    }
    CHECK_OK(savepoint_archive_verify(archive, &result, NULL, NULL));
    CHECK_EQ(result.findings > 0, (lost[0] | lost[1] | lost[2]) != 0);
    savepoint_archive_close(archive);
}

/* A program that resumes: it gets the newest snapshot, or is told, and its memory stays as it is. */
static void check_resume(struct lab *lab, enum savepoint_status wanted)
{
    struct savepoint_error error = { 0 };
    memset(lab->world.memory, 0x77, PAGES * PAGE_BYTES);
    world_open(&lab->world, lab->world.path, "compare", PAGES);
    CHECK_STATUS(savepoint_resume(lab->world.session, NULL, &error), wanted);
    for (size_t i = 0; wanted != SAVEPOINT_OK && i < PAGES * PAGE_BYTES; i++) {
        CHECK_EQ(lab->world.memory[i], 0x77);
    }
    if (wanted == SAVEPOINT_OK) {
        CHECK_MEM(lab->world.memory, lab->world.history.moments[2].memory, PAGES * PAGE_BYTES);
    } else {
        CHECK_OK(savepoint_restore(lab->world.session, &lab->world.history.moments[1].id, NULL, NULL));
        CHECK_MEM(lab->world.memory, lab->world.history.moments[1].memory, PAGES * PAGE_BYTES);
    }
    world_close(&lab->world);
}

/* The last reference says something else. */
static void refer(struct lab *lab, uint64_t record_offset, uint64_t page, bool good)
{
    const uint32_t lost[3] = { 0, 0, good ? 0 : 1u << COPY };
    memcpy(lab->changed, lab->file.at, lab->file.count);
    svp_store64(lab->changed + lab->last_reference + PAYLOAD_AT, record_offset);
    svp_store64(lab->changed + lab->last_reference + PAYLOAD_AT + 8, page);
    store(lab, true);
    check_pages(lab, lost);
    check_resume(lab, good ? SAVEPOINT_OK : SAVEPOINT_CORRUPT);
}

CHECK_TEST(same, references_are_not_believed)
{
    struct lab lab;
    open_lab(&lab);
    refer(&lab, lab.whole, TARGET, true);
    refer(&lab, lab.last_reference, COPY, false);                                      /* itself */
    refer(&lab, lab.last_reference + svp_round_up(PAYLOAD_AT + 16, 8), TARGET, false); /* behind it */
    refer(&lab, lab.records[lab.record_count - 1].offset, TARGET, false);              /* the last record */
    refer(&lab, lab.delta, 0, false);                                                  /* with a base */
    refer(&lab, lab.reference, 5, false);                                              /* refers itself */
    refer(&lab, lab.whole, 11, false);                                                 /* not in that record */
    refer(&lab, lab.whole, UINT64_MAX, false);                                         /* no page */
    refer(&lab, lab.whole, 1, false);                                                  /* another content */
    refer(&lab, 0, TARGET, false);                                                     /* SEGMENT */
    refer(&lab, lab.records[1].offset, TARGET, false);                                 /* REGIONS */
    refer(&lab, lab.whole + 8, TARGET, false);                                         /* inside a record */
    refer(&lab, lab.whole + 1, TARGET, false);                                         /* no place of a record */
    refer(&lab, lab.file.count, TARGET, false);
    refer(&lab, UINT64_MAX - 7, TARGET, false);
    close_lab(&lab);
}

/* A delta whose base happens to lie where it is decoded to, under the hash of what that gives. */
CHECK_TEST(same, a_delta_is_no_target_even_where_it_would_fit)
{
    struct lab lab;
    uint8_t page[PAGE_BYTES];
    struct svp_file file;
    struct svp_source source = { 0 };
    struct svp_reader reader;
    struct svp_page_origin origin;
    open_lab(&lab);
    const uint8_t *after = lab.world.history.moments[1].memory;
    const struct svp_hash hash = svp_digest128(0, after, PAGE_BYTES);
    uint8_t *payload = lab.changed + lab.last_reference + PAYLOAD_AT;
    memcpy(payload - SVP_HASH_BYTES, hash.bytes, SVP_HASH_BYTES);
    for (int good = 0; good <= 1; good++) { /* good: that content, by another record */
        svp_store64(payload, good ? lab.whole : lab.delta);
        svp_store64(payload + 8, good ? 3 : 0);
        if (good) {
            const struct svp_hash third = svp_digest128(0, after + 3 * PAGE_BYTES, PAGE_BYTES);
            memcpy(payload - SVP_HASH_BYTES, third.bytes, SVP_HASH_BYTES);
        }
        store(&lab, true);
        CHECK_EQ(svp_file_open(&file, lab.world.path, SVP_FILE_READ, NULL), 0);
        CHECK_OK(svp_source_open(&source, file, lab.world.path, NULL));
        source.limit = lab.file.count;
        svp_reader_open(&reader, &source);
        memcpy(page, lab.world.history.moments[0].memory, PAGE_BYTES);
        CHECK_STATUS(svp_reader_page(&reader, page, &origin, lab.last_reference, 1, COPY, NULL),
                     good ? SAVEPOINT_OK : SAVEPOINT_CORRUPT);
        svp_reader_close(&reader);
        svp_source_close(&source);
    }
    CHECK_MEM(page, after + 3 * PAGE_BYTES, PAGE_BYTES);
    CHECK_EQ(origin.links, 0);
    close_lab(&lab);
}

CHECK_TEST(same, damage_costs_what_refers_to_it)
{
    static const uint32_t whole[3] = { 0xf, 0xf | 1u << 5, 0xf | 1u << 5 | 1u << COPY };
    static const uint32_t reference[3] = { 0, 1u << 5, 1u << 5 };
    static const uint32_t last_reference[3] = { 0, 0, 1u << COPY };
    struct lab lab;
    open_lab(&lab);
    lab.changed[lab.whole + PAYLOAD_AT + 5000] ^= 1;
    store(&lab, false);
    check_pages(&lab, whole);
    lab.changed[lab.whole + PAYLOAD_AT + 5000] ^= 1;
    lab.changed[lab.reference + PAYLOAD_AT] ^= 8;
    store(&lab, false);
    check_pages(&lab, reference);
    lab.changed[lab.reference + PAYLOAD_AT] ^= 8;
    lab.changed[lab.last_reference + PAYLOAD_AT - 1] ^= 1; /* its hash */
    store(&lab, true);
    check_pages(&lab, last_reference);
    close_lab(&lab);
}

/* ---- streams hold no references */

static int add_bytes(void *user, const void *from, size_t count)
{
    svp_buffer_add(user, from, count);
    return 0;
}

struct tape {
    const uint8_t *at;
    size_t left;
};

static int read_tape(void *user, void *to, size_t capacity, size_t *count)
{
    struct tape *tape = user;
    *count = tape->left < capacity ? tape->left : capacity;
    memcpy(to, tape->at, *count);
    tape->at += *count;
    tape->left -= *count;
    return 0;
}

static enum savepoint_status receive(const struct lab *lab, struct savepoint_error *error)
{
    struct tape tape = { lab->changed, lab->file.count };
    file_remove(scratch_path("received.svp"));
    return savepoint_archive_receive(scratch_path("received.svp"), NULL, read_tape, &tape, NULL, error);
}

/* The last PAGES record becomes a reference to the first one's page 1, and what is left of it a record to be skipped.
 */
static void forge_reference(struct lab *lab)
{
    enum { BODY = 32 + SVP_HASH_BYTES + 16, RECORD = SVP_HEADER_BYTES + BODY };
    uint8_t body[BODY] = { 0 };
    struct svp_record record = { 0 };
    struct svp_buffer written = { 0 };
    for (size_t i = 0; i < lab->record_count; i++) {
        record = lab->records[i].type == SVP_PAGES ? lab->records[i] : record;
    }
    const uint8_t *old = lab->file.at + record.offset + SVP_HEADER_BYTES;
    const size_t rest = (size_t)svp_record_bytes(&record) - RECORD;
    const struct svp_hash hash = svp_digest128(0, lab->world.history.moments[0].memory + PAGE_BYTES, PAGE_BYTES);
    memcpy(body, old, 16); /* region, count, first page */
    svp_store16(body + 4, SVP_CODER_SAME);
    svp_store32(body + 24, 16);
    svp_store32(body + 28, 16);
    memcpy(body + 32, hash.bytes, SVP_HASH_BYTES);
    svp_store64(body + 32 + SVP_HASH_BYTES, lab->whole);
    svp_store64(body + 32 + SVP_HASH_BYTES + 8, 1);
    svp_record_write(&written, &record, body, sizeof body);
    record.type = SVP_RECORD_ANCILLARY | 1;
    record.offset += RECORD;
    svp_record_write(&written, &record, old, rest - SVP_HEADER_BYTES);
    CHECK_EQ(written.count, RECORD + rest);
    memcpy(lab->file.at + record.offset - RECORD, written.bytes, written.count);
    svp_buffer_free(&written);
    list_records(lab);
    memcpy(lab->changed, lab->file.at, lab->file.count);
    store(lab, true);
}

static void note_finding(void *user, const struct savepoint_finding *finding)
{
    *(unsigned *)user += strstr(finding->message, "refers to another") != NULL ? 1 : 0;
}

/* Findings of verify that say that a page of a stream refers to another one. */
static unsigned count_findings(const char *path)
{
    struct savepoint_archive *archive = NULL;
    struct savepoint_verify_options options = SAVEPOINT_VERIFY_OPTIONS_INIT;
    struct savepoint_verify_result result;
    unsigned count = 0;
    options.report = note_finding;
    options.report_user = &count;
    CHECK_OK(savepoint_archive_open(&archive, path, NULL));
    CHECK_OK(savepoint_archive_verify(archive, &result, &options, NULL));
    savepoint_archive_close(archive);
    return count;
}

CHECK_TEST(same, streams_hold_none)
{
    struct lab lab;
    struct svp_buffer stream = { 0 };
    struct savepoint_archive *archive = NULL;
    struct savepoint_snapshot snapshot;
    struct savepoint_error error = { 0 };
    open_lab(&lab);
    CHECK_OK(savepoint_archive_open(&archive, lab.world.path, NULL));
    CHECK_OK(savepoint_archive_find(archive, &snapshot, "HEAD", NULL));
    CHECK_OK(savepoint_archive_send(archive, NULL, &snapshot, add_bytes, &stream, NULL, NULL));
    savepoint_archive_close(archive);
    lab.file.count = stream.count; /* shorter than what it is made of */
    memcpy(lab.file.at, stream.bytes, stream.count);
    lab.reference = 0;
    list_records(&lab);
    CHECK_EQ(lab.reference, 0);
    memcpy(lab.changed, stream.bytes, stream.count);
    CHECK_OK(receive(&lab, NULL));
    check_archive(scratch_path("received.svp"), &lab.world.history, 3, "received");

    for (size_t i = lab.record_count; i-- > 0;) {
        lab.whole = lab.records[i].type == SVP_PAGES ? lab.records[i].offset : lab.whole;
    }
    forge_reference(&lab);
    CHECK_STATUS(receive(&lab, &error), SAVEPOINT_CORRUPT);
    CHECK_MSG(strstr(error.message, "refers to another") != NULL, "%s", error.message);
    CHECK_EQ(count_findings(lab.world.path), 1);
    svp_buffer_free(&stream);
    close_lab(&lab);
}
