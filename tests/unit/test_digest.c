/* test_digest.c - the hashes against vectors computed by xxHash's own tool (xxhsum 0.8.1) */
#include "check.h"
#include "format/digest.h"
#include "format/tree.h"

static void check_hash(const struct svp_hash *hash, const char *expected)
{
    static const char digits[] = "0123456789abcdef";
    char text[33] = "";
    for (size_t i = 0; i < 16; i++) {
        text[2 * i] = digits[hash->bytes[i] >> 4];
        text[2 * i + 1] = digits[hash->bytes[i] & 15];
    }
    CHECK_STR(text, expected);
}

CHECK_TEST(digest, canonical_vectors)
{
    struct svp_hash hash = svp_digest128(0, "", 0);
    check_hash(&hash, "99aa06d3014798d86001c324468d497f");
    hash = svp_digest128(0, "savepoint", 9);
    check_hash(&hash, "a8b3ff9e1657d285236c450d087c32a0");
    hash = svp_tree_zero_page();
    check_hash(&hash, "3ee8dc4f9e7ee49593d76fe148c689ba");
    CHECK_EQ(svp_digest64(0, "", 0), UINT64_C(0x2d06800538d394c2));
    CHECK_EQ(svp_digest64(0, "savepoint", 9), UINT64_C(0xe72d86d0ffc03c9d));
}

CHECK_TEST(digest, seeds_and_lengths_matter)
{
    static const uint8_t zeros[16];
    struct svp_hash a = svp_digest128(0, zeros, 16);
    struct svp_hash b = svp_digest128(1, zeros, 16);
    struct svp_hash c = svp_digest128(0, zeros, 15);
    CHECK(memcmp(&a, &b, sizeof a) != 0 && memcmp(&a, &c, sizeof a) != 0);
    CHECK(svp_digest64(0, zeros, 16) != svp_digest64(1, zeros, 16));
}
