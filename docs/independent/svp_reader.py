"""Independent reader of savepoint archives (.svp, format version 0), written from SPEC.md alone: list, restore, verify, stream.

Functions are named after the sections of the specification.  Exit codes: 0 clean or torn, 1 findings, 2 usage or no such
snapshot, 5 not an archive or unsupported, 6 damage prevents the result.
"""
import io
import os
import struct
import sys
from bisect import bisect_left, bisect_right
from collections import namedtuple

import xxhash
import zstandard

MAGIC = b"\x89SVP\r\n\x1a\n"
TRAILER_MAGIC = b"SVPEND\r\n"
PAGE = 4096
MIB = 1 << 20
MAX_BODY, MAX_WINDOW, MAX_META, MAX_INDEX, MAX_END, MAX_LINKS = 64 * MIB, 8 * MIB, MIB, 16 * MIB, 8192, 64
MAX_REGION, MAX_PAGE_INDEX = 1 << 46, 1 << 34
HASH_BYTES = (0, 16, 16, 8, 16, 8, 16, 8, 16)    # of each page's hash, by coder
DELTAS = (3, 5, 7)                      # coders with a base
SAME, TARGETS = 8, (0, 1, 2, 4, 6)      # the coder of references, and the coders of what they may refer to
KEEP_PAGES, KEEP_UNPACKED, KEEP_ENTRIES = 1 << 18, 1 << 17, 1 << 20      # what is kept in memory, for speed only
M64 = (1 << 64) - 1
SEGMENT, REGIONS, META, PAGES, INDEX, COMMIT, REF, TOMBSTONE, SEAL, END, CLOSE = range(1, 12)
MAX_BODY_OF = {META: 2 * MIB, END: MAX_END, **dict.fromkeys((COMMIT, REF, TOMBSTONE, SEAL, CLOSE), 4096)}        # below MAX_BODY
TYPE_NAMES = dict(enumerate("SEGMENT REGIONS META PAGES INDEX COMMIT REF TOMBSTONE SEAL END CLOSE".split(), 1))
ORDER = [SEAL, SEGMENT, REGIONS, META, PAGES, INDEX, COMMIT, REF, TOMBSTONE, END]
REPEATABLE = {PAGES, REF, TOMBSTONE}
FLOATING = 1
UNSYNCED, NO_HEAD, AUTOSAVE = 1, 2, 4
ZERO_ID = bytes(16)
ZERO_PAGE = bytes(PAGE)
KNOWN_INCOMPATIBLE = {0: "zstd", 1: "xor-runs", 2: "runs", 3: "xor", 4: "shuffled", 5: "xor-shuffled", 6: "same"}

class SvpError(Exception):
    code = 6
class NotAnArchive(SvpError):
    code, text = 5, "not an archive (empty or cut at birth)"
class Unsupported(SvpError):
    code = 5
class Corrupt(SvpError):
    def __init__(self, offset, text):
        super().__init__(f"at {offset}: {text}")
        self.offset = offset
class NotWhole(Corrupt):
    """What section 3 calls not whole and valid: only this can be torn, all else is corrupt."""
class ShortInput(NotWhole):
    """The bytes end inside a record: only this can be an early end of a stream."""
class NoSuchSnapshot(SvpError):
    code = 2

def refuse(bad, offset, text, error=Corrupt):
    if bad:
        raise error(offset, text)

# ---------------------------------------------------------------- section 1: conventions
def xxh3_64(seed, data):
    return xxhash.xxh3_64_intdigest(data, seed)
def xxh3_128(seed, data):
    return xxhash.xxh3_128_digest(data, seed)

ZERO_PAGE_HASH = xxh3_128(0, ZERO_PAGE)
def pad8(n):
    return (n + 7) & ~7

