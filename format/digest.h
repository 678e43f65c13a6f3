/* digest.h - the two kinds of hash (SPEC.md sections 1 and 6) */
#ifndef SVP_DIGEST_H
#define SVP_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "format/layout.h"

struct svp_hash { /* XXH3-128 in canonical form */
    uint8_t bytes[SVP_HASH_BYTES];
};

/* Record hash: salted, 64 bits. */
uint64_t svp_digest64(uint64_t salt, const void *bytes, size_t count);

/* Content hash: seed 0 for pages and identities, the level for inner nodes of a region's tree. */
struct svp_hash svp_digest128(uint64_t seed, const void *bytes, size_t count);

#endif
