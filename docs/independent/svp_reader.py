"""Independent reader of savepoint archives (.svp, format version 0), written from SPEC.md alone: list, restore, verify, stream.

Functions are named after the sections of the specification.  Exit codes: 0 clean, 1 findings, 2 usage or no such
snapshot, 5 not an archive or unsupported, 6 damage prevents the result.
"""
import mmap
import os
import struct
import sys
from array import array
from collections import OrderedDict, namedtuple
from bisect import bisect_right

import xxhash
import zstandard

MAGIC = b"\x89SVP\r\n\x1a\n"
TRAILER_MAGIC = b"SVPEND\r\n"
PAGE = 4096
MIB = 1 << 20
MAX_BODY, MAX_WINDOW, MAX_META, MAX_LINKS = 64 * MIB, 8 * MIB, MIB, 64
MAX_REGION, MAX_PAGE_INDEX = 1 << 46, 1 << 34
M64 = (1 << 64) - 1
SEGMENT, REGIONS, META, PAGES, INDEX, COMMIT, REF, TOMBSTONE, SEAL, END, CLOSE = range(1, 12)
TYPE_NAMES = dict(enumerate("SEGMENT REGIONS META PAGES INDEX COMMIT REF TOMBSTONE SEAL END CLOSE".split(), 1))
ORDER = {SEAL: 0, SEGMENT: 1, REGIONS: 2, META: 3, PAGES: 4, INDEX: 5, COMMIT: 6, REF: 7, TOMBSTONE: 8, END: 9}
REPEATABLE = {PAGES, REF, TOMBSTONE}
FLOATING = 1
UNSYNCED, NO_HEAD, AUTOSAVE = 1, 2, 4
ZERO_ID = bytes(16)
ZERO_PAGE = bytes(PAGE)
KNOWN_INCOMPATIBLE = {0: "zstd", 1: "xor-runs"}


class SvpError(Exception):
    code = 6


class NotAnArchive(SvpError):
    code = 5


class Unsupported(SvpError):
    code = 5


class Corrupt(SvpError):
    code = 6

    def __init__(self, offset, text):
        super().__init__(f"at {offset}: {text}")
        self.offset = offset


class ShortInput(Corrupt):
    """The bytes end inside a record (only this can be an early end of a stream)."""


