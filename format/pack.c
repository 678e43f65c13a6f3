/* pack.c - packed bytes; the one file that knows zstd */
#include "format/pack.h"

#include <stdbool.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

/* The opaque types are zstd's own contexts: there is nothing to add to them. */
static ZSTD_CCtx *compression_of(struct svp_packer *packer)
{
    return (ZSTD_CCtx *)(void *)packer;
}
static ZSTD_DCtx *decompression_of(struct svp_unpacker *unpacker)
{
    return (ZSTD_DCtx *)(void *)unpacker;
}

struct svp_packer *svp_packer_open(int level)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (context != NULL) {
        /* A payload is far below the window limit but for large batches at high levels: bound it always. */
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, level > 0 ? 22 : 20);
        ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0); /* the record hash covers the bytes */
    }
    return (struct svp_packer *)(void *)context;
}

void svp_packer_close(struct svp_packer *packer)
{
    ZSTD_freeCCtx(compression_of(packer));
}

size_t svp_pack(struct svp_packer *packer, struct svp_buffer *to, const uint8_t *bytes, size_t count)
{
    uint8_t *room = svp_buffer_reserve(to, count);
    if (room == NULL || count == 0) {
        return 0;
    }
    /* A frame as long as the bytes themselves is of no use: give zstd one byte less, and take failure for that. */
    size_t stored = ZSTD_compress2(compression_of(packer), room, count - 1, bytes, count);
    if (ZSTD_isError(stored)) {
        memcpy(room, bytes, count);
        stored = count;
    }
    to->count += stored;
    return stored;
}

struct svp_unpacker *svp_unpacker_open(void)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context != NULL) {
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, SVP_WINDOW_LOG_MAX);
    }
    return (struct svp_unpacker *)(void *)context;
}

void svp_unpacker_close(struct svp_unpacker *unpacker)
{
    ZSTD_freeDCtx(decompression_of(unpacker));
}

/* True when the frame asks for no more than the window the format allows, and for no dictionary (RFC 8878 3.1.1.1;
 * one-shot decoding would take any window). */
static bool frame_allowed(const uint8_t *frame, size_t bytes, size_t unpacked)
{
    const uint64_t window_max = UINT64_C(1) << SVP_WINDOW_LOG_MAX;
    if (bytes < 6 || (frame[4] & 3) != 0) {
        return false;
    }
    if ((frame[4] & 0x20) != 0) { /* single segment: the window is the content */
        return unpacked <= window_max;
    }
    uint64_t base = UINT64_C(1) << (10 + (frame[5] >> 3));
    return base + base / 8 * (frame[5] & 7) <= window_max;
}

enum svp_verdict
svp_unpack(struct svp_unpacker *unpacker, uint8_t *to, size_t unpacked, const uint8_t *packed, size_t stored)
{
    if (stored > unpacked) {
        return SVP_BAD;
    }
    if (stored == unpacked) {
        if (stored > 0) {
            memcpy(to, packed, stored);
        }
        return SVP_GOOD;
    }
    /* Exactly one frame: zstd would also take several, or skippable ones, one after the other. */
    if (ZSTD_findFrameCompressedSize(packed, stored) != stored || !frame_allowed(packed, stored, unpacked)) {
        return SVP_BAD;
    }
    size_t decoded = ZSTD_decompressDCtx(decompression_of(unpacker), to, unpacked, packed, stored);
    if (ZSTD_isError(decoded) && ZSTD_getErrorCode(decoded) == ZSTD_error_memory_allocation) {
        return SVP_EXHAUSTED;
    }
    return decoded == unpacked ? SVP_GOOD : SVP_BAD;
}
