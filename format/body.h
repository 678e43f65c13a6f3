/* body.h - the fixed-layout record bodies: SEGMENT, COMMIT, REF, TOMBSTONE, SEAL, END (SPEC.md section 4)
 *
 * Readers get a body whose hash is good; they still trust none of its fields. */
#ifndef SVP_BODY_H
#define SVP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/buffer.h"
#include "format/digest.h"
#include "format/layout.h"

struct svp_segment {
    uint16_t version;
    uint32_t alignment;
    uint64_t incompatible, read_only_compatible, compatible;
    uint8_t file_uuid[16], history_uuid[16];
    uint64_t time_ns;
    uint32_t page_bytes, host_page_bytes;
    char creator[64], abi[32]; /* cut, NUL-terminated */
    uint8_t build_id[64];
    uint32_t build_id_bytes;
    struct svp_hash continues; /* of a stream with that feature: the snapshot it goes on from */
    bool all_named;            /* every feature bit has a name, as the format asks; set by reading */
    char missing[64];          /* when UNSUPPORTED: what is missing, for people */
};
/* UNSUPPORTED (with `missing`) for another version or an unknown incompatible bit; the other fields that were
 * read stay valid. */
enum svp_verdict svp_segment_read(struct svp_segment *segment, const uint8_t *body, size_t bytes);
void svp_segment_write(struct svp_buffer *to, const struct svp_segment *segment);

struct svp_commit {
    struct svp_hash id, parent_id, state_root, metadata_hash, base_id;
    uint64_t sequence, time_ns;
    uint64_t base, parent, previous, regions, metadata, index, transaction_start; /* offsets */
    uint64_t pages_stored, region_pages, delta_bytes, key_bytes, pause_ns;
    uint32_t flags, depth, region_count;
    uint32_t label_bytes;
    char label[SVP_NAME_BYTES_MAX + 1];
};
enum svp_verdict svp_commit_read(struct svp_commit *commit, const uint8_t *body, size_t bytes);
void svp_commit_write(struct svp_buffer *to, const struct svp_commit *commit);
/* Where the transaction of a COMMIT at `offset` ends when END follows it directly. */
uint64_t svp_end_of_commit(uint64_t offset, uint32_t label_bytes, uint32_t alignment);
/* The id the other fields give (SPEC.md section 6). */
struct svp_hash svp_commit_identity(const struct svp_commit *commit, const uint8_t history_uuid[16]);

enum svp_ref_kind { SVP_REF_HEAD = 1, SVP_REF_LABEL = 2, SVP_REF_PIN = 3 };
struct svp_ref {
    uint64_t previous, target;
    struct svp_hash target_id;
    uint64_t time_ns;
    uint16_t kind;
    char name[SVP_NAME_BYTES_MAX + 1];
};
enum svp_verdict svp_ref_read(struct svp_ref *ref, const uint8_t *body, size_t bytes);
void svp_ref_write(struct svp_buffer *to, const struct svp_ref *ref);

struct svp_tombstone {
    uint64_t previous;
    struct svp_hash id, parent_id;
    uint64_t sequence, time_ns, commit;
};
enum svp_verdict svp_tombstone_read(struct svp_tombstone *tombstone, const uint8_t *body, size_t bytes);
void svp_tombstone_write(struct svp_buffer *to, const struct svp_tombstone *tombstone);

struct svp_seal {
    uint64_t sealed_bytes, time_ns;
};
enum svp_verdict svp_seal_read(struct svp_seal *seal, const uint8_t *body, size_t bytes);
void svp_seal_write(struct svp_buffer *to, const struct svp_seal *seal);

struct svp_end {
    uint64_t transaction_start, previous_end;
    uint64_t newest_commit, head, newest_ref, newest_tombstone, newest_segment, newest_regions;
    uint64_t sealed_bytes, highest_sequence, snapshot_count, chain, previous_chain;
};
/* `offset` and `salt` are those of its record: the trailer repeats them. */
enum svp_verdict svp_end_read(struct svp_end *end, const uint8_t *body, size_t bytes, uint64_t offset, uint64_t salt);
/* Writes the body so that the record, starting at `offset`, ends at a multiple of `alignment`. */
void svp_end_write(struct svp_buffer *to, const struct svp_end *end, uint64_t offset, uint64_t salt,
                   uint32_t alignment);
/* Reads a trailer: true and the END's offset and salt when these 24 bytes can be one. */
bool svp_trailer_read(const uint8_t trailer[SVP_TRAILER_BYTES], uint64_t *offset, uint64_t *salt);

#endif