class NoSuchSnapshot(SvpError):
    code = 2


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
        if pos >= len(buf):
            raise Corrupt(where, "varint runs over the end")
        byte = buf[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if pos - start == 10:
            raise Corrupt(where, "varint of more than 10 bytes")
    if value > M64:
        raise Corrupt(where, "varint of 2^64 or more")
    if byte == 0 and pos - start > 1:
        raise Corrupt(where, "varint is not the shortest")
    return value, pos


def unzigzag(u):
    return (u >> 1) ^ -(u & 1)


def zstd_frame_length(buf, where):
    """Length of the one Zstandard frame at the start of buf (RFC 8878, 3.1.1), without decoding it."""
    if len(buf) < 6 or bytes(buf[:4]) != b"\x28\xb5\x2f\xfd":
        raise Corrupt(where, "no Zstandard frame")
    fhd = buf[4]
    single = fhd >> 5 & 1
    if fhd & 3:
        raise Corrupt(where, "Zstandard frame names a dictionary")
    pos = 5 + (0 if single else 1) + (1 if single and fhd >> 6 == 0 else (0, 2, 4, 8)[fhd >> 6])
    while True:
        if pos + 3 > len(buf):
            raise Corrupt(where, "Zstandard frame is cut")
        block = int.from_bytes(buf[pos:pos + 3], "little")
        kind = block >> 1 & 3
        pos += 3 + (1 if kind == 1 else block >> 3)
        if block & 1:
            break
    return pos + (4 if fhd >> 2 & 1 else 0)


def packed(buf, unpacked, stored, where):
    """The unpacked bytes; sizes are those of the record, and were checked against its limits by the caller."""
    if len(buf) != stored or stored > unpacked:
        raise Corrupt(where, "packed bytes: stored size is wrong")
    if stored == unpacked:
        return bytes(buf)
    if zstd_frame_length(buf, where) != stored:
        raise Corrupt(where, "packed bytes are not exactly one Zstandard frame")
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(bytes(buf))
        data = reader.read(unpacked + 1)
        if len(data) <= unpacked:
            data += reader.read(1)
    except zstandard.ZstdError as e:
        raise Corrupt(where, f"Zstandard: {e}")
    if len(data) != unpacked:
        raise Corrupt(where, f"Zstandard frame does not decode to {unpacked} bytes")
    return data


def tlvs(body, pos, where):
    out = []
    while pos < len(body):
        if pos + 8 > len(body):
            raise Corrupt(where, "TLV is cut")
        kind, zero, length = struct.unpack_from("<HHI", body, pos)
        end = pos + 8 + length
        if zero or pad8(end) > len(body) or any(body[end:pad8(end)]):
            raise Corrupt(where, "bad TLV")
        out.append((kind, bytes(body[pos + 8:end])))
        pos = pad8(end)
    return out


def string(raw, where):
    try:
        text = bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise Corrupt(where, "string is not UTF-8")
    if "\0" in text:
        raise Corrupt(where, "string holds a NUL")
    return text


# ---------------------------------------------------------------- section 2: records

Record = namedtuple("Record", "offset type flags number length salt body_hash header_hash end")


def record_header(h, offset, salt):
    """The checks of section 2 in their order, up to the fields.  salt None: not known yet."""
    if len(h) < 8 and bytes(h) == MAGIC[:len(h)]:
        raise ShortInput(offset, "bytes end inside a record header")
    if bytes(h[:8]) != MAGIC:
        raise Corrupt(offset, "no record magic")
    if len(h) < 64:
        raise ShortInput(offset, "bytes end inside a record header")
    kind, flags, zero, number, length, rsalt, roffset, bhash, hhash = struct.unpack_from("<HHIQQQQQQ", h, 8)
    if xxh3_64(rsalt, h[:56]) != hhash:
        raise Corrupt(offset, "header hash is wrong")
    if roffset != offset:
        raise Corrupt(offset, "record stands at the wrong offset")
    if salt is not None and rsalt != salt:
        raise Corrupt(offset, "salt is another file's")
    if flags & ~FLOATING or zero or number == 0 or length > MAX_BODY or kind == 0:
        raise Corrupt(offset, "header fields are wrong")
    return Record(offset, kind, flags, number, length, rsalt, bhash, hhash, offset + 64 + pad8(length))


def record_body(rec, padded):
    """The body without padding, after its hash."""
    if xxh3_64(rec.salt, padded) != rec.body_hash:
        raise Corrupt(rec.offset, f"body hash of {TYPE_NAMES.get(rec.type, rec.type)} is wrong")
    if any(padded[rec.length:]):
        raise Corrupt(rec.offset, "body padding is not zero")
    if rec.type not in TYPE_NAMES and not rec.type & 0x8000:
        raise Unsupported(f"unsupported record type {rec.type} at {rec.offset}")
    return padded[:rec.length]


def need(body, n, offset, kind):
    if len(body) < n:
        raise Corrupt(offset, f"{TYPE_NAMES[kind]} body is too short")


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
    if zero or alignment not in (8, 4096) or page != PAGE:
        raise Corrupt(offset, "SEGMENT fields are wrong")
    return Segment(alignment, inc, ro, comp, file, history, time, tlvs(body, 80, offset))


def segment_names_missing(seg, offset):
    """Every set bit has its name among the TLVs: the findings."""
    have, out = set(), []
    for kind, value in seg.tlvs:
        if kind == 1:
            if len(value) < 3 or value[0] > 2 or value[1] > 63:
                out.append(f"at {offset}: bad feature name TLV")
            else:
                string(value[2:], offset)
                have.add((value[0], value[1]))
    for m, mask in enumerate((seg.incompatible, seg.ro_compatible, seg.compatible)):
        out += [f"at {offset}: feature bit {b} of mask {m} has no name" for b in range(64) if mask >> b & 1 and (m, b) not in have]
    return out


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
    if count > 4096:
        raise Corrupt(offset, "more than 4,096 regions")
    pos, table, ids = 8, [], set()
    for _ in range(count):
        if pos + 32 > len(body):
            raise Corrupt(offset, "region table is cut")
        rid, flags, address, size, e, n, zero = struct.unpack_from("<IIQQIHH", body, pos)
        end = pos + 32 + 16 * e + n
        if zero or flags & ~1 or e > 65535 or not 1 <= n <= 255 or pad8(end) > len(body) or any(body[end:pad8(end)]):
            raise Corrupt(offset, "region entry is wrong")
        if size % PAGE or not PAGE <= size <= MAX_REGION:
            raise Corrupt(offset, f"region of {size} bytes")
        if rid == 0 or rid >= next_id or rid in ids:
            raise Corrupt(offset, f"region id {rid} is wrong")
        ids.add(rid)
        ranges = struct.unpack_from(f"<{2 * e}Q", body, pos + 32)
        starts, ends = ranges[::2], [a + c for a, c in zip(ranges[::2], ranges[1::2])]
        if any(c == 0 for c in ranges[1::2]) or any(s <= p for s, p in zip(starts[1:], ends)) or (e and ends[-1] * PAGE > size):
            raise Corrupt(offset, "excluded ranges are wrong")
        name = bytes(body[end - n:end])
        string(name, offset)
        if table and table[-1].name >= name:
            raise Corrupt(offset, "regions are not in order of names")
        table.append(Region(rid, flags, address, size, name, starts, ends))
        pos = pad8(end)
    if pos != len(body):
        raise Corrupt(offset, "bytes after the region table")
    return next_id, table


def meta(body, offset):
    """4.3"""
    items = tlvs(body, 0, offset)
    if sum(len(v) for _, v in items) > MAX_META:
        raise Corrupt(offset, "more than 1 MiB of metadata values")
    for kind, value in items:
        if kind == 1 and len(value) != 16:
            raise Corrupt(offset, "origin is not 16 bytes")
        if kind == 2:
            string(value, offset)
    return items


class PagesRecord:
    """4.4: a PAGES record with its tables; the payload stays packed until asked for."""
    __slots__ = ("offset", "region", "coder", "n", "pages", "bases", "hashes", "unpacked", "payload", "where", "entries_")

    def __init__(self, body, offset):
        need(body, 32, offset, PAGES)
        self.offset = offset
        self.region, self.coder, n, first, ptb, btb, self.unpacked, stored = struct.unpack_from("<IHHQIIII", body)
        if self.coder > 3:
            raise Unsupported(f"unsupported coder {self.coder} at {offset}")
        self.n = n
        hash_bytes = 16 * n if self.coder else 0
        if not 1 <= n <= 1024 or self.region == 0 or 32 + ptb + btb + hash_bytes + stored != len(body):
            raise Corrupt(offset, "PAGES fields are wrong")
        sizes_ok = (self.unpacked == stored == 0, self.unpacked == stored == PAGE * n, self.unpacked == PAGE * n,
                    self.unpacked <= 8192 * n)[self.coder]
        if not sizes_ok or stored > self.unpacked or (self.coder != 3 and btb):
            raise Corrupt(offset, "PAGES sizes are wrong")
        table = bytes(body[32:32 + ptb])
        if table == bytes(n - 1):
            self.pages, self.where = range(first, first + n), None
        else:
            self.pages, pos, page = [first], 0, first
            for _ in range(n - 1):
                gap, pos = varint(table, pos, offset)
                page += gap + 1
                self.pages.append(page)
            if pos != ptb:
                raise Corrupt(offset, "page table has bytes left over")
            self.where = {p: i for i, p in enumerate(self.pages)}
        if self.pages[-1] >= MAX_PAGE_INDEX:
            raise Corrupt(offset, "page index is behind every region")
        self.bases = None
        if self.coder == 3:
            table, self.bases, pos, x = bytes(body[32 + ptb:32 + ptb + btb]), [], 0, offset
            for _ in range(n):
                d, pos = varint(table, pos, offset)
                x = (x + 8 * unzigzag(d)) & M64
                if not 0 < x < offset:
                    raise Corrupt(offset, "base is not an earlier record")
                self.bases.append(x)
            if pos != btb:
                raise Corrupt(offset, "base table has bytes left over")
        at = 32 + ptb + btb
        self.hashes = body[at:at + hash_bytes]
        self.payload = body[at + hash_bytes:]
        self.entries_ = None

    def position(self, page):
        if self.where is None:
            i = page - self.pages[0]
            return i if 0 <= i < self.n else None
        return self.where.get(page)

    def hash(self, i):
        return bytes(self.hashes[16 * i:16 * i + 16]) if self.coder else ZERO_PAGE_HASH

    def entries(self):
        """{page: (record offset, page hash)}"""
        if self.entries_ is None:
            self.entries_ = {p: (self.offset, self.hash(i)) for i, p in enumerate(self.pages)}
        return self.entries_

    def unpack(self):
        """What a page is made of: an object for `whole` or `mask`."""
        data = packed(self.payload, self.unpacked, len(self.payload), self.offset)
        return XorRuns(data, self.n, self.offset) if self.coder == 3 else data

    def whole(self, data, i):
        return data[PAGE * i:PAGE * i + PAGE] if self.coder else ZERO_PAGE


class XorRuns:
    """Section 5: the run lists of a record, parsed; mask(i) is the XOR of page i as an integer."""
    __slots__ = ("data", "runs", "first", "starts")

    def __init__(self, data, n, offset):
        self.data, self.runs, self.first, self.starts = data, array("H"), [0], []    # runs: start, end, start, end ...
        pos = total = 0
        size = len(data)
        for _ in range(n):
            r, pos = varint(data, pos, offset)
            if r > PAGE:
                raise Corrupt(offset, "more runs than bytes in a page")
            at, add = 0, self.runs.append
            for _ in range(r):
                if pos + 2 <= size and data[pos] < 0x80 and data[pos + 1] < 0x80:    # the usual case, inlined
                    at += data[pos]
                    end = at + data[pos + 1] + 1
                    pos += 2
                else:
                    gap, pos = varint(data, pos, offset)
                    length, pos = varint(data, pos, offset)
                    at += gap
                    end = at + length + 1
                if end > PAGE:
                    raise Corrupt(offset, "XOR run leaves the page")
                add(at)
                add(end)
                total += end - at
                at = end
            self.first.append(len(self.runs))
            self.starts.append(total)
        if pos + total != size:
            raise Corrupt(offset, "XOR payload does not end with its last byte")
        self.starts = [pos] + [pos + s for s in self.starts[:-1]]

    def mask(self, i):
        m, x, data = bytearray(PAGE), self.starts[i], self.data
        numbers = iter(self.runs[self.first[i]:self.first[i + 1]])
        for a, b in zip(numbers, numbers):
            m[a:b] = data[x:x + b - a]
            x += b - a
        return int.from_bytes(m, "little")


IndexHead = namedtuple("IndexHead", "below kind entries data")


def index(body, offset):
    """4.5: head and unpacked entries."""
    need(body, 24, offset, INDEX)
    below, kind, entries, unpacked, stored = struct.unpack_from("<QIIII", body)
    if kind not in (1, 2) or unpacked > MAX_BODY or 24 + stored != len(body) or entries * 4 > unpacked:
        raise Corrupt(offset, "INDEX fields are wrong")
    return IndexHead(below, kind, entries, packed(body[24:], unpacked, stored, offset))


def index_entries(head, offset):
    """Yields (region, first page, page count or span, record offset)."""
    data, pos = head.data, 0
    rid = page = rec = 0
    last = None
    for i in range(head.entries):
        a, pos = varint(data, pos, offset)
        b, pos = varint(data, pos, offset)
        c, pos = varint(data, pos, offset)
        d, pos = varint(data, pos, offset)
        if head.kind == 1:
            rid, page, rec = a, b, offset - 8 * d
            if last is not None and (rid, page, rec) <= last:
                raise Corrupt(offset, "INDEX list is not in order")
            last = (rid, page, rec)
        else:
            if a or i == 0:
                rid, page = rid + a, 0
            page += b
            rec = (rec + 8 * unzigzag(d)) & M64
        if not 1 <= rid < 1 << 32 or not 0 < rec < offset or page + c >= MAX_PAGE_INDEX:
            raise Corrupt(offset, "INDEX entry is wrong")
        yield rid, page, c + 1, rec
        if head.kind == 2:
            page += c + 1
    if pos != len(data):
        raise Corrupt(offset, "INDEX has bytes left over")


Commit = namedtuple("Commit", "id parent_id root meta_hash base_id sequence time base parent previous regions metadata index "
                    "start pages_stored pages_all delta_bytes key_bytes pause flags depth regions_count label offset")


def commit(body, offset):
    """4.6"""
    need(body, 208, offset, COMMIT)
    *f, flags, depth, count, l, zero = struct.unpack_from("<16s16s16s16s16s14QIIIHH", body)
    if flags & ~7 or zero or l > 255 or 208 + l > len(body) or depth == 0 or f[5] == 0:
        raise Corrupt(offset, "COMMIT fields are wrong")
    label = bytes(body[208:208 + l])
    string(label, offset)
    return Commit(*f, flags, depth, count, label, offset)


Ref = namedtuple("Ref", "previous target id time kind name offset")


def ref(body, offset):
    """4.7"""
    need(body, 48, offset, REF)
    previous, target, tid, time, kind, n, zero = struct.unpack_from("<QQ16sQHHI", body)
    if zero or kind not in (1, 2, 3) or n > 255 or 48 + n > len(body) or (kind == 1) != (n == 0) or (target == 0) != (tid == ZERO_ID):
        raise Corrupt(offset, "REF fields are wrong")
    name = bytes(body[48:48 + n])
    string(name, offset)
    if kind == 2 and 4 <= n <= 32 and all(c in b"0123456789abcdefABCDEF" for c in name):
        raise Corrupt(offset, "label looks like an id")
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
    if sealed != offset:
        raise Corrupt(offset, "SEAL's field is not its own offset")
    return sealed


End = namedtuple("End", "start previous commit head ref tombstone segment regions sealed highest kept chain previous_chain offset number end")


def end_record(body, rec):
    """4.10"""
    need(body, 128, rec.offset, END)
    trailer = struct.pack("<QQ", rec.offset, rec.salt) + TRAILER_MAGIC
    if len(body) % 8 or bytes(body[-24:]) != trailer or any(body[104:-24]):
        raise Corrupt(rec.offset, "END trailer or padding is wrong")
    return End(*struct.unpack_from("<13Q", body), rec.offset, rec.number, rec.end)


# ---------------------------------------------------------------- section 6: identity

def region_root(pages, hashes):
    """Root of a region of `pages` pages; hashes: {page: (anything, hash)} of the pages that are not zeros by absence."""
    if pages <= 4 * len(hashes) + 1024:
        get, none = hashes.get, (0, ZERO_PAGE_HASH)
        level, k = b"".join([get(p, none)[1] for p in range(pages)]), 0
        while len(level) > 16:
            k += 1
            level = b"".join([xxh3_128(k, level[i:i + 256]) for i in range(0, len(level), 256)])
        return level
    nodes, count, default, k = {p: h[1] for p, h in hashes.items()}, pages, ZERO_PAGE_HASH, 0    # sparse: zero subtrees once
    while count > 1:
        k += 1
        groups = {i >> 4 for i in nodes} | {(count - 1) >> 4}
        nodes = {g: xxh3_128(k, b"".join([nodes.get(i, default) for i in range(16 * g, min(16 * g + 16, count))])) for g in groups}
        default = xxh3_128(k, default * 16)
        count = (count + 15) >> 4
    return nodes.get(0, default)


def visible_pages(region, pages):
    """Only the pages inside the region and not excluded."""
    n = region.pages
    if region.starts or any(p >= n for p in pages):
        return {p: v for p, v in pages.items() if p < n and not region.excluded(p)}
    return pages


def state_root(table, page_map):
    """page_map: {region id: {page: (offset, hash)}}, already only visible pages."""
    out = []
    for r in table:
        out.append(struct.pack("<I", len(r.name)) + r.name + struct.pack("<QQ", r.bytes, r.address if r.flags & 1 else 0))
        out.append(region_root(r.pages, page_map.get(r.id, {})))
    return xxh3_128(0, b"".join(out))


def snapshot_id(history, c):
    return xxh3_128(0, history + struct.pack("<Q16s16sQ16sI", c.sequence, c.parent_id, c.root, c.time, c.meta_hash, len(c.label)) + c.label)


# ---------------------------------------------------------------- section 3: transactions, opening

class Transaction:
    def __init__(self, records, end):
        self.records, self.end, self.start = records, end, records[0].offset


class Archive:
    """A file (or a stream stored in one) opened by the rules of section 3."""

    def __init__(self, data):
        self.data = data
        self.size = len(data)
        self.view = memoryview(data)
        self.limit = self.size          # the history ends here
        self.torn = 0
        self.damage = []                # [(offset, text)]
        self.notes = []
        self.last_end = None
        self.close_missing = False
        self.salt = None
        self.bodies, self.pages_, self.maps, self.unpacked_ = {}, {}, OrderedDict(), OrderedDict()
        self.unpacked_bytes = 0
        self.current = {}               # verify: latest decoded content of (region, page)
        self.open()

    # -- records by offset
    def header(self, offset):
        return record_header(self.view[offset:offset + 64], offset, self.salt)

    def body(self, rec):
        if rec.end > self.size:
            raise ShortInput(rec.offset, "bytes end inside a record body")
        return record_body(rec, self.view[rec.offset + 64:rec.end])

    def record(self, offset, kind, before, what):
        """Body of an earlier record of a stated type."""
        if offset % 8 or offset >= before or offset + 64 > self.limit or (offset == 0 and kind != SEGMENT):
            raise Corrupt(before, f"{what}: {offset} is no earlier record")
        key = (offset, kind)
        if key not in self.bodies:
            rec = self.header(offset)
            if rec.type != kind or rec.end > self.limit:
                raise Corrupt(offset, f"{what}: not a {TYPE_NAMES[kind]}")
            parsed = self.body(rec)
            if kind != PAGES:
                parsed = {SEGMENT: segment, REGIONS: regions, INDEX: index, COMMIT: commit, REF: ref, TOMBSTONE: tombstone,
                          META: lambda b, o: bytes(b)}[kind](parsed, offset)
                if kind == INDEX:       # may be large: not kept
                    return parsed
            self.bodies[key] = parsed
        return self.bodies[key]

    def pages(self, offset, before, region=None):
        p = self.pages_.get(offset)
        if p is None:
            p = self.pages_[offset] = PagesRecord(self.record(offset, PAGES, before, "PAGES"), offset)
        if offset >= before or (region is not None and p.region != region):
            raise Corrupt(before, f"{offset} is no earlier PAGES record of region {region}")
        return p

    # -- opening
    def open(self):
        if self.size == 0:
            raise NotAnArchive("not an archive (empty or cut at birth)")
        first = None
        try:
            rec = self.header(0)
            self.salt = rec.salt
            if rec.type == SEGMENT:
                body = self.body(rec)
                first = rec
        except Corrupt:
            pass
        if first:
            self.first_segment = segment(body, 0)
            self.alignment = self.first_segment.alignment
            if self.alignment == 8:
                return self.open_stream()
        self.alignment = 4096
        last = self.step_back()                                                   # (1)
        if last is None and first is None:
            raise NotAnArchive("not an archive (empty or cut at birth)")
        self.last_end = last
        if last:
            self.salt = self.header(last.offset).salt
        sealed = self.sealed_bytes(last) if last else 0                            # (2)
        prev = (0, 0, 0)
        if sealed:
            prev_end = self.end_before(sealed)
            if prev_end is None:                                                   # (5)
                self.damage.append((sealed - 4096, "no valid END before the sealed bytes' end"))
            prev = prev_end and (prev_end.offset, prev_end.chain, prev_end.number)
        else:
            prev_end = None
        pos, why = sealed, None                                                    # (3)
        while pos < self.size and not self.closing_seal(pos):
            try:
                t = self.read_transaction(pos, prev)
            except Corrupt as e:
                why = e
                break
            pos, prev_end = t.end.end, t.end
            prev = (prev_end.offset, prev_end.chain, prev_end.number)
        if why is not None:                                                        # (4)
            number = 1 + (prev[2] if prev else 0)
            if self.damage or self.is_corruption(pos, number):
                self.damage.append((pos, str(why)))
            else:
                self.torn, self.limit, self.last_end = self.size - pos, pos, prev_end
        if self.last_end:
            try:
                self.record(self.last_end.segment, SEGMENT, self.last_end.offset, "newest SEGMENT")
            except Corrupt as e:
                self.damage.append((e.offset, str(e)))
        if not first and not self.damage and self.limit:
            self.damage.append((0, "the first SEGMENT is damaged"))

    def end_before(self, pos):
        """The valid END whose trailer ends at pos, or None."""
        if pos < 192 or self.view[pos - 8:pos] != TRAILER_MAGIC:
            return None
        offset, salt = struct.unpack_from("<QQ", self.view, pos - 24)
        if offset % 8 or not pos - 65536 <= offset <= pos - 192:
            return None
        try:
            rec = self.header(offset)
            if rec.type != END or rec.end != pos or rec.salt != salt:
                return None
            return end_record(self.body(rec), rec)
        except Corrupt:
            return None

    def step_back(self):
        pos = self.size - self.size % 4096
        while pos > 0:
            end = self.end_before(pos)
            if end:
                return end
            pos -= 4096
        return None

    def seal_at(self, pos):
        try:
            rec = self.header(pos)
            if rec.type == SEAL and not rec.flags:
                seal(self.body(rec), pos)
                return rec
        except Corrupt:
            pass
        return None

    def closing_seal(self, pos):
        """A file may end with a SEAL."""
        rec = self.alignment == 4096 and pos % 4096 == 0 and pos > 0 and self.seal_at(pos)
        return bool(rec) and rec.end == self.size

    def sealed_bytes(self, last):
        sealed = last.sealed
        if sealed % 4096 or sealed > last.start:
            self.damage.append((last.offset, "END's sealed bytes are wrong"))
            sealed = 0
        return last.end if self.seal_at(last.end) else sealed

    def is_corruption(self, damage, number):
        pos = self.data.find(MAGIC, damage + 1)
        while pos >= 0:
            if pos % 8 == 0:
                try:
                    rec = self.header(pos)
                    if rec.number > number and not rec.flags & FLOATING:
                        return True
                    if rec.type == SEAL and self.seal_at(pos):
                        return True
                except Corrupt:
                    pass
            pos = self.data.find(MAGIC, pos + 1)
        return False

    def read_transaction(self, pos, prev):
        """A whole transaction with all hashes.  prev: (END offset, chain, number) before it, None when not known."""
        records, chain = [], xxhash.xxh3_64(seed=self.salt)
        start = pos
        if pos % self.alignment:
            raise Corrupt(pos, "transaction is not aligned")
        while True:
            rec = self.header(pos)
            body = self.body(rec)
            records.append(rec)
            if rec.number != records[0].number or (prev and rec.number <= prev[2]):
                raise Corrupt(pos, "transaction number is wrong")
            if rec.type == CLOSE:
                raise Corrupt(pos, "CLOSE inside a transaction")
            if rec.type == END:
                break
            chain.update(struct.pack("<Q", rec.header_hash))
            pos = rec.end
        end = end_record(body, rec)
        if end.start != start or end.chain != chain.intdigest():
            raise Corrupt(rec.offset, "END: start or chain is wrong")
        if prev and (end.previous, end.previous_chain) != prev[:2]:
            raise Corrupt(rec.offset, "END: previous END or its chain is wrong")
        if rec.end % self.alignment:
            raise Corrupt(rec.offset, "END does not end at the alignment")
        return Transaction(records, end)

    def open_stream(self):
        """A stream stored in a file: forward from 0 to CLOSE."""
        pos, prev, self.close_missing = 0, (0, 0, 0), True
        count = 0
        while pos < self.size:
            try:
                rec = self.header(pos)
                if rec.type == CLOSE:
                    check_close(rec, self.body(rec), prev, count)
                    self.close_missing, self.limit = False, rec.end
                    if rec.end != self.size:
                        self.damage.append((rec.end, "bytes after CLOSE"))
                    return
                t = self.read_transaction(pos, prev)
            except Corrupt as e:
                if not isinstance(e, ShortInput):
                    self.damage.append((pos, str(e)))
                self.torn, self.limit = self.size - pos, pos
                return
            self.last_end, pos, count = t.end, t.end.end, count + 1
            prev = (t.end.offset, t.end.chain, t.end.number)

    # -- what is in it
    def scan(self, kind):
        """After damage: every valid record of a kind, in file order."""
        pos = self.data.find(MAGIC)
        while 0 <= pos < self.limit:
            if pos % 8 == 0:
                try:
                    if self.header(pos).type == kind:
                        yield self.record(pos, kind, self.limit, "found")
                except Corrupt:
                    pass
            pos = self.data.find(MAGIC, pos + 1)

    def linked(self, kind):
        """All records of a `previous` chain, oldest first; by scanning where the chain is damaged."""
        if not self.last_end:
            return list(self.scan(kind)) if self.damage else []
        out, pos, before = [], {COMMIT: self.last_end.commit, REF: self.last_end.ref, TOMBSTONE: self.last_end.tombstone}[kind], self.last_end.offset
        try:
            while pos:
                out.append(self.record(pos, kind, before, "previous"))
                pos, before = out[-1].previous, pos
            return out[::-1]
        except Corrupt as e:
            self.damage.append((e.offset, str(e)))
            return list(self.scan(kind))

    def snapshots(self):
        """COMMITs that are not dropped, in file order."""
        dropped = {t.id for t in self.linked(TOMBSTONE)}
        return [c for c in self.linked(COMMIT) if c.id not in dropped]

    def refs(self):
        out = {}
        for r in self.linked(REF):
            out[r.kind, r.name] = r
        return [r for (k, _), r in sorted(out.items()) if r.target and k != 1]

    # -- 4.5: to find a page
    def index_map(self, c):
        """{region: {page: (record, hash)}} by the INDEXes."""
        return self.build_map("index", c, lambda c: self.index_step(c))

    def replay_map(self, c):
        """The same from the PAGES of the base chain alone."""
        return self.build_map("replay", c, lambda c: (c.base, self.replay_step(c)))

    def build_map(self, kind, c, step):
        todo = []
        while True:
            result = self.maps.get((kind, c.offset))
            if result is not None:
                self.maps.move_to_end((kind, c.offset))
                break
            below, layer = step(c)
            todo.append((c.offset, layer))
            if not below:
                result = {}
                break
            c = self.record(below, COMMIT, c.offset, "base")
        for offset, layer in reversed(todo):
            result = dict(result)
            for rid, pages in layer.items():
                result[rid] = {**result[rid], **pages} if rid in result else pages
        if todo:
            self.maps[kind, todo[0][0]] = result
            while len(self.maps) > 2 and sum(len(p) for m in self.maps.values() for p in m.values()) > 4_000_000 or len(self.maps) > 32:
                self.maps.popitem(last=False)
        return result

    def index_step(self, c):
        head = self.record(c.index, INDEX, c.offset, "INDEX")
        if head.kind == 1 and head.below != c.base:
            raise Corrupt(c.index, "INDEX list: below is not the base")
        if head.below and not head.below < c.start:
            raise Corrupt(c.index, "INDEX: below is not earlier")
        layer = {}
        for rid, page, count, offset in index_entries(head, c.index):
            p = self.pages(offset, c.index, rid)
            into = layer.setdefault(rid, {})
            if head.kind == 1:
                if offset < c.start or (p.pages[0], p.pages[-1]) != (page, page + count - 1):
                    raise Corrupt(c.index, "INDEX list entry does not fit its record")
                into.update(p.entries())
            else:
                i = p.position(page)
                if i is None or p.position(page + count - 1) != i + count - 1:
                    raise Corrupt(c.index, "INDEX map entry names pages that its record lacks")
                entries = p.entries()
                for q in range(page, page + count):
                    into[q] = entries[q]
        return head.below, layer

    def replay_step(self, c):
        layer, pos = {}, c.start
        while pos < c.offset:
            rec = self.header(pos)
            if rec.type == PAGES:
                p = self.pages(pos, c.offset)
                layer.setdefault(p.region, {}).update(p.entries())
            pos = rec.end
        if pos != c.offset:
            raise Corrupt(c.offset, "transaction start is wrong")
        return layer

    # -- 4.4: page contents
    def unpacked(self, p):
        data = self.unpacked_.get(p.offset)
        if data is None:
            data = self.unpacked_[p.offset] = p.unpack()
            self.unpacked_bytes += 3 * p.unpacked + 1024
            while self.unpacked_bytes > 768 * MIB:
                old, _ = self.unpacked_.popitem(last=False)
                self.unpacked_bytes -= 3 * self.pages_[old].unpacked + 1024
        else:
            self.unpacked_.move_to_end(p.offset)
        return data

    def page(self, offset, region, page):
        """Decodes one page through its chain and checks its hash."""
        before, links, acc, want, at = self.limit, 0, 0, None, offset
        while True:
            p = self.pages(at, before, region)
            i = p.position(page)
            if i is None:
                raise Corrupt(before, f"base record {at} lacks page {page}")
            if want is None:
                want = p.hash(i)
            if p.coder != 3:
                content = p.whole(self.unpacked(p) if p.coder else b"", i)
                break
            known = at != offset and self.current.get((region, page))
            if known and known[0] == at:
                content = known[1]
                break
            links += 1
            if links > MAX_LINKS:
                raise Corrupt(offset, f"page {page}: delta chain of more than {MAX_LINKS} links")
            acc ^= self.unpacked(p).mask(i)
            before, at = at, p.bases[i]
        if links:
            content = (int.from_bytes(content, "little") ^ acc).to_bytes(PAGE, "little")
        if content is not ZERO_PAGE and xxh3_128(0, content) != want:
            raise Corrupt(offset, f"region {region} page {page}: page hash is wrong")
        return content

    # -- 4.6, 6
    def history(self, before):
        seg = self.last_end.segment if self.last_end else 0
        return self.record(seg if seg < before else 0, SEGMENT, before, "SEGMENT").history

    def table(self, c):
        next_id, table = self.record(c.regions, REGIONS, c.offset, "REGIONS")
        if len(table) != c.regions_count or sum(r.pages for r in table) != c.pages_all:
            raise Corrupt(c.offset, "COMMIT's count of regions or pages is wrong")
        return table

    def check_identity(self, c, table, page_map, history):
        if state_root(table, page_map) != c.root:
            raise Corrupt(c.offset, "state root is wrong")
        m = self.record(c.metadata, META, c.offset, "META") if c.metadata else b""
        if xxh3_128(0, m) != c.meta_hash:
            raise Corrupt(c.offset, "metadata hash is wrong")
        if snapshot_id(history, c) != c.id:
            raise Corrupt(c.offset, "snapshot id is wrong")

    def restore(self, wanted, folder):
        found = [c for c in self.snapshots() if c.id.hex().startswith(wanted.lower())]
        if len(found) != 1 or len(wanted) < 4:
            raise NoSuchSnapshot(f"{len(found)} snapshots have the id {wanted}")
        c = found[0]
        table = self.table(c)
        history = self.history(c.offset)

        def view(full):
            return {r.id: visible_pages(r, full.get(r.id, {})) for r in table}
        try:
            page_map = view(self.index_map(c))
            self.check_identity(c, table, page_map, history)
        except Corrupt as e:
            self.notes.append(f"index not used ({e}); pages replayed from the base chain")
            page_map = view(self.replay_map(c))
            self.check_identity(c, table, page_map, history)
        write_regions(folder, table, lambda r: ((p, self.page(page_map[r.id][p][0], r.id, p)) for p in sorted(page_map[r.id])))
        return c


def check_close(rec, body, prev, count):
    """4.11"""
    need(body, 16, rec.offset, CLOSE)
    if struct.unpack_from("<Q", body)[0] != count or rec.number < prev[2]:
        raise Corrupt(rec.offset, "CLOSE does not fit the transactions before it")


def file_name(name):
    return "".join(chr(b) if chr(b).isascii() and (chr(b).isalnum() or b in b"._-") else f"%{b:02X}" for b in name) + ".bin"


def write_regions(folder, table, pages_of):
    """All regions to temporary names; renamed only when every page was good."""
    os.makedirs(folder, exist_ok=True)
    done = []
    try:
        for n, r in enumerate(table):
            temp = os.path.join(folder, f".svp-{os.getpid()}-{n}.tmp")
            done.append((temp, os.path.join(folder, file_name(r.name))))
            with open(temp, "wb") as f:
                f.truncate(r.bytes)
                at = 0
                for page, content in pages_of(r):
                    if content is not ZERO_PAGE:
                        if at != page:
                            f.seek(page * PAGE)
                        f.write(content)
                        at = page + 1
        for temp, final in done:
            os.replace(temp, final)
    finally:
        for temp, _ in done:
            if os.path.exists(temp):
                os.unlink(temp)


# ---------------------------------------------------------------- verify

class Verifier:
    def __init__(self, archive):
        self.a = archive
        self.findings = []
        self.stream = archive.alignment == 8
        self.state = dict(prev_end=None, known=True, commit=0, head=0, ref=0, tombstone=0, segment=0, regions=0, highest=0, kept=0,
                          sealed=0, max_sequence=0, prev_start=0)
        self.segments, self.commits, self.dropped, self.names = [], {}, {}, {}
        self.depths, self.bad_pages, self.boundaries, self.last_stored = {}, set(), {0}, {}
        self.masks, self.masks_known = (0, 0, 0), True

    def find(self, offset, text):
        self.findings.append(f"at {offset}: {text}")

    def guard(self, f, *args):
        try:
            return f(*args)
        except Corrupt as e:
            self.findings.append(str(e))
            return None

    def check(self, ok, offset, text):
        if not ok:
            self.find(offset, text)

    def run(self):
        a = self.a
        pos, prev, tries = 0, (0, 0, 0), 0
        count = 0
        while pos < a.limit and not a.closing_seal(pos):
            try:
                if self.stream and a.header(pos).type == CLOSE:
                    rec = a.header(pos)
                    self.guard(check_close, rec, a.body(rec), prev or (0, 0, 0), count)
                    pos = rec.end
                    break
                t = a.read_transaction(pos, prev)
            except Corrupt as e:
                self.findings.append(f"damage at {pos}: {e}")
                pos = a.data.find(MAGIC, pos + 8)             # resynchronise at the next whole transaction
                while 0 <= pos < a.limit and tries < 4096:
                    if pos % a.alignment == 0:
                        tries += 1
                        try:
                            a.read_transaction(pos, None)
                            break
                        except Corrupt:
                            pass
                    pos = a.data.find(MAGIC, pos + 8)
                else:
                    break
                if pos < 0:
                    break
                prev, self.state["known"], self.masks_known = None, False, False
                continue
            if t.end.end > a.limit:
                break
            count += 1
            self.transaction(t)
            pos = t.end.end
            prev = (t.end.offset, t.end.chain, t.end.number)
        for offset, text in a.damage:
            if not any(f.startswith(f"damage at {offset}:") for f in self.findings):
                self.findings.append(f"damage at {offset}: {text}")
        if a.close_missing:
            self.find(a.limit, "the end of the stream is missing (no CLOSE)")
        return self.state["kept"] if not self.findings else len([c for c in self.commits.values() if c.id not in self.dropped])

    # -- one transaction, records in order
    def transaction(self, t):
        st, end = self.state, t.end
        rank, seen, by_type = -1, set(), {}
        for rec in t.records:
            by_type.setdefault(rec.type, []).append(rec)
            if rec.type not in ORDER:
                continue
            self.check(ORDER[rec.type] >= rank, rec.offset, f"{TYPE_NAMES[rec.type]} out of order")
            rank = max(rank, ORDER[rec.type])
            self.check(rec.type not in seen or rec.type in REPEATABLE, rec.offset, f"second {TYPE_NAMES[rec.type]} in a transaction")
            seen.add(rec.type)
        if t.start == 0:
            self.check(t.records[0].type == SEGMENT, 0, "the first record is no SEGMENT")
        if self.stream:
            self.check(not seen & {SEAL, REF}, t.start, "SEAL or REF in a stream")
        else:
            self.floating_and_seal(t, by_type)
        for rec in by_type.get(SEGMENT, []):
            self.guard(self.segment, rec)
        for rec in by_type.get(REGIONS, []):
            self.guard(self.regions, rec)
        for rec in by_type.get(META, []):
            self.guard(lambda r: meta(self.a.body(r), r.offset), rec)
        pages, taken = [], set()
        for rec in by_type.get(PAGES, []):
            p = self.guard(self.a.pages, rec.offset, self.a.limit)
            if p is None:
                continue
            pages.append(p)
            keys = {(p.region, i) for i in p.pages}
            self.check(not keys & taken, rec.offset, "a page occurs twice in a transaction")
            taken |= keys
            self.guard(self.pages, p)
        for p in pages:
            for i in p.pages:
                self.last_stored[p.region, i] = p.offset
        for rec in by_type.get(INDEX, []):
            self.guard(self.index, rec, pages)
        commits = [c for c in (self.guard(self.a.record, r.offset, COMMIT, self.a.limit, "COMMIT") for r in by_type.get(COMMIT, [])) if c]
        for c in commits:
            self.commit(c, t, by_type, pages)
        for rec in by_type.get(REF, []):
            self.guard(self.ref, rec)
        for rec in by_type.get(TOMBSTONE, []):
            self.guard(self.tombstone, rec)
        self.end(end, t)
        st.update(prev_end=end, known=True, commit=end.commit, head=end.head, ref=end.ref, tombstone=end.tombstone, segment=end.segment,
                  regions=end.regions, highest=end.highest, kept=end.kept, sealed=end.sealed, prev_start=end.start)
        self.boundaries.add(end.end)

    def floating_and_seal(self, t, by_type):
        st = self.state
        floats = {rec.flags & FLOATING for rec in t.records if rec.type != SEAL}
        self.check(len(floats) == 1, t.start, "FLOATING is not the same in all headers of a transaction")
        floating = FLOATING in floats
        for rec in by_type.get(SEAL, []):
            self.check(not rec.flags & FLOATING, rec.offset, "SEAL with FLOATING")
            self.check(rec.offset == t.start, rec.offset, "SEAL is not the first record")
            self.guard(seal, self.a.body(rec), rec.offset)
        sealed, end = t.records[0].type == SEAL, t.end
        if t.start == 0:
            self.check(not floating, 0, "FLOATING in the first transaction")
            self.check(end.sealed == 0, end.offset, "sealed bytes in the first transaction")
        else:
            self.check(not (floating and sealed), t.start, "FLOATING after a SEAL")
            self.check(floating or sealed, t.start, "neither FLOATING nor a SEAL before it")
            if sealed:
                self.check(end.sealed == t.start, end.offset, "END's sealed bytes differ from the SEAL's")
            elif st["known"]:
                self.check(end.sealed <= st["prev_start"] or not floating, end.offset, "END's sealed bytes cover a floating transaction")
        if st["known"]:
            self.check(end.sealed >= st["sealed"] and end.sealed in self.boundaries, end.offset, "END's sealed bytes are wrong")

    def segment(self, rec):
        s = self.a.record(rec.offset, SEGMENT, self.a.limit, "SEGMENT")
        self.findings += segment_names_missing(s, rec.offset)
        masks = (s.incompatible, s.ro_compatible, s.compatible)
        self.check(all(m & o == o for m, o in zip(masks, self.masks)), rec.offset, "feature masks are not cumulative")
        self.masks = tuple(m | o for m, o in zip(masks, self.masks))
        if self.segments:
            f = self.segments[0]
            self.check((s.file, s.history, s.alignment) == (f.file, f.history, f.alignment), rec.offset, "SEGMENTs disagree")
        self.segments.append(s)
        self.state["segment"] = rec.offset

    def regions(self, rec):
        _, table = self.a.record(rec.offset, REGIONS, self.a.limit, "REGIONS")
        for r in table:
            self.check(self.names.setdefault(r.id, r.name) == r.name, rec.offset, f"region id {r.id} is used again for another region")
        self.state["regions"] = rec.offset

    def pages(self, p):
        """Decodes every page of a record; contents are kept so that the next delta is one step."""
        a = self.a
        depth = self.depths[p.offset] = bytearray(p.n)
        self.check(p.coder != 3 or self.masks[0] & 2 or not self.masks_known, p.offset, "coder 3 without the feature xor-runs")
        self.check(len(p.payload) == p.unpacked or self.masks[0] & 1 or not self.masks_known, p.offset, "Zstandard without the feature zstd")
        for i, page in enumerate(p.pages):
            try:
                if p.coder == 3:
                    b = p.bases[i]
                    j = a.pages(b, p.offset, p.region).position(page)
                    if j is None:
                        raise Corrupt(p.offset, f"base record {b} lacks page {page}")
                    if b not in self.depths:
                        raise Corrupt(p.offset, f"base record {b} is damaged")
                    depth[i] = min(255, self.depths[b][j] + 1)
                    if depth[i] > MAX_LINKS:
                        raise Corrupt(p.offset, f"page {page}: delta chain of more than {MAX_LINKS} links")
                    if self.stream:
                        self.check(self.last_stored.get((p.region, page)) == b, p.offset, f"page {page}: base is not the last record of the stream")
                content = a.page(p.offset, p.region, page)
            except Corrupt as e:
                self.bad_pages.add((p.offset, page))
                if str(e) not in self.findings[-1:]:
                    self.findings.append(str(e))
                continue
            if len(a.current) < 262144 or (p.region, page) in a.current:
                a.current[p.region, page] = (p.offset, content)

    def index(self, rec, pages):
        head = self.a.record(rec.offset, INDEX, self.a.limit, "INDEX")
        self.check(struct.unpack_from("<II", self.a.body(rec), 16)[1] == len(head.data) or self.masks[0] & 1 or not self.masks_known, rec.offset, "Zstandard without the feature zstd")
        got = [e[3] for e in index_entries(head, rec.offset)]
        if head.kind == 1:
            self.check(sorted(got) == [p.offset for p in pages], rec.offset, "INDEX list does not name the PAGES of its transaction")

    def commit(self, c, t, by_type, pages):
        a, st, o = self.a, self.state, c.offset
        check = self.check
        check(c.start == t.start, o, "COMMIT: transaction start is wrong")
        check([r.offset for r in by_type.get(INDEX, [])] == [c.index], o, "COMMIT: INDEX is not its transaction's")
        check(not by_type.get(META) or by_type[META][0].offset == c.metadata, o, "COMMIT: META of its transaction is not used")
        check(c.pages_stored == sum(p.n for p in pages), o, "COMMIT: pages stored is wrong")
        check(c.delta_bytes == sum(len(p.payload) for p in pages if p.coder == 3), o, "COMMIT: delta payload bytes are wrong")
        check(c.key_bytes == sum(len(p.payload) for p in pages if p.coder != 3), o, "COMMIT: key payload bytes are wrong")
        check(c.sequence > st["max_sequence"] and c.id not in self.commits, o, "COMMIT: sequence does not rise, or the id is there twice")
        st["max_sequence"] = max(st["max_sequence"], c.sequence)
        if st["known"]:
            check(c.previous == st["commit"], o, "COMMIT: previous is wrong")
        by_offset = {k.offset: k for k in self.commits.values()}
        base = by_offset.get(c.base)
        if c.base or c.base_id != ZERO_ID:
            check(base and base.id == c.base_id, o, "COMMIT: base is wrong")
        check(c.depth == 1 + (base.depth if base else 0), o, "COMMIT: depth is wrong")
        if c.parent:
            check(c.parent in by_offset and by_offset[c.parent].id == c.parent_id, o, "COMMIT: parent is wrong")
        else:
            check(c.parent_id not in self.commits, o, "COMMIT: parent's offset is missing")
        if self.stream and st["known"]:
            check(c.base == st["commit"], o, "COMMIT: base in a stream is not the COMMIT before it")
        st["commit"] = o
        if not c.flags & NO_HEAD:
            st["head"] = o
        st["kept"] += 1
        self.commits[c.id] = c
        self.guard(self.snapshot, c)

    def snapshot(self, c):
        a = self.a
        table = a.table(c)
        via_replay = a.replay_map(c)
        via_index = self.guard(a.index_map, c)
        view = {r.id: visible_pages(r, via_replay.get(r.id, {})) for r in table}
        if via_index is not None and via_index != via_replay:
            for r in table:
                x, y = visible_pages(r, via_index.get(r.id, {})), view[r.id]
                wrong = sorted(p for p in x.keys() | y.keys() if x.get(p) != y.get(p))
                if wrong:
                    self.find(c.offset, f"snapshot {c.id.hex()}: INDEX and base chain disagree on region {r.id}, {len(wrong)} pages from {wrong[0]}")
        if self.bad_pages:
            bad = [(r.id, p) for r in table for p, v in view[r.id].items() if (v[0], p) in self.bad_pages]
            if bad:
                self.find(c.offset, f"snapshot {c.id.hex()}: {len(bad)} damaged pages, first region {bad[0][0]} page {bad[0][1]}")
        history = self.segments[-1].history if self.segments else a.history(c.offset)
        a.check_identity(c, table, view, history)

    def ref(self, rec):
        r = self.a.record(rec.offset, REF, self.a.limit, "REF")
        if self.state["known"]:
            self.check(r.previous == self.state["ref"], rec.offset, "REF: previous is wrong")
        if r.target:
            c = self.a.record(r.target, COMMIT, rec.offset, "REF target")
            self.check(c.id == r.id, rec.offset, "REF: target id is wrong")
        self.state["ref"] = rec.offset
        if r.kind == 1:
            self.state["head"] = r.target

    def tombstone(self, rec):
        d = self.a.record(rec.offset, TOMBSTONE, self.a.limit, "TOMBSTONE")
        if self.state["known"]:
            self.check(d.previous == self.state["tombstone"], rec.offset, "TOMBSTONE: previous is wrong")
        self.state["tombstone"] = rec.offset
        self.check(d.id not in self.dropped, rec.offset, "TOMBSTONE: the snapshot was dropped before")
        self.check(d.commit or d.id not in self.commits, rec.offset, "TOMBSTONE: COMMIT's offset is missing")
        self.dropped[d.id] = d
        if d.commit:
            c = self.a.record(d.commit, COMMIT, rec.offset, "TOMBSTONE's COMMIT")
            self.check((c.id, c.parent_id, c.sequence) == (d.id, d.parent_id, d.sequence), rec.offset, "TOMBSTONE does not fit its COMMIT")
            self.state["kept"] -= 1

    def end(self, e, t):
        st = self.state
        known_highest = max([st["max_sequence"]] + [d.sequence for d in self.dropped.values()])
        self.check(e.highest >= known_highest and e.highest >= st["highest"], e.offset, "END: highest sequence is wrong")
        if st["known"]:
            for field in ("commit", "head", "ref", "tombstone", "segment", "regions", "kept"):
                self.check(getattr(e, field) == st[field], e.offset, f"END: {field} is {getattr(e, field)}, not {st[field]}")


# ---------------------------------------------------------------- section 7: a stream in one pass

class StreamReader:
    """Keeps the current content of every page and the offset of its record; nothing else of the past but hashes."""

    def __init__(self, source, on_commit=lambda c: None):
        self.source, self.on_commit = source, on_commit
        self.offset, self.salt = 0, None
        self.content, self.hashes, self.links = {}, {}, {}   # (region, page) -> page; region -> {page: (record, hash)}; links
        self.table, self.last, self.segment = None, None, None
        self.prev, self.count, self.closed = (0, 0, 0), 0, False

    def read(self, n):
        parts = []
        while n:
            part = self.source.read(min(n, MIB))
            if not part:
                break
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def record(self):
        h = self.read(64)
        if not h:
            return None, None
        rec = record_header(h, self.offset, self.salt)
        padded = self.read(rec.end - rec.offset - 64)
        if len(padded) != pad8(rec.length):
            raise ShortInput(rec.offset, "bytes end inside a record body")
        self.salt, self.offset = rec.salt, rec.end
        return rec, record_body(rec, memoryview(padded))

    def run(self):
        while self.transaction():
            pass

    def transaction(self):
        rec, body = self.record()
        if rec is None:
            if self.segment is None:
                raise NotAnArchive("not an archive (empty or cut at birth)")
            return False
        if self.segment is None and rec.type != SEGMENT:
            raise NotAnArchive("not an archive (no SEGMENT first)")
        if rec.type == CLOSE:
            check_close(rec, body, self.prev, self.count)
            self.closed = True
            if self.read(1):
                raise Corrupt(self.offset, "bytes after CLOSE")
            return False
        start, number, chain = rec.offset, rec.number, xxhash.xxh3_64(seed=self.salt)
        if number <= self.prev[2]:
            raise Corrupt(start, "transaction number does not rise")
        new, new_hashes, links, table, m, c = {}, {}, {}, self.table, (0, b""), None
        seg = self.segment
        while rec.type != END:
            if rec.number != number:
                raise Corrupt(rec.offset, "transaction number is wrong")
            if rec.type == SEGMENT:
                seg = segment(bytes(body), rec.offset)
                if seg.alignment != 8:
                    raise NotAnArchive("a file archive, not a stream (alignment 4096)")
                if self.segment is None:
                    self.segment = seg              # known: an archive
            elif rec.type == REGIONS:
                table = (rec.offset, regions(body, rec.offset)[1])
            elif rec.type == META:
                meta(body, rec.offset)
                m = (rec.offset, bytes(body))
            elif rec.type == PAGES:
                self.pages(PagesRecord(body, rec.offset), new, new_hashes, links)
            elif rec.type == COMMIT:
                if c:
                    raise Corrupt(rec.offset, "second COMMIT in a transaction")
                c = commit(body, rec.offset)
            elif rec.type in (SEAL, REF, CLOSE):
                raise Corrupt(rec.offset, f"{TYPE_NAMES[rec.type]} in a stream's transaction")
            chain.update(struct.pack("<Q", rec.header_hash))
            rec, body = self.record()
            if rec is None:
                raise ShortInput(self.offset, "bytes end inside a transaction")
        e = end_record(body, rec)
        if rec.number != number or e.start != start or e.chain != chain.intdigest() or (e.previous, e.previous_chain) != self.prev[:2]:
            raise Corrupt(rec.offset, "END does not fit its transaction")
        for rid, pages in new_hashes.items():
            self.hashes.setdefault(rid, {}).update(pages)
        self.content.update(new)
        self.links.update(links)
        self.prev, self.count, self.segment = (e.offset, e.chain, number), self.count + 1, seg
        self.table = table
        if c:
            self.commit(c, seg, table, m, start)
        return True

    def pages(self, p, new, new_hashes, links):
        data = p.unpack() if p.coder else b""
        into = new_hashes.setdefault(p.region, {})
        old = self.hashes.get(p.region, {})
        for i, page in enumerate(p.pages):
            if page in into:
                raise Corrupt(p.offset, f"page {page} occurs twice in a transaction")
            key, want = (p.region, page), p.hash(i)
            if p.coder == 3:
                if page not in old or old[page][0] != p.bases[i]:
                    raise Corrupt(p.offset, f"page {page}: base is not the last record of the stream")
                links[key] = self.links.get(key, 0) + 1
                if links[key] > MAX_LINKS:
                    raise Corrupt(p.offset, f"page {page}: delta chain of more than {MAX_LINKS} links")
                content = (int.from_bytes(self.content[key], "little") ^ data.mask(i)).to_bytes(PAGE, "little")
            else:
                links[key] = 0
                content = p.whole(data, i)
            if content is not ZERO_PAGE and xxh3_128(0, content) != want:
                raise Corrupt(p.offset, f"region {p.region} page {page}: page hash is wrong")
            new[key] = ZERO_PAGE if want == ZERO_PAGE_HASH else bytes(content)
            into[page] = (p.offset, want)

    def commit(self, c, seg, table, m, start):
        o, last = c.offset, self.last[0] if self.last else None
        expect = (last.offset, last.id, last.depth + 1, last.offset) if last else (0, ZERO_ID, 1, 0)
        if (c.base, c.base_id, c.depth, c.previous) != expect or c.start != start or (last and c.sequence <= last.sequence):
            raise Corrupt(o, "COMMIT: base, depth, previous, start or sequence is wrong")
        if not table or c.regions != table[0] or c.metadata != m[0] or xxh3_128(0, m[1]) != c.meta_hash:
            raise Corrupt(o, "COMMIT: REGIONS or META is wrong")
        if len(table[1]) != c.regions_count or sum(r.pages for r in table[1]) != c.pages_all:
            raise Corrupt(o, "COMMIT's count of regions or pages is wrong")
        view = {r.id: visible_pages(r, self.hashes.get(r.id, {})) for r in table[1]}
        if state_root(table[1], view) != c.root or snapshot_id(seg.history, c) != c.id:
            raise Corrupt(o, "state root or snapshot id is wrong")
        self.last = (c, table[1])
        self.on_commit(c)

    def restore(self, folder):
        """The regions as of the last whole COMMIT (only called when nothing after it was applied in part)."""
        c, table = self.last
        view = {r.id: visible_pages(r, self.hashes.get(r.id, {})) for r in table}
        if state_root(table, view) != c.root:
            raise Corrupt(c.offset, "pages were stored after the last COMMIT")
        write_regions(folder, table, lambda r: ((p, self.content[r.id, p]) for p in sorted(view[r.id])))


# ---------------------------------------------------------------- commands

def load(path):
    with open(path, "rb") as f:
        if os.fstat(f.fileno()).st_size == 0:
            return b""
        return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)


