/* pack.h - packed bytes: as they are, or one zstd frame, whichever is shorter (SPEC.md section 1) */
#ifndef SVP_PACK_H
#define SVP_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "format/buffer.h"
#include "format/layout.h"

struct svp_packer;   /* compression state; one thread at a time */
struct svp_unpacker; /* decompression state; one thread at a time */

struct svp_packer *svp_packer_open(int level); /* NULL: no memory */
void svp_packer_close(struct svp_packer *packer);
/* Appends the packed form of bytes[0..count) to `to`; returns the bytes added (count: stored as it is).
 * Running out of memory shows as to->failed. */
size_t svp_pack(struct svp_packer *packer, struct svp_buffer *to, const uint8_t *bytes, size_t count);

struct svp_unpacker *svp_unpacker_open(void);
void svp_unpacker_close(struct svp_unpacker *unpacker);
/* Fills to[0..unpacked) from packed[0..stored). */
enum svp_verdict
svp_unpack(struct svp_unpacker *unpacker, uint8_t *to, size_t unpacked, const uint8_t *packed, size_t stored);

#endif
