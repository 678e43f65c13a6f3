/* forge.c - archives that no writer makes, under right hashes */
#include "forge.h"

#include <stdio.h>

#include "check.h"
#include "format/bytes.h"
#include "format/regions.h"

enum { SALT = 0x5eed };

void forge_open(struct forge *forge, uint32_t alignment, uint64_t region_pages)
{
    struct svp_segment segment = { .alignment = alignment, .page_bytes = SVP_PAGE_BYTES, .host_page_bytes = 4096 };
    struct svp_region_entry region = { .id = 1, .bytes = region_pages * SVP_PAGE_BYTES, .name = "r" };
    const struct svp_region_table table = { 1, 2, &region };
    *forge = (struct forge){ .alignment = alignment, .transaction = 1, .packer = svp_packer_open(1) };
    CHECK(forge->packer != NULL);
    segment.file_uuid[0] = segment.history_uuid[0] = 1;
    segment.incompatible = SVP_FEATURE_ZSTD;
    svp_segment_write(&forge->body, &segment);
    forge_record(forge, SVP_SEGMENT);
    svp_regions_write(&forge->body, &table);
    forge->end.newest_regions = forge_record(forge, SVP_REGIONS);
}

void forge_close(struct forge *forge)
{
    svp_buffer_free(&forge->file);
    svp_buffer_free(&forge->chain);
    svp_buffer_free(&forge->body);
    svp_packer_close(forge->packer);
}

uint64_t forge_record(struct forge *forge, unsigned type)
{
    const struct svp_record record = { .type = (uint16_t)type,
                                       .flags = forge->flags,
                                       .transaction = forge->transaction,
                                       .salt = SALT,
                                       .offset = forge->file.count };
    svp_buffer_add64(&forge->chain, svp_record_write(&forge->file, &record, forge->body.bytes, forge->body.count));
    svp_buffer_clear(&forge->body);
    CHECK(!forge->file.failed && !forge->chain.failed);
    return record.offset;
}

static void add_seal(struct forge *forge)
{
    forge->end.sealed_bytes = forge->file.count;
    svp_seal_write(&forge->body, &(struct svp_seal){ .sealed_bytes = forge->file.count });
    forge_record(forge, SVP_SEAL);
}

void forge_begin(struct forge *forge)
{
    forge->transaction++;
    forge->end.transaction_start = forge->file.count;
    svp_buffer_clear(&forge->chain);
    if (forge->alignment == SVP_FILE_ALIGNMENT) {
        add_seal(forge);
    }
}

void forge_end(struct forge *forge)
{
    forge->end.chain = svp_digest64(SALT, forge->chain.bytes, forge->chain.count);
    svp_end_write(&forge->body, &forge->end, forge->file.count, SALT, forge->alignment);
    forge->end.previous_end = forge_record(forge, SVP_END);
    forge->end.previous_chain = forge->end.chain;
}

void forge_index(struct forge *forge, enum svp_index_kind kind, uint64_t below)
{
    const struct svp_index index = { .kind = kind, .below = below };
    CHECK(svp_index_write(&forge->body, &index, forge->file.count, forge->packer));
    forge->index = forge_record(forge, SVP_INDEX);
}

uint64_t forge_commit(struct forge *forge, const struct forge_commit *commit)
{
    struct svp_commit written = { .sequence = ++forge->sequence,
                                  .base = commit->base,
                                  .parent = commit->parent,
                                  .previous = forge->end.newest_commit,
                                  .regions = forge->end.newest_regions,
                                  .index = forge->index,
                                  .transaction_start = forge->end.transaction_start,
                                  .depth = commit->depth,
                                  .region_count = 1 };
    svp_store64(written.id.bytes, forge->sequence);
    svp_store64(written.parent_id.bytes, commit->parent);
    svp_store64(written.base_id.bytes, commit->depth > 1 ? forge->sequence - 1 : 0);
    svp_commit_write(&forge->body, &written);
    forge->end.newest_commit = forge->end.head = forge_record(forge, SVP_COMMIT);
    forge->end.highest_sequence = forge->sequence;
    forge->end.snapshot_count++;
    return forge->end.newest_commit;
}

uint64_t forge_snapshot(struct forge *forge, const struct forge_commit *commit)
{
    if (forge->sequence > 0) {
        forge_begin(forge);
    }
    forge_index(forge, SVP_INDEX_LIST, commit->base);
    uint64_t offset = forge_commit(forge, commit);
    forge_end(forge);
    return offset;
}

void forge_tombstone(struct forge *forge, uint64_t commit_offset)
{
    svp_tombstone_write(&forge->body,
                        &(struct svp_tombstone){ .previous = forge->end.newest_tombstone, .commit = commit_offset });
    forge->end.newest_tombstone = forge_record(forge, SVP_TOMBSTONE);
    forge->end.snapshot_count--;
}

void forge_save(struct forge *forge, const char *path)
{
    FILE *file = fopen(path, "wb");
    forge->transaction++;
    if (forge->alignment == SVP_FILE_ALIGNMENT) {
        add_seal(forge);
    } else { /* whole transactions and the time */
        svp_buffer_add64(&forge->body, forge->transaction - 1);
        svp_buffer_add64(&forge->body, 0);
        forge_record(forge, SVP_CLOSE);
    }
    CHECK(file != NULL && fwrite(forge->file.bytes, 1, forge->file.count, file) == forge->file.count);
    CHECK_EQ(fclose(file), 0);
}