def safe(name):
    text = name.decode("utf-8")
    return text if text.isprintable() and text.isascii() and " " not in text and text else repr(text)


def line_of(c):
    flags = [n for b, n in ((UNSYNCED, "UNSYNCED"), (NO_HEAD, "NO_HEAD"), (AUTOSAVE, "AUTOSAVE")) if c.flags & b]
    return f"{c.sequence} {c.id.hex()} {c.parent_id.hex() if c.parent_id != ZERO_ID else '-'} {c.root.hex()} {c.label.decode()!r} {','.join(flags) or '-'}"


def report_ends(a, out):
    if a.torn:
        print(f"torn {a.torn}", file=out)
    for offset in sorted({o for o, _ in a.damage}):
        print(f"damage {offset}", file=out)
    if a.close_missing:
        print("close missing", file=out)


def cmd_list(data, out):
    a = Archive(data)
    for c in a.snapshots():
        print(line_of(c), file=out)
    if a.last_end and a.last_end.head:
        try:
            print(f"head {a.record(a.last_end.head, COMMIT, a.last_end.offset, 'HEAD').id.hex()}", file=out)
        except Corrupt as e:
            a.damage.append((e.offset, str(e)))
    for r in a.refs():
        print(f"ref {('HEAD', 'label', 'pin')[r.kind - 1]} {safe(r.name)} {r.id.hex()}", file=out)
    report_ends(a, out)
    return 1 if a.damage or a.close_missing else 0


