/* layout.h - the numbers of the archive format (SPEC.md says what they mean) */
#ifndef SVP_LAYOUT_H
#define SVP_LAYOUT_H

#include <stdint.h>

#define SVP_PAGE_BYTES 4096u
#define SVP_HASH_BYTES 16u
#define SVP_HEADER_BYTES 64u
#define SVP_FILE_ALIGNMENT 4096u
#define SVP_STREAM_ALIGNMENT 8u
#define SVP_TRAILER_BYTES 24u

/* Limits (SPEC.md section 8). */
#define SVP_BODY_BYTES_MAX (64u << 20)
#define SVP_BATCH_PAGES_MAX 1024u
#define SVP_REGIONS_MAX 4096u
#define SVP_REGION_BYTES_MAX (UINT64_C(1) << 46)
#define SVP_EXCLUDED_MAX 65535u
#define SVP_NAME_BYTES_MAX 255u
#define SVP_METADATA_BYTES_MAX (1u << 20)
#define SVP_CHAIN_LINKS_MAX 64u
/* A writer stops earlier: each link is a read of the file for whoever wants just one page. */
#define SVP_CHAIN_LINKS_WRITTEN 16u
#define SVP_INDEX_UNPACKED_MAX (16u << 20)
#define SVP_META_BYTES_MAX (2u << 20) /* the values, and what surrounds them */
#define SVP_END_BYTES_MAX (8u << 10)
#define SVP_FIXED_BYTES_MAX (4u << 10) /* COMMIT, REF, TOMBSTONE, SEAL, CLOSE */
#define SVP_WINDOW_LOG_MAX 23          /* 8 MiB */

enum svp_record_type {
    SVP_SEGMENT = 1,
    SVP_REGIONS = 2,
    SVP_META = 3,
    SVP_PAGES = 4,
    SVP_INDEX = 5,
    SVP_COMMIT = 6,
    SVP_REF = 7,
    SVP_TOMBSTONE = 8,
    SVP_SEAL = 9,
    SVP_END = 10,
    SVP_CLOSE = 11
};
#define SVP_RECORD_ANCILLARY 0x8000u /* bit of a type: may be skipped by who does not know it */
#define SVP_RECORD_FLOATING 1u       /* flag: the transaction before was not known durable */

#define SVP_FEATURE_ZSTD 1u                       /* those of coders stand with them (coder.h) */
#define SVP_FEATURE_CONTINUES (UINT64_C(1) << 32) /* a stream that goes on from a snapshot it does not hold */

#define SVP_REGION_MAPPED 1u
#define SVP_COMMIT_UNSYNCED 1u
#define SVP_COMMIT_NO_HEAD 2u
#define SVP_COMMIT_AUTOSAVE 4u

/* What reading some bytes came to. */
enum svp_verdict {
    SVP_GOOD = 0,
    SVP_BAD,         /* the bytes break the format */
    SVP_UNSUPPORTED, /* the bytes need something this code does not know */
    SVP_EXHAUSTED    /* no memory */
};

#endif