def varint(buf, pos, where):
    """One varint of bytes `buf` at `pos`: (value, next position)."""
    value = shift = 0
    start = pos
    while True:
        refuse(pos >= len(buf), where, "varint runs over the end")
        byte = buf[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        refuse(pos - start == 10, where, "varint of more than 10 bytes")
    refuse(value > M64, where, "varint of 2^64 or more")
    refuse(byte == 0 and pos - start > 1, where, "varint is not the shortest")
    return value, pos
def unzigzag(u):
    return (u >> 1) ^ -(u & 1)

def zstd_frame_length(buf, where):
    """Length of the one Zstandard frame at the start of buf (RFC 8878, 3.1.1), without decoding it."""
    refuse(len(buf) < 6 or bytes(buf[:4]) != b"\x28\xb5\x2f\xfd", where, "no Zstandard frame")
    fhd = buf[4]
    single = fhd >> 5 & 1
    refuse(fhd & 3, where, "Zstandard frame names a dictionary")
    pos = 5 + (0 if single else 1) + (1 if single and fhd >> 6 == 0 else (0, 2, 4, 8)[fhd >> 6])
    while True:
        refuse(pos + 3 > len(buf), where, "Zstandard frame is cut")
        block = int.from_bytes(buf[pos:pos + 3], "little")
        kind = block >> 1 & 3
        pos += 3 + (1 if kind == 1 else block >> 3)
        if block & 1:
            break
    return pos + (4 if fhd >> 2 & 1 else 0)

def packed(buf, unpacked, stored, where):
    """The unpacked bytes; sizes are those of the record, and were checked against its limits by the caller."""
    refuse(len(buf) != stored or stored > unpacked, where, "packed bytes: stored size is wrong")
    if stored == unpacked:
        return bytes(buf)
    refuse(zstd_frame_length(buf, where) != stored, where, "packed bytes are not exactly one Zstandard frame")
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(bytes(buf))
        data = reader.read(unpacked + 1)
        if len(data) <= unpacked:
            data += reader.read(1)
    except zstandard.ZstdError as e:
        raise Corrupt(where, f"Zstandard: {e}")
    refuse(len(data) != unpacked, where, f"Zstandard frame does not decode to {unpacked} bytes")
    return data

def tlvs(body, pos, where):
    out = []
    while pos < len(body):
        refuse(pos + 8 > len(body), where, "TLV is cut")
        kind, zero, length = struct.unpack_from("<HHI", body, pos)
        end = pos + 8 + length
        refuse(zero or pad8(end) > len(body) or any(body[end:pad8(end)]), where, "bad TLV")
        out.append((kind, bytes(body[pos + 8:end])))
        pos = pad8(end)
    return out

def string(raw, where):
    try:
        text = bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise Corrupt(where, "string is not UTF-8")
    refuse("\0" in text, where, "string holds a NUL")
    return text

# ---------------------------------------------------------------- section 2: records
Record = namedtuple("Record", "offset type flags number length salt body_hash header_hash end")
def record_header(h, offset, salt):
    """The checks of section 2 in their order, up to the fields.  salt None: not known yet."""
    if len(h) < 64 and bytes(h[:8]) == MAGIC[:len(h)]:
        raise ShortInput(offset, "bytes end inside a record header")
    refuse(bytes(h[:8]) != MAGIC, offset, "no record magic", NotWhole)
    kind, flags, zero, number, length, rsalt, roffset, bhash, hhash = struct.unpack_from("<HHIQQQQQQ", h, 8)
    refuse(xxh3_64(rsalt, h[:56]) != hhash, offset, "header hash is wrong", NotWhole)
    refuse(roffset != offset, offset, "record stands at the wrong offset", NotWhole)
    refuse(salt is not None and rsalt != salt, offset, "salt is another file's", NotWhole)
    refuse(flags & ~FLOATING or zero or number == 0 or length > MAX_BODY_OF.get(kind, MAX_BODY) or kind == 0, offset, "header fields are wrong")
    return Record(offset, kind, flags, number, length, rsalt, bhash, hhash, offset + 64 + pad8(length))

def record_body(rec, padded):
    """The body without padding, after its hash."""
    if len(padded) < rec.end - rec.offset - 64:
        raise ShortInput(rec.offset, "bytes end inside a record body")
    refuse(xxh3_64(rec.salt, padded) != rec.body_hash, rec.offset, f"body hash of {TYPE_NAMES.get(rec.type, rec.type)} is wrong", NotWhole)
    refuse(any(padded[rec.length:]), rec.offset, "body padding is not zero")
    if rec.type not in TYPE_NAMES and not rec.type & 0x8000:
        raise Unsupported(f"unsupported record type {rec.type} at {rec.offset}")
    return padded[:rec.length]

def need(body, n, offset, kind):
    refuse(len(body) < n, offset, f"{TYPE_NAMES[kind]} body is too short")

# ---------------------------------------------------------------- section 4: record types
Segment = namedtuple("Segment", "alignment incompatible ro_compatible compatible file history time tlvs")
def segment(body, offset):
    """4.1.  Version and masks before anything else."""
    need(body, 32, offset, SEGMENT)
    version, zero, alignment, inc, ro, comp = struct.unpack_from("<HHIQQQ", body)
    if version != 0:
        raise Unsupported(f"unsupported format version {version}")
    unknown = [b for b in range(64) if inc >> b & 1 and b not in KNOWN_INCOMPATIBLE]
    if unknown:
        names = {}
        try:
            names = {v[1]: v[2:].decode("utf-8", "replace") for k, v in tlvs(body, 80, offset) if k == 1 and len(v) >= 2 and v[0] == 0}
        except Corrupt:
            pass
        raise Unsupported("unsupported incompatible feature: " + ", ".join(f"bit {b} {names.get(b, '(unnamed)')!r}" for b in unknown))
    need(body, 80, offset, SEGMENT)
    file, history, time, page, host = struct.unpack_from("<16s16sQII", body, 32)
    refuse(zero or alignment not in (8, 4096) or page != PAGE, offset, "SEGMENT fields are wrong")
    return Segment(alignment, inc, ro, comp, file, history, time, tlvs(body, 80, offset))

def segment_names_missing(seg, offset):
    """Every set bit has its name among the TLVs: the findings."""
    have = set()
    for value in (v for kind, v in seg.tlvs if kind == 1):
        refuse(len(value) < 3 or value[0] > 2 or value[1] > 63, offset, "bad feature name TLV")
        string(value[2:], offset)
        have.add((value[0], value[1]))
    masks = enumerate((seg.incompatible, seg.ro_compatible, seg.compatible))
    return [f"feature bit {b} of mask {m} has no name" for m, mask in masks for b in range(64) if mask >> b & 1 and (m, b) not in have]

class Region(namedtuple("Region", "id flags address bytes name starts ends")):
    @property
    def pages(self):
        return self.bytes // PAGE

    def excluded(self, page):
        i = bisect_right(self.starts, page) - 1
        return i >= 0 and page < self.ends[i]

def regions(body, offset):
    """4.2: (next region id, the table in order of names)."""
    need(body, 8, offset, REGIONS)
    count, next_id = struct.unpack_from("<II", body)
    refuse(count > 4096, offset, "more than 4,096 regions")
    pos, table, ids = 8, [], set()
    for _ in range(count):
        refuse(pos + 32 > len(body), offset, "region table is cut")
        rid, flags, address, size, e, n, zero = struct.unpack_from("<IIQQIHH", body, pos)
        end = pos + 32 + 16 * e + n
        refuse(zero or flags & ~1 or e > 65535 or not 1 <= n <= 255 or pad8(end) > len(body) or any(body[end:pad8(end)]), offset, "region entry is wrong")
        refuse(size % PAGE or not PAGE <= size <= MAX_REGION, offset, f"region of {size} bytes")
        refuse(rid == 0 or rid >= next_id or rid in ids, offset, f"region id {rid} is wrong")
        ids.add(rid)
        ranges = struct.unpack_from(f"<{2 * e}Q", body, pos + 32)
        starts, ends = ranges[::2], [a + c for a, c in zip(ranges[::2], ranges[1::2])]
        ordered = all(s > p for s, p in zip(starts[1:], ends)) and all(ranges[1::2])
        refuse(not ordered or (e and ends[-1] * PAGE > size), offset, "excluded ranges are wrong")
        name = bytes(body[end - n:end])
        string(name, offset)
        refuse(table and table[-1].name >= name, offset, "regions are not in order of names")
        table.append(Region(rid, flags, address, size, name, starts, ends))
        pos = pad8(end)
    refuse(pos != len(body), offset, "bytes after the region table")
    return next_id, table

def meta(body, offset):
    """4.3"""
    items = tlvs(body, 0, offset)
    refuse(sum(len(v) for _, v in items) > MAX_META, offset, "more than 1 MiB of metadata values")
    for kind, value in items:
        refuse(kind == 1 and len(value) != 16, offset, "origin is not 16 bytes")
        if kind == 2:
            string(value, offset)
    return items

class PagesRecord:
    """4.4: a PAGES record with its tables; the payload stays packed until asked for, and no whole hash is known before."""
    __slots__ = ("offset", "region", "coder", "n", "pages", "bases", "hashes", "unpacked", "payload", "entries")

    def __init__(self, body, offset):
        need(body, 32, offset, PAGES)
        self.offset = offset
        self.region, self.coder, n, first, ptb, btb, self.unpacked, stored = struct.unpack_from("<IHHQIIII", body)
        if self.coder >= len(HASH_BYTES):
            raise Unsupported(f"unsupported coder {self.coder} at {offset}")
        self.n = n
        hash_bytes = HASH_BYTES[self.coder] * n
        refuse(not 1 <= n <= 1024 or self.region == 0 or 32 + ptb + btb + hash_bytes + stored != len(body), offset, "PAGES fields are wrong")
        sizes_ok = (self.unpacked == stored == 0 if self.coder == 0 else self.unpacked == stored == PAGE * n if self.coder == 1
                    else n <= self.unpacked <= 8192 * n if self.coder in (3, 4) else self.unpacked == (16 if self.coder == SAME else PAGE) * n)
        refuse(not sizes_ok or stored > self.unpacked or (self.coder not in DELTAS and btb), offset, "PAGES sizes are wrong")
        table, self.pages, pos = bytes(body[32:32 + ptb]), [first], 0
        for _ in range(n - 1):
            gap, pos = varint(table, pos, offset)
            self.pages.append(self.pages[-1] + gap + 1)
        refuse(pos != ptb, offset, "page table has bytes left over")
        refuse(self.pages[-1] >= MAX_PAGE_INDEX, offset, "page index is behind every region")
        self.bases = None
        if self.coder in DELTAS:
            table, self.bases, pos, x = bytes(body[32 + ptb:32 + ptb + btb]), [], 0, offset
            for _ in range(n):
                d, pos = varint(table, pos, offset)
                x = (x + 8 * unzigzag(d)) & M64
                refuse(not 0 < x < offset, offset, "base is not an earlier record")
                self.bases.append(x)
            refuse(pos != btb, offset, "base table has bytes left over")
        at = 32 + ptb + btb
        self.hashes = body[at:at + hash_bytes]
        self.payload = body[at + hash_bytes:]
        self.entries = {p: (offset, None) for p in self.pages}          # None: not decoded

    def unpack(self):
        """The unpacked payload; for coders of section 5 the masks of its pages: what is XORed into the base, or into zeros.
        For coder 8 its references: (record, page)."""
        data = packed(self.payload, self.unpacked, len(self.payload), self.offset)
        if self.coder < 3:
            return data
        if self.coder == SAME:
            return list(struct.iter_unpack("<QQ", data))
        if self.coder in (3, 4):
            return xor_runs(data, self.n, self.offset)
        if self.coder in (6, 7):
            data = unshuffled(data)
        return [int.from_bytes(data[PAGE * i:PAGE * i + PAGE], "little") for i in range(self.n)]

    def whole(self, data, i):
        if self.coder >= 3:
            return data[i].to_bytes(PAGE, "little")
        return data[PAGE * i:PAGE * i + PAGE] if self.coder else ZERO_PAGE

    def place(self, page):
        """Which of the record's pages it is, or None."""
        i = bisect_left(self.pages, page)
        return i if i < self.n and self.pages[i] == page else None

    def hash_fits(self, i, digest):
        """Whether the whole hash of page i as decoded begins as stored."""
        h = HASH_BYTES[self.coder]
        return digest[:h] == self.hashes[h * i:h * i + h]

def unshuffled(data):
    """Section 5.3: words from their columns."""
    words, whole = len(data) // 8, bytearray(len(data))
    for c in range(8):
        whole[c::8] = data[words * c:words * (c + 1)]
    return bytes(whole)

def xor_runs(data, n, offset):
    """Section 5.1: the XOR masks of the n pages of a record, as integers."""
    lists, pos, total = [], 0, 0
    for _ in range(n):
        r, pos = varint(data, pos, offset)
        refuse(r > PAGE, offset, "more runs than bytes in a page")
        runs, at = [], 0
        for _ in range(r):
            gap, pos = varint(data, pos, offset)
            length, pos = varint(data, pos, offset)
            start, at = at + gap, at + gap + length + 1
            refuse(at > PAGE, offset, "XOR run leaves the page")
            runs.append((start, at))
            total += at - start
        lists.append(runs)
    refuse(pos + total != len(data), offset, "XOR payload does not end with its last byte")
    masks = []
    for runs in lists:
        m = bytearray(PAGE)
        for a, b in runs:
            m[a:b] = data[pos:pos + b - a]
            pos += b - a
        masks.append(int.from_bytes(m, "little"))
    return masks

def apply_mask(page, mask):
    return (int.from_bytes(page, "little") ^ mask).to_bytes(PAGE, "little")

IndexHead = namedtuple("IndexHead", "below kind entries data packed")
def index(body, offset):
    """4.5: head and unpacked entries."""
    need(body, 24, offset, INDEX)
    below, kind, entries, unpacked, stored = struct.unpack_from("<QIIII", body)
    refuse(kind not in (1, 2) or unpacked > MAX_INDEX or 24 + stored != len(body) or entries * 4 > unpacked, offset, "INDEX fields are wrong")
    return IndexHead(below, kind, entries, packed(body[24:], unpacked, stored, offset), stored < unpacked)

def index_entries(head, offset):
    """[(region, first page, last page, record offset)]"""
    out = list_entries(head, offset) if head.kind == 1 else map_entries(head, offset)
    for rid, first, last, rec in out:
        refuse(not 1 <= rid < 1 << 32 or not 0 < rec < offset or last >= MAX_PAGE_INDEX, offset, "INDEX entry is wrong")
    return out

def varints(data, pos, n, where):
    """n varints of `data` from `pos` on: (values, next position)."""
    refuse(n > len(data) - pos, where, "more varints than bytes")
    out = []
    for _ in range(n):
        value, pos = varint(data, pos, where)
        out.append(value)
    return out, pos

def list_entries(head, offset):
    flat, pos = varints(head.data, 0, 4 * head.entries, offset)
    refuse(pos != len(head.data), offset, "INDEX list has bytes left over")
    return [(rid, first, first + more, offset - 8 * back) for rid, first, more, back in zip(*[iter(flat)] * 4)]

def map_entries(head, offset):
    """The table of records, then the entries by columns."""
    count, pos = varint(head.data, 0, offset)
    steps, pos = varints(head.data, pos, count, offset)
    records, at = [], 0
    for step in steps:
        at += 8 * step
        refuse(step == 0 or at >= offset, offset, "INDEX map: records do not ascend, or one is no earlier record")
        records.append(at)
    columns = []
    for _ in range(4):
        column, pos = varints(head.data, pos, head.entries, offset)
        columns.append(column)
    refuse(pos != len(head.data), offset, "INDEX map has bytes left over")
    out, rid, page = [], 0, 0
    for i, (up, gap, more, which) in enumerate(zip(*columns)):
        if up or i == 0:
            rid, page = rid + up, 0
        refuse(which >= count or more >= 1024, offset, "INDEX map: no such record, or a run longer than a record")
        out.append((rid, page + gap, page + gap + more, records[which]))
        page += gap + more + 1
    refuse(sum(last - first + 1 for _, first, last, _ in out) > offset, offset, "INDEX map: more pages than bytes before it")
    return out

Commit = namedtuple("Commit", "id parent_id root meta_hash base_id sequence time base parent previous regions metadata index "
                    "start pages_stored pages_all delta_bytes key_bytes pause flags depth regions_count label offset")
def commit(body, offset):
    """4.6"""
    need(body, 208, offset, COMMIT)
    *f, flags, depth, count, l, zero = struct.unpack_from("<16s16s16s16s16s14QIIIHH", body)
    refuse(flags & ~7 or zero or l > 255 or 208 + l > len(body) or depth == 0 or f[5] == 0, offset, "COMMIT fields are wrong")
    label = bytes(body[208:208 + l])
    string(label, offset)
    return Commit(*f, flags, depth, count, label, offset)

Ref = namedtuple("Ref", "previous target id time kind name offset")
def ref(body, offset):
    """4.7"""
    need(body, 48, offset, REF)
    previous, target, tid, time, kind, n, zero = struct.unpack_from("<QQ16sQHHI", body)
    refuse(zero or kind not in (1, 2, 3) or n > 255 or 48 + n > len(body) or (kind == 1) != (n == 0), offset, "REF fields are wrong")
    refuse((target == 0) != (tid == ZERO_ID), offset, "REF target and id do not fit")
    name = bytes(body[48:48 + n])
    string(name, offset)
    refuse(kind == 2 and 4 <= n <= 32 and all(c in b"0123456789abcdefABCDEF" for c in name), offset, "label looks like an id")
    return Ref(previous, target, tid, time, kind, name, offset)

Tombstone = namedtuple("Tombstone", "previous id parent_id sequence time commit offset")
def tombstone(body, offset):
    """4.8"""
    need(body, 64, offset, TOMBSTONE)
    return Tombstone(*struct.unpack_from("<Q16s16sQQQ", body), offset)

def seal(body, offset):
    """4.9"""
    need(body, 16, offset, SEAL)
    sealed, time = struct.unpack_from("<QQ", body)
    refuse(sealed != offset, offset, "SEAL's field is not its own offset")
    return sealed

End = namedtuple("End", "start previous commit head ref tombstone segment regions sealed highest kept chain previous_chain offset number end minimal")
def end_record(body, rec, alignment=4096):
    """4.10"""
    trailer = struct.pack("<QQ", rec.offset, rec.salt) + TRAILER_MAGIC
    refuse(len(body) < 128 or len(body) % 8 or bytes(body[-24:]) != trailer, rec.offset, "END trailer is wrong", NotWhole)
    refuse(len(body) > MAX_END or any(body[104:-24]), rec.offset, "END padding is wrong")
    return End(*struct.unpack_from("<13Q", body), rec.offset, rec.number, rec.end, len(body) - 128 < alignment and rec.end % alignment == 0)

Transaction = namedtuple("Transaction", "records end")          # [(Record, body)], END included
def transaction(next_record, number, alignment):
    """Section 3: reads what is whole and valid up to END.  number: what the transaction must have; None: unknown."""
    rec, body = next_record()
    first, records, chain = rec, [(rec, body)], xxhash.xxh3_64(seed=rec.salt)
    while True:
        refuse(rec.number != (number or first.number), rec.offset, "transaction number is wrong", NotWhole)
        if rec.type == END:
            break
        chain.update(struct.pack("<Q", rec.header_hash))
        rec, body = next_record()
        records.append((rec, body))
    end = end_record(body, rec, alignment)
    refuse(end.start != first.offset or end.chain != chain.intdigest(), rec.offset, "END: start or chain is wrong", NotWhole)
    return Transaction(records, end)

def close_record(rec, body, number, count):
    """4.11"""
    need(body, 16, rec.offset, CLOSE)
    refuse(struct.unpack_from("<Q", body)[0] != count or rec.number != number or rec.flags, rec.offset, "CLOSE does not fit the transactions before it")

# ---------------------------------------------------------------- section 6: identity
def region_root(pages, hashes):
    """Root of a region of `pages` pages; hashes: {page: (anything, hash)}, absent pages are zeros: their subtrees are hashed once."""
    nodes, count, default, k = {p: h[1] for p, h in hashes.items()}, pages, ZERO_PAGE_HASH, 0
    while count > 1:
        k += 1
        groups = {i >> 4 for i in nodes} | {(count - 1) >> 4}
        nodes = {g: xxh3_128(k, b"".join([nodes.get(i, default) for i in range(16 * g, min(16 * g + 16, count))])) for g in groups}
        default = xxh3_128(k, default * 16)
        count = (count + 15) >> 4
    return nodes.get(0, default)

def visible(table, where):
    """{region: {page: ...}} of the pages inside the region and not excluded."""
    return {r.id: {p: v for p, v in where.get(r.id, {}).items() if p < r.pages and not r.excluded(p)} for r in table}

def state_root(table, view):
    """view: {region id: {page: (offset, hash)}}, only visible pages."""
    out = []
    for r in table:
        out.append(struct.pack("<I", len(r.name)) + r.name + struct.pack("<QQ", r.bytes, r.address if r.flags & 1 else 0))
        out.append(region_root(r.pages, view[r.id]))
    return xxh3_128(0, b"".join(out))

def snapshot_id(history, c):
    return xxh3_128(0, history + struct.pack("<Q16s16sQ16sI", c.sequence, c.parent_id, c.root, c.time, c.meta_hash, len(c.label)) + c.label)

def check_id(c, table, metadata, history):
    """All that the id says but the contents.  metadata: the META body, or no bytes."""
    refuse(len(table) != c.regions_count or sum(r.pages for r in table) != c.pages_all, c.offset, "COMMIT's count of regions or pages is wrong")
    refuse(xxh3_128(0, metadata) != c.meta_hash, c.offset, "metadata hash is wrong")
    refuse(snapshot_id(history, c) != c.id, c.offset, "snapshot id is wrong")

def check_root(c, table, view):
    """The contents: hashes of pages as decoded."""
    for rid, pages in view.items():
        lost = next((p for p, v in pages.items() if v[1] is None), None)
        refuse(lost is not None, c.offset, f"snapshot {c.id.hex()}: state root cannot be told, region {rid} page {lost} was not decoded")
    refuse(state_root(table, view) != c.root, c.offset, f"snapshot {c.id.hex()}: state root is wrong")

# ---------------------------------------------------------------- section 3: opening a file
PARSE = {SEGMENT: segment, REGIONS: regions, COMMIT: commit, REF: ref, TOMBSTONE: tombstone, INDEX: index, META: lambda b, o: bytes(b)}

class Archive:
    """A file opened by the rules of section 3."""

    def __init__(self, data):
        self.data, self.size, self.view = data, len(data), memoryview(data)
        self.limit = self.size          # the history ends here
        self.torn = 0
        self.damage = []                # [(offset, text)]
        self.notes = []
        self.last_end = self.salt = None
        self.parsed, self.unpacked_, self.unpacked_pages = {}, {}, 0
        self.hashes = {}                # record -> {page: its whole hash; None: it cannot be decoded}
        self.open()

    # -- records by offset
    def header(self, offset):
        return record_header(self.view[offset:offset + 64], offset, self.salt)

    def body(self, rec):
        return record_body(rec, self.view[rec.offset + 64:rec.end])

    def record(self, offset, kind, before, what):
        """An earlier record of a stated type, parsed."""
        earlier = offset % 8 == 0 and offset < before and offset + 64 <= self.limit and (offset or kind == SEGMENT)
        refuse(not earlier, before, f"{what}: {offset} is no earlier record")
        if (offset, kind) in self.parsed:
            return self.parsed[offset, kind]
        rec = self.header(offset)
        refuse(rec.type != kind or rec.end > self.limit, offset, f"{what}: not a {TYPE_NAMES[kind]}")
        body = self.body(rec)
        value = PagesRecord(body, offset) if kind == PAGES else PARSE[kind](body, offset)
        if kind != INDEX:
            self.parsed[offset, kind] = value
        return value

    def pages(self, offset, before, region=None):
        p = self.record(offset, PAGES, before, "PAGES")
        refuse(region not in (None, p.region), before, f"{offset} is no PAGES record of region {region}")
        return p

    def transaction_at(self, pos, number):
        def next_record():
            nonlocal pos
            rec = self.header(pos)
            pos = rec.end
            return rec, self.body(rec)
        return transaction(next_record, number, 4096)

    # -- opening
    def open(self):
        first = False
        try:
            rec = self.header(0)
            body = self.body(rec)
            if rec.type == SEGMENT:
                first, self.salt = True, rec.salt
                segment(body, 0)                    # may be unsupported
        except Corrupt as e:
            if first:
                self.damage.append((0, str(e)))
        last = self.step_back()                                                   # (1)
        if last is None and not first:
            raise NotAnArchive(NotAnArchive.text)
        self.last_end, sealed, before, number = last, 0, None, 1
        if last:
            self.salt = self.header(last.offset).salt
            sealed = self.sealed_bytes(last)                                       # (2)
        if sealed:
            before = self.end_before(sealed)
            if before is None:                                                     # (5)
                self.damage.append((sealed, "no valid END before the sealed bytes' end"))
            number = before and before.number + 1
        pos = sealed                                                               # (3)
        while pos < self.size:
            seal_rec = self.seal_at(pos, number) if pos else None
            if seal_rec and seal_rec.end == self.size:                             # a SEAL may end the file
                break
            try:
                before = self.transaction_at(pos, number).end
                pos, number = before.end, before.number + 1
            except Corrupt as e:                                                   # (4)
                if self.damage or not isinstance(e, NotWhole) or number is None or self.is_corruption(e.offset, number):
                    self.damage.append((e.offset, str(e)))
                else:
                    pos = seal_rec.end if seal_rec else pos                        # the SEAL is kept
                    self.torn, self.limit, self.last_end = self.size - pos, pos, before
                break
        if self.last_end:
            for offset in (0, self.last_end.segment):
                try:
                    self.record(offset, SEGMENT, self.last_end.offset, "SEGMENT")
                except Corrupt as e:
                    self.damage.append((e.offset, str(e)))

    def end_before(self, pos):
        """The valid END whose trailer ends at pos, or None."""
        if pos < 192 or self.view[pos - 8:pos] != TRAILER_MAGIC:
            return None
        offset, salt = struct.unpack_from("<QQ", self.view, pos - 24)
        if offset % 8 or not pos - 64 - MAX_END <= offset <= pos - 192:
            return None
        try:
            rec = self.header(offset)
            return end_record(self.body(rec), rec) if (rec.type, rec.end, rec.salt) == (END, pos, salt) else None
        except Corrupt:
            return None

    def step_back(self):
        return next(filter(None, map(self.end_before, range(self.size - self.size % 4096, 0, -4096))), None)

    def seal_at(self, pos, number):
        try:
            rec = self.header(pos)
            if rec.type == SEAL and not rec.flags and number in (None, rec.number):
                seal(self.body(rec), pos)
                return rec
        except Corrupt:
            pass
        return None

    def sealed_bytes(self, last):
        if self.seal_at(last.end, last.number + 1):
            return last.end
        if last.sealed % 4096 or last.sealed > last.start:
            self.damage.append((last.offset, "END's sealed bytes are wrong"))
            return 0
        return last.sealed

    def headers_after(self, pos):
        """Every valid record header behind pos."""
        pos = self.data.find(MAGIC, pos + 1)
        while pos >= 0:
            if pos % 8 == 0:
                try:
                    yield self.header(pos)
                except Corrupt:
                    pass
            pos = self.data.find(MAGIC, pos + 1)

    def is_corruption(self, damage, number):
        return any(not rec.flags & FLOATING and (rec.number > number or rec.type == SEAL) for rec in self.headers_after(damage))

    # -- what is in it
    def linked(self, kind):
        """All records of a `previous` chain, oldest first; where damage hides it, every one that is whole."""
        out, last = [], self.last_end
        try:
            refuse(not last and self.damage, 0, "no valid END")
            pos, before = (getattr(last, TYPE_NAMES[kind].lower()), last.offset) if last else (0, 0)
            while pos:
                out.append(self.record(pos, kind, before, "previous"))
                pos, before = out[-1].previous, pos
            return out[::-1]
        except Corrupt as e:
            self.damage.append((e.offset, str(e)))
            return list(self.found(kind))

    def found(self, kind):
        for rec in self.headers_after(0):
            try:
                if rec.type == kind:
                    yield self.record(rec.offset, kind, self.limit, "found")
            except Corrupt:
                pass

    def snapshots(self):
        """COMMITs that are not dropped, in file order."""
        dropped = {t.id for t in self.linked(TOMBSTONE)}
        return [c for c in self.linked(COMMIT) if c.id not in dropped]

    def names(self):
        """4.7: [(kind, name, id)] of the newest REF of each name, HEAD first; those to dropped snapshots are void."""
        dropped = {t.id for t in self.linked(TOMBSTONE)}
        newest = {(r.kind, r.name): r.id for r in self.linked(REF)}
        newest[1, b""] = ZERO_ID
        if self.last_end and self.last_end.head:
            try:
                newest[1, b""] = self.record(self.last_end.head, COMMIT, self.last_end.offset, "HEAD").id
            except Corrupt as e:
                self.damage.append((e.offset, str(e)))
        return [(k, n, i) for (k, n), i in sorted(newest.items()) if i != ZERO_ID and i not in dropped]

    # -- 4.5: to find a page.  A map is {region: {page: (record, whole hash or None)}}
    def index_map(self, c):
        """By the INDEXes.  A damaged record does not matter where newer ones have all that it may hold."""
        layers = []
        while True:
            head, layer = self.record(c.index, INDEX, c.offset, "INDEX"), {}
            for rid, first, last, offset in index_entries(head, c.index):
                try:
                    p = self.pages(offset, c.index, rid)
                except Corrupt:
                    if all(any(q in newer.get(rid, ()) for newer in layers) for q in range(first, last + 1)):
                        continue
                    raise
                if head.kind == 1:
                    layer.setdefault(rid, {}).update(p.entries)
                else:
                    entries = p.entries
                    refuse(any(q not in entries for q in range(first, last + 1)), c.index, "INDEX map entry names pages that its record lacks")
                    layer.setdefault(rid, {}).update((q, entries[q]) for q in range(first, last + 1))
            layers.append(layer)
            if not head.below:
                return merged(layers)
            c = self.record(head.below, COMMIT, c.start, "INDEX below")

    def replay_map(self, c):
        """The same from the PAGES of the base chain alone."""
        layers = []
        while True:
            layer, pos = {}, c.start
            while pos < c.offset:
                rec = self.header(pos)
                if rec.type == PAGES:
                    p = self.pages(pos, c.offset)
                    layer.setdefault(p.region, {}).update(p.entries)
                pos = rec.end
            layers.append(layer)
            if not c.base:
                return merged(layers)
            c = self.record(c.base, COMMIT, c.offset, "base")

    def hashed(self, where):
        """The map with the whole hashes of its pages: each is decoded once only."""
        for rid, pages in where.items():
            for page, (offset, _) in pages.items():
                known = self.hashes.setdefault(offset, {})
                if page not in known:
                    try:
                        self.page(offset, rid, page)
                    except Corrupt:
                        known[page] = None
                pages[page] = (offset, known[page])
        return where

    # -- 4.4: page contents
    def unpacked(self, p):
        if p.offset not in self.unpacked_:
            self.unpacked_[p.offset] = p.unpack()
            self.unpacked_pages += p.n
            while self.unpacked_pages > KEEP_UNPACKED and len(self.unpacked_) > 1:
                oldest = next(iter(self.unpacked_))
                del self.unpacked_[oldest]
                self.unpacked_pages -= self.parsed[oldest, PAGES].n
        else:
            self.unpacked_[p.offset] = self.unpacked_.pop(p.offset)       # the newest again
        return self.unpacked_[p.offset]

    def page(self, offset, region, page):
        """Decodes one page through its chain and checks its hash: (content, whole hash)."""
        before, at, masks = self.limit, offset, []
        while True:
            p = self.pages(at, before, region)
            i = p.place(page)
            refuse(i is None, before, f"base record {at} lacks page {page}")
            if not masks:
                newest, place = p, i
            if p.coder not in DELTAS:
                break
            masks.append(self.unpacked(p)[i])
            refuse(len(masks) > MAX_LINKS, offset, f"page {page}: delta chain of more than {MAX_LINKS} links")
            before, at = at, p.bases[i]
        data = self.unpacked(p)
        content = self.same(p, page, *data[i]) if p.coder == SAME else p.whole(data, i)
        for mask in masks:
            content = apply_mask(content, mask)
        digest = ZERO_PAGE_HASH if content is ZERO_PAGE else xxh3_128(0, content)
        refuse(not newest.hash_fits(place, digest), offset, f"region {region} page {page}: page hash is wrong")
        self.hashes.setdefault(offset, {})[page] = digest
        return content, digest

    def same(self, p, page, record, there):
        """5.4: the content of a page of record `p`, which is that of page `there` of another record.  What region that is of does not matter."""
        what = f"region {p.region} page {page}: the same as page {there} of {record}"
        try:
            target = self.pages(record, p.offset)
            i = target.place(there)
            refuse(target.coder not in TARGETS, record, f"coder {target.coder}, which may not be referred to")
            refuse(i is None, record, "a record that lacks the page")
            return target.whole(self.unpacked(target), i)
        except Corrupt as e:
            raise Corrupt(p.offset, f"{what}: {e}")

    def history(self):
        return self.record(self.last_end.segment if self.last_end else 0, SEGMENT, self.limit, "SEGMENT").history

    def restore(self, wanted, folder):
        c = one_snapshot(self.snapshots(), wanted)
        _, table = self.record(c.regions, REGIONS, c.offset, "REGIONS")
        metadata = self.record(c.metadata, META, c.offset, "META") if c.metadata else b""
        history = self.history()
        check_id(c, table, metadata, history)
        try:
            self.write(c, table, self.index_map(c), folder)
        except Corrupt as e:
            self.notes.append(f"index not used ({e}); pages replayed from the base chain")
            self.write(c, table, self.replay_map(c), folder)
        return c

    def write(self, c, table, where, folder):
        """Decodes each page once: its content is written, its hash counts in the state root, which is checked at the end."""
        view = visible(table, where)

        def pages_of(r):
            for page in sorted(view[r.id]):
                offset = view[r.id][page][0]
                content, digest = self.page(offset, r.id, page)
                view[r.id][page] = (offset, digest)
                yield page, content
        write_regions(folder, table, pages_of, lambda: check_root(c, table, view))

def merged(layers):
    """Newest first."""
    out = {}
    for layer in reversed(layers):
        for rid, pages in layer.items():
            out.setdefault(rid, {}).update(pages)
    return out

def one_snapshot(commits, wanted):
    found = [c for c in commits if c.id.hex().startswith(wanted.lower())]
    if len(found) != 1 or len(wanted) < 4:
        raise NoSuchSnapshot(f"{len(found)} snapshots have the id {wanted}")
    return found[0]

def file_name(name):
    return "".join(chr(b) if chr(b).isascii() and (chr(b).isalnum() or b in b"._-") else f"%{b:02X}" for b in name) + ".bin"

def write_regions(folder, table, pages_of, check=lambda: None):
    """All regions to temporary names; renamed only when every page was good, and `check` has nothing against it."""
    os.makedirs(folder, exist_ok=True)
    done = []
    try:
        for n, r in enumerate(table):
            temp = os.path.join(folder, f".svp-{os.getpid()}-{n}.tmp")
            done.append((temp, os.path.join(folder, file_name(r.name))))
            with open(temp, "wb") as f:
                f.truncate(r.bytes)
                for page, content in pages_of(r):
                    f.seek(page * PAGE)
                    f.write(content)
        check()
        for temp, final in done:
            os.replace(temp, final)
    finally:
        for temp, _ in done:
            if os.path.exists(temp):
                os.unlink(temp)

# ---------------------------------------------------------------- all rules, transaction by transaction
LINKS = ("commit", "head", "ref", "tombstone", "segment", "regions", "kept")        # fields of END that must be those of the history

class Checker:
    """Checks transactions in file order: of a file it collects findings; of a stream the first one stops it, and it keeps the contents."""

    def __init__(self, archive=None):
        self.a, self.stream, self.findings = archive, archive is None, []
        self.state = dict.fromkeys(LINKS, 0) | dict(previous=0, chain=0, sealed=0, highest=0, start=0)
        self.known = True               # nothing was skipped
        self.segments, self.masks = [], (0, 0, 0)
        self.tables, self.metas, self.commits, self.dropped = {}, {}, {}, set()
        self.names, self.ever = {}, {}  # region id -> name; COMMIT offset -> region ids of its base chain
        self.maps = {0: {}}             # COMMIT offset -> {region: {page: (record, whole hash)}}, the last few
        self.content, self.links, self.boundaries = {}, {}, {0}         # (region, page) -> (record, content); record -> links of its pages
        self.last = None                # the newest COMMIT

    def find(self, offset, text):
        refuse(self.stream, offset, text)
        self.findings.append(f"at {offset}: {text}")

    def check(self, ok, offset, text):
        if not ok:
            self.find(offset, text)

    def guard(self, f, *args):
        try:
            return f(*args)
        except Corrupt as e:
            if self.stream:
                raise
            self.findings.append(str(e))

    # -- one transaction
    def transaction(self, t):
        by, rank = {kind: [] for kind in TYPE_NAMES}, 0
        for rec, body in t.records:
            if rec.type not in ORDER:
                self.check(rec.type & 0x8000 and rec.offset != t.end.start, rec.offset, f"record of type {rec.type} in the wrong place")
                continue
            self.check(ORDER.index(rec.type) >= rank, rec.offset, f"{TYPE_NAMES[rec.type]} out of order")
            rank = max(rank, ORDER.index(rec.type))
            by[rec.type].append((rec, body))
            self.check(len(by[rec.type]) == 1 or rec.type in REPEATABLE, rec.offset, f"second {TYPE_NAMES[rec.type]} in a transaction")
        if t.end.start == 0:
            self.check(t.records[0][0].type == SEGMENT, 0, "the first record is no SEGMENT")
        if self.stream:
            for kind in (SEAL, REF, TOMBSTONE):
                self.check(not by[kind], t.end.start, f"{TYPE_NAMES[kind]} in a stream")
            self.check(not any(rec.flags for rec, _ in t.records), t.end.start, "FLOATING in a stream")
        else:
            self.floating_and_seal(t, by[SEAL])
        self.check(by[COMMIT] or not by[PAGES] and not by[INDEX], t.end.start, "PAGES or INDEX without a COMMIT")
        for rec, body in by[SEGMENT]:
            self.guard(self.segment, body, rec.offset)
        for rec, body in by[REGIONS]:
            self.guard(self.regions, body, rec.offset)
        for rec, body in by[META]:
            self.guard(meta, body, rec.offset)
            self.metas[rec.offset] = bytes(body)
        stored, staged = [], {}
        for rec, body in by[PAGES]:
            p = self.guard(PagesRecord, body, rec.offset)
            if p:
                stored.append(p)
                self.guard(self.pages, p, staged)
        newest = None
        for rec, body in by[COMMIT]:
            c = self.guard(commit, body, rec.offset)
            if c:
                newest = self.commit(c, t, by, stored)
        for rec, body in by[REF]:
            self.guard(self.ref, body, rec.offset)
        for rec, body in by[TOMBSTONE]:
            self.guard(self.tombstone, body, rec.offset)
        self.end(t.end)
        self.content.update((k, v) for k, v in staged.items() if v)
        self.known, self.last = True, newest or self.last

    def floating_and_seal(self, t, seals):
        """Section 3."""
        st, start, end = self.state, t.end.start, t.end
        floats = {rec.flags for rec, _ in t.records if rec.type != SEAL}
        self.check(len(floats) == 1, start, "FLOATING is not the same in all headers of a transaction")
        floating, sealed = FLOATING in floats, t.records[0][0].type == SEAL
        for rec, body in seals:
            self.check(not rec.flags and rec.offset == start, rec.offset, "SEAL is not the first record, or has FLOATING")
            self.guard(seal, body, rec.offset)
        if start == 0:
            self.check(not floating and end.sealed == 0, 0, "FLOATING or sealed bytes in the first transaction")
        else:
            self.check(floating != sealed, start, "FLOATING after a SEAL" if floating else "neither FLOATING nor a SEAL")
            self.check(not sealed or end.sealed == start, end.offset, "END's sealed bytes differ from the SEAL's")
        if self.known:
            self.check(end.sealed in self.boundaries and end.sealed >= st["sealed"], end.offset, "END's sealed bytes are wrong")
            self.check(not floating or end.sealed <= st["start"], end.offset, "END's sealed bytes cover a floating transaction")

    def segment(self, body, offset):
        """4.1"""
        s = segment(body, offset)
        refuse(s.alignment != (8 if self.stream else 4096), offset, "alignment is not that of the profile")
        for text in segment_names_missing(s, offset):
            self.find(offset, text)
        masks = (s.incompatible, s.ro_compatible, s.compatible)
        self.check(all(m & o == o for m, o in zip(masks, self.masks)), offset, "feature masks are not cumulative")
        self.masks = tuple(m | o for m, o in zip(masks, self.masks))
        if self.segments:
            self.check((s.file, s.history) == (self.segments[0].file, self.segments[0].history), offset, "SEGMENTs disagree")
        self.segments.append(s)
        self.state["segment"] = offset

    def regions(self, body, offset):
        """4.2"""
        next_id, table = regions(body, offset)
        self.check(next_id > max(self.names, default=0), offset, "next region id is not above every id given before")
        for r in table:
            self.check(self.names.setdefault(r.id, r.name) == r.name, offset, f"region id {r.id} is used again for another region")
        self.tables[offset] = table
        self.state["regions"] = offset

    def table(self, c):
        if c.regions not in self.tables and self.a:
            self.tables[c.regions] = self.a.record(c.regions, REGIONS, c.offset, "REGIONS")[1]
        refuse(not 0 < c.regions < c.offset or c.regions not in self.tables, c.offset, "COMMIT: no REGIONS")
        return self.tables[c.regions]

    def follow(self, c, table, base, stored):
        """4.2: along a base chain regions keep their names and never shrink; what leaves an excluded range is stored whole."""
        before = {r.id: r for r in self.table(base)} if base else {}
        ever = self.ever.get(base.offset, frozenset(before)) if base else frozenset()
        self.ever[c.offset] = ever | {r.id for r in table}
        for r in table:
            old = before.get(r.id)
            if old is None:
                self.check(r.id not in ever, c.offset, f"region {r.id} had vanished and comes back")
                continue
            self.check(r.name == old.name and r.bytes >= old.bytes, c.offset, f"region {r.id} shrinks or changes its name")
            whole = [p for rec in stored if rec.region == r.id and rec.coder not in DELTAS for p in rec.pages if old.excluded(p) and not r.excluded(p)]
            self.check(len(whole) == left(old, r), c.offset, f"region {r.id}: a page left an excluded range and is not stored whole")

    def pages(self, p, staged):
        """4.4, 5: decodes every page and keeps its whole hash; the contents wait in `staged` for the end of the transaction."""
        refuse(self.stream and p.coder == SAME, p.offset, "coder 8 in a stream")
        self.check(p.coder < 3 or self.masks[0] >> p.coder - 2 & 1 or not self.segments, p.offset, f"coder {p.coder} without its feature")
        self.check(len(p.payload) == p.unpacked or self.masks[0] & 1 or not self.segments, p.offset, "Zstandard without the feature zstd")
        links = self.links[p.offset] = {}
        hashes = self.a.hashes.setdefault(p.offset, {}) if self.a else {}
        data = p.unpack()
        for i, page in enumerate(p.pages):
            key = (p.region, page)
            self.check(key not in staged, p.offset, f"page {page} occurs twice in a transaction")
            if p.coder in DELTAS:
                base, have = p.bases[i], self.content.get(key)
                links[page] = self.links.get(base, {}).get(page, 0) + 1
                refuse(links[page] > MAX_LINKS, p.offset, f"page {page}: delta chain of more than {MAX_LINKS} links")
                if have and have[0] == base:
                    content = have[1]
                elif self.stream:
                    raise Corrupt(p.offset, f"page {page}: base is not the last record of the stream")
                else:
                    content, _ = self.guard(self.a.page, base, p.region, page) or (None, None)
                    if content is None:
                        hashes[page] = staged[key] = None
                        continue
                content = apply_mask(content, data[i])
            elif p.coder == SAME:
                content = self.guard(self.a.same, p, page, *data[i])
                if content is None:
                    hashes[page] = staged[key] = None
                    continue
            else:
                content = p.whole(data, i)
            digest = ZERO_PAGE_HASH if content is ZERO_PAGE else xxh3_128(0, content)
            staged[key] = None
            if not p.hash_fits(i, digest):
                self.find(p.offset, f"region {p.region} page {page}: page hash is wrong")
            elif self.stream or len(self.content) < KEEP_PAGES or key in self.content:
                staged[key] = (p.offset, ZERO_PAGE if digest == ZERO_PAGE_HASH else bytes(content))
            hashes[page] = digest
            p.entries[page] = (p.offset, digest)

    def commit(self, c, t, by, stored):
        """4.6"""
        o, st = c.offset, self.state

        def check(ok, text):
            self.check(ok, o, "COMMIT: " + text)
        check(c.start == t.end.start, "transaction start is wrong")
        check([r.offset for r, _ in by[INDEX]] == [c.index], "INDEX is not its transaction's")
        check(not by[META] or by[META][0][0].offset == c.metadata, "META of its transaction is not used")
        check(c.pages_stored == sum(p.n for p in stored), "pages stored is wrong")
        check(c.delta_bytes == sum(len(p.payload) for p in stored if p.coder in DELTAS), "delta payload bytes are wrong")
        check(c.key_bytes == sum(len(p.payload) for p in stored if p.coder not in DELTAS), "key payload bytes are wrong")
        ids = {k.id: k for k in self.commits.values()}
        rises = c.sequence > max((k.sequence for k in ids.values()), default=0) or c.flags & NO_HEAD
        check(c.id not in ids and rises and all(k.sequence != c.sequence for k in ids.values()), "sequence does not rise, or the id or sequence is there twice")
        check(c.previous == st["commit"] or not self.known, "previous is wrong")
        base = self.commits.get(c.base)
        check((base.id if base else ZERO_ID) == c.base_id and bool(base) == bool(c.base), "base is wrong")
        check(c.depth == 1 + (base.depth if base else 0), "depth is wrong")
        check(not self.stream or c.base == (self.last.offset if self.last else 0), "base in a stream is not the COMMIT before it")
        parent = self.commits.get(c.parent)
        check((parent and parent.id == c.parent_id) or (c.parent_id not in ids and bool(parent) == bool(c.parent)), "parent is wrong")
        st.update(commit=o, kept=st["kept"] + 1)
        if not c.flags & NO_HEAD:
            st["head"] = o
        self.commits[o] = c
        if c.base and not base:
            return c                    # said above, or behind damage
        self.guard(self.snapshot, c, base, by, stored)
        return c

    def snapshot(self, c, base, by, stored):
        table = self.table(c)
        self.follow(c, table, base, stored)
        if c.base not in self.maps:
            self.maps[c.base] = self.a.hashed(self.a.replay_map(base))
        where = dict(self.maps[c.base])
        for p in stored:
            where[p.region] = {**where.get(p.region, {}), **p.entries}
        self.keep_map(c.offset, where)
        view = visible(table, where)
        for rec, body in by[INDEX]:
            self.guard(self.index, body, rec.offset, c, stored, where, view)
        if c.metadata and c.metadata not in self.metas and self.a:
            self.metas[c.metadata] = self.a.record(c.metadata, META, c.offset, "META")
        refuse(c.metadata and not (c.metadata < c.offset and c.metadata in self.metas), c.offset, "COMMIT: no META")
        history = self.segments[-1].history if self.segments else self.a.history()
        check_id(c, table, self.metas[c.metadata] if c.metadata else b"", history)
        check_root(c, table, view)

    def keep_map(self, offset, where):
        """The maps of the newest COMMITs, so that histories with branches are not replayed at every turn; of a stream the newest only."""
        self.maps[offset] = where
        least = 9 if self.a else 2
        entries = sum(len(pages) for pages in where.values()) + 1
        while len(self.maps) > max(least, KEEP_ENTRIES // entries if self.a else 0):
            del self.maps[next(k for k in self.maps if k)]

    def index(self, body, offset, c, stored, where, view):
        """4.5: the INDEX against the PAGES of the base chain."""
        head = index(body, offset)
        entries = index_entries(head, offset)
        self.check(not head.packed or self.masks[0] & 1 or not self.segments, offset, "Zstandard without the feature zstd")
        if head.kind == 1:
            self.check(head.below == c.base, offset, "INDEX list: below is not the base")
            own = sorted((p.region, p.pages[0], p.offset, p.pages[-1]) for p in stored)
            self.check([(r, a, o, b) for r, a, b, o in entries] == own, offset, "INDEX list does not name the PAGES of its transaction")
            return
        on_chain = c.base
        while on_chain > head.below and on_chain in self.commits:
            on_chain = self.commits[on_chain].base
        self.check(on_chain == head.below, offset, "INDEX map: below is not on the base chain")
        named = {rid: set() for rid in view}
        for rid, first, last, record in entries:
            have = where.get(rid, {})
            seen = [p for p in range(first, last + 1) if rid not in view or p in view[rid] or p not in have]
            refuse(any(have.get(p, (0,))[0] != record for p in seen), offset, f"INDEX map names another record than the current one of region {rid}, page {first}")
            named.setdefault(rid, set()).update(range(first, last + 1))
        for rid, pages in view.items():
            self.check(all(p in named[rid] for p, v in pages.items() if v[0] > head.below), offset, f"INDEX map lacks pages of region {rid}")

    def ref(self, body, offset):
        """4.7"""
        r = ref(body, offset)
        self.check(r.previous == self.state["ref"] or not self.known, offset, "REF: previous is wrong")
        self.state["ref"] = offset
        if r.target and self.a.record(r.target, COMMIT, offset, "REF target").id != r.id:
            self.find(offset, "REF: target id is wrong")
        if r.kind == 1:
            self.state["head"] = r.target

    def tombstone(self, body, offset):
        """4.8"""
        d = tombstone(body, offset)
        self.check(d.previous == self.state["tombstone"] or not self.known, offset, "TOMBSTONE: previous is wrong")
        self.state["tombstone"] = offset
        self.check(d.id not in self.dropped, offset, "TOMBSTONE: the snapshot was dropped before")
        self.dropped.add(d.id)
        if d.commit:
            c = self.a.record(d.commit, COMMIT, offset, "TOMBSTONE's COMMIT")
            self.check((c.id, c.parent_id, c.sequence) == (d.id, d.parent_id, d.sequence), offset, "TOMBSTONE does not fit its COMMIT")
            self.state["kept"] -= 1
        else:
            self.check(all(c.id != d.id for c in self.commits.values()), offset, "TOMBSTONE: COMMIT's offset is missing")
        self.state["highest"] = max(self.state["highest"], d.sequence)

    def end(self, e):
        """4.10"""
        st = self.state
        self.check(e.minimal, e.offset, "END's padding is not the least")
        self.check(e.highest >= max([st["highest"]] + [c.sequence for c in self.commits.values()]), e.offset, "END: highest sequence is wrong")
        if self.known:
            self.check((e.previous, e.previous_chain) == (st["previous"], st["chain"]), e.offset, "END: previous END or its chain is wrong")
            head = self.commits.get(st["head"])
            for field in LINKS:
                void = field == "head" and e.head == 0 and head and head.id in self.dropped
                self.check(getattr(e, field) == st[field] or void, e.offset, f"END: {field} is {getattr(e, field)}, not {st[field]}")
        st.update({f: getattr(e, f) for f in LINKS if f != "head"}, previous=e.offset, chain=e.chain, sealed=e.sealed, highest=e.highest, start=e.start)
        if not self.known:
            st["head"] = e.head
        self.boundaries.add(e.end)

def left(old, new):
    """How many pages of a region left its excluded ranges."""
    count, i = 0, 0
    for a, b in zip(old.starts, old.ends):
        count += b - a
        while i < len(new.starts) and new.ends[i] <= a:
            i += 1
        j = i
        while j < len(new.starts) and new.starts[j] < b:
            count -= min(b, new.ends[j]) - max(a, new.starts[j])
            j += 1
    return count

def verify_file(a):
    """Every transaction of a file from 0 on; behind damage at the next whole one."""
    k, pos, number = Checker(a), 0, 1
    while pos < a.limit and not (pos and (s := a.seal_at(pos, number)) and s.end == a.limit):
        try:
            t = a.transaction_at(pos, number)
        except Corrupt as e:
            k.findings.append(f"damage: {e}")
            k.known = False             # fields of the next transaction cannot be compared
            pos, number = next((r.offset for r in a.headers_after(pos) if r.offset % 4096 == 0), a.limit), None
            continue
        k.transaction(t)
        pos, number = t.end.end, t.end.number + 1
    k.findings += [f"damage: {text}" for _, text in a.damage if f"damage: {text}" not in k.findings]
    return k

# ---------------------------------------------------------------- section 7: a stream in one pass
class StreamReader:
    """Reads transactions from a pipe; the checker keeps the current content of every page and the offset of its record."""

    def __init__(self, source, on_commit=lambda c: None):
        self.source, self.on_commit, self.checker = source, on_commit, Checker()
        self.offset, self.salt, self.count, self.closed, self.damage = 0, None, 0, False, None

    def next_record(self):
        rec = record_header(self.source.read(64), self.offset, self.salt)
        body = record_body(rec, memoryview(self.source.read(rec.end - rec.offset - 64)))
        if self.salt is None:
            if rec.type != SEGMENT:
                raise NotAnArchive(NotAnArchive.text)
            refuse(segment(body, 0).alignment != 8, 0, "a file, not a stream (alignment 4096)")
        self.salt, self.offset = rec.salt, rec.end
        return rec, body

    def transactions(self):
        while not self.closed:
            first = self.next_record()
            if first[0].type == CLOSE:
                close_record(*first, self.count + 1, self.count)
                self.closed = True
                refuse(self.source.read(1), self.offset, "bytes after CLOSE")
                return
            waiting = [first]
            self.checker.transaction(transaction(lambda: waiting.pop() if waiting else self.next_record(), self.count + 1, 8))
            self.count += 1
            yield self.checker.last

    def run(self, until=None):
        """To the end, or to the COMMIT `until`: what was read before damage stays good."""
        seen = None
        try:
            for c in self.transactions():
                if c is not seen:
                    self.on_commit(c)
                if until and c and c.id == until:
                    break
                seen = c
        except ShortInput:
            pass
        except Corrupt as e:
            self.damage = e
        if self.salt is None:
            raise NotAnArchive(NotAnArchive.text)
        return self

    def restore(self, folder):
        """The regions as of the last whole COMMIT."""
        c, k = self.checker.last, self.checker
        table = k.table(c)
        view = visible(table, k.maps[c.offset])
        write_regions(folder, table, lambda r: ((p, k.content[r.id, p][1]) for p in sorted(view[r.id])))
        return c

    def findings(self):
        out = [f"damage: {self.damage}"] if self.damage else []
        return out + ([] if self.closed else [f"at {self.offset}: close missing: the stream ended early"])

# ---------------------------------------------------------------- commands
def load(path):
    with open(path, "rb") as f:
        return f.read()

def is_stream(data):
    """Section 3: the first SEGMENT says it."""
    try:
        rec = record_header(memoryview(data)[:64], 0, None)
        return rec.type == SEGMENT and segment(record_body(rec, memoryview(data)[64:rec.end]), 0).alignment == 8
    except Corrupt:
        return False

def line_of(c):
    flags = [n for b, n in ((UNSYNCED, "UNSYNCED"), (NO_HEAD, "NO_HEAD"), (AUTOSAVE, "AUTOSAVE")) if c.flags & b]
    return f"{c.sequence} {c.id.hex()} {c.parent_id.hex() if c.parent_id != ZERO_ID else '-'} {c.root.hex()} {c.label.decode()!r} {','.join(flags) or '-'}"

def cmd_list(data, out):
    if is_stream(data):
        return cmd_stream(io.BytesIO(data), None, out)
    a = Archive(data)
    for c in a.snapshots():
        print(line_of(c), file=out)
    for kind, name, sid in a.names():
        print(f"ref {('HEAD', 'label', 'pin')[kind - 1]} {name.decode()!r} {sid.hex()}", file=out)
    if a.torn:
        print(f"torn {a.torn}", file=out)
    for _, text in sorted(set(a.damage)):
        print(f"damage {text}", file=out)
    return 1 if a.damage else 0

def cmd_restore(data, wanted, folder, out):
    if is_stream(data):
        commits = []
        StreamReader(io.BytesIO(data), commits.append).run()
        c = StreamReader(io.BytesIO(data)).run(one_snapshot(commits, wanted).id).restore(folder)
        notes = []
    else:
        a = Archive(data)
        c, notes = a.restore(wanted, folder), a.notes
    print(f"restored {c.id.hex()} digest {c.root.hex()}", *notes, sep="\n", file=out)
    return 0

def cmd_verify(data, out):
    torn = 0
    if is_stream(data):
        s = StreamReader(io.BytesIO(data)).run()
        findings, count = s.findings(), len(s.checker.commits)
    else:
        a = Archive(data)
        k, torn = verify_file(a), a.torn
        findings, count = k.findings, sum(c.id not in k.dropped for c in k.commits.values())
    for f in findings:
        print(f, file=out)
    if torn:
        print(f"torn: {torn} bytes from {a.limit} on are not part of the history", file=out)
    print(f"{count} snapshots, {len(findings)} findings: {'damaged' if findings else 'torn' if torn else 'good'}", file=out)
    return 1 if findings else 0

def cmd_stream(source, folder, out):
    s = StreamReader(source, lambda c: print(line_of(c), file=out)).run()
    for f in s.findings():
        print(f, file=out)
    if folder is not None and s.checker.last:
        c = s.restore(folder)
        print(f"restored {c.id.hex()} digest {c.root.hex()}", file=out)
    return 1 if s.findings() else 0

def main(argv):
    try:
        if argv[:1] == ["list"] and len(argv) == 2:
            return cmd_list(load(argv[1]), sys.stdout)
        if argv[:1] == ["restore"] and len(argv) == 4:
            return cmd_restore(load(argv[1]), argv[2], argv[3], sys.stdout)
        if argv[:1] == ["verify"] and len(argv) == 2:
            return cmd_verify(load(argv[1]), sys.stdout)
        if argv == ["stream"] or (argv[:2] == ["stream", "--restore"] and len(argv) == 3):
            return cmd_stream(sys.stdin.buffer, argv[2] if len(argv) == 3 else None, sys.stdout)
    except SvpError as e:
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
        return e.code
    except (OSError, MemoryError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 2 if isinstance(e, OSError) else 6
    print("usage: svp_reader.py list FILE | restore FILE ID DIR | verify FILE | stream [--restore DIR]", file=sys.stderr)
    return 2

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