def cmd_restore(data, wanted, folder, out):
    a = Archive(data)
    c = a.restore(wanted, folder)
    print(f"restored {c.id.hex()} digest {c.root.hex()}", file=out)
    report_ends(a, out)
    for note in a.notes:
        print(note, file=out)
    return 0


def cmd_verify(data, out):
    try:
        a = Archive(data)
    except Corrupt as e:
        print(e, file=out)
        print("0 snapshots, 1 findings", file=out)
        return 6
    v = Verifier(a)
    count = v.run()
    for f in v.findings:
        print(f, file=out)
    if a.torn:
        print(f"torn: {a.torn} bytes from {a.limit} on are not part of the history", file=out)
    print(f"{count} snapshots, {len(v.findings)} findings", file=out)
    return 1 if v.findings else 0


def cmd_stream(source, folder, out):
    s = StreamReader(source, lambda c: print(line_of(c), file=out))
    code, damage = 0, None
    try:
        s.run()
    except ShortInput as e:
        damage = None
    except Corrupt as e:
        damage = e
    if s.segment is None:
        raise NotAnArchive("not an archive (empty or cut at birth)")
    if damage:
        print(f"damage {damage.offset}: {damage}", file=out)
        code = 1
    if not s.closed:
        print("close missing: the stream ended early", file=out)
        code = 1
    if folder is not None:
        if s.last is None:
            print("nothing to restore", file=out)
            return 6 if code else 0
        s.restore(folder)
        print(f"restored {s.last[0].id.hex()} digest {s.last[0].root.hex()}", file=out)
    return code


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
