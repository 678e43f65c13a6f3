/* digest.c - the two kinds of hash; the one file that knows xxHash */
#include "format/digest.h"

#include <xxhash.h>
#if defined(SVP_DIGEST_DISPATCH)
#include <xxh_x86dispatch.h> /* from here on the same names choose the widest vectors the processor has */
#endif

uint64_t svp_digest64(uint64_t salt, const void *bytes, size_t count)
{
    return XXH3_64bits_withSeed(bytes, count, salt);
}

struct svp_hash svp_digest128(uint64_t seed, const void *bytes, size_t count)
{
    XXH128_canonical_t canonical;
    struct svp_hash hash;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(bytes, count, seed));
    _Static_assert(sizeof canonical.digest == sizeof hash.bytes, "a 128-bit hash has 16 bytes");
    for (size_t i = 0; i < sizeof hash.bytes; i++) {
        hash.bytes[i] = canonical.digest[i];
    }
    return hash;
}
