"""Tiny independent writer of savepoint archives (version 0), written from SPEC.md alone: makes a corpus of test files.

usage: svp_writer_min.py FOLDER.  Shares no code with svp_reader.py, so that each checks the other.
"""
import hashlib
import os
import struct
import sys

import xxhash
import zstandard

P = 4096
SEGMENT, REGIONS, META, PAGES, INDEX, COMMIT, REF, TOMBSTONE, SEAL, END, CLOSE = range(1, 12)
HISTORY, FILE = bytes(range(16, 32)), bytes(range(32, 48))
Z16 = bytes(16)

def h64(seed, b):
    return xxhash.xxh3_64(bytes(b), seed=seed).intdigest()

def h128(seed, b):
    return xxhash.xxh3_128(bytes(b), seed=seed).digest()

def pad(b):
    return bytes(b) + bytes(-len(b) % 8)

def varint(v):
    out = bytearray()
    while v > 127:
        out.append(v & 127 | 128)
        v >>= 7
    return bytes(out) + bytes([v])

def zigzag(d):
    return varint(2 * d if d >= 0 else -2 * d - 1)

def tlv(kind, value):
    return pad(struct.pack("<HHI", kind, 0, len(value)) + value)

def squeeze(b):
    """packed: (bytes, unpacked, stored)"""
    z = zstandard.ZstdCompressor(level=9).compress(bytes(b)) if b else b""
    z = z if len(z) < len(b) else bytes(b)
    return z, len(b), len(z)

def region_root(content):
    level = [h128(0, content[i:i + P]) for i in range(0, len(content), P)]
    k = 0
    while len(level) > 1:
        level = [h128(k + 1, b"".join(level[i:i + 16])) for i in range(0, len(level), 16)]
        k += 1
    return level[0]

def xor_runs(pairs):
    """[(base, page)] -> unpacked payload of coders 3 and 4"""
    lists, data = b"", b""
    for old, new in pairs:
        d = bytes(a ^ b for a, b in zip(old, new))
        runs, i = [], 0
        while i < P:
            if d[i]:
                j = i
                while j < P and d[j]:
                    j += 1
                runs.append((i, j))
                i = j
            else:
                i += 1
        lists += varint(len(runs))
        at = 0
        for a, b in runs:
            lists += varint(a - at) + varint(b - a - 1)
            data += d[a:b]
            at = b
    return lists + data

class Snap:
    def __init__(self, **k):
        self.__dict__.update(k)

class Builder:
    def __init__(self, alignment=4096, salt=0x1122334455667788, file=FILE):
        self.align, self.salt, self.file = alignment, salt, file
        self.buf, self.n, self.hashes, self.start, self.floating = bytearray(), 0, [], 0, 0
        self.segment_at = self.regions_at = self.commit_at = self.head = self.ref_at = self.tomb_at = 0
        self.prev_end = self.chain = self.sealed = self.highest = self.kept = self.ends = 0
        self.ids, self.next_id, self.snaps, self.dropped = {}, 1, [], set()
        self.mutate = {}                 # record type -> function(bytearray body), used once
        self.mutate_header = {}          # record type -> function(bytearray header), used once, before the header hash
        self.pages_made, self.meta_at, self.meta_hash, self.features = [], 0, h128(0, b""), 3
        self.names = [(0, 0, b"zstd"), (0, 1, b"xor-runs")]

    # -- section 2
    def rec(self, kind, body, flags=None):
        body, at = bytearray(body), len(self.buf)
        if kind in self.mutate:
            body = bytearray(self.mutate.pop(kind)(body) or body)
        padded = pad(body)
        h = bytearray(b"\x89SVP\r\n\x1a\n" + struct.pack("<HHIQQQQQ", kind, (0 if kind == SEAL else self.floating) if flags is None else flags,
                                                         0, self.n, len(body), self.salt, at, h64(self.salt, padded)))
        if kind in self.mutate_header:
            self.mutate_header.pop(kind)(h)
        hh = h64(self.salt, h)
        self.buf += h + struct.pack("<Q", hh) + padded
        self.hashes.append(hh)
        return at

    # -- section 3
    def begin(self, seal=None, floating=False, number=None):
        """seal None: as the rules want it (not in the first transaction, not in streams, not when floating).  A SEAL that ends the file
        is this transaction's first record."""
        self.floating, self.pages_made, self.meta_at, self.meta_hash = int(floating), [], 0, h128(0, b"")
        if not self.sealed_end:
            self.n, self.start, self.hashes = number or self.n + 1, len(self.buf), []
            if seal if seal is not None else (self.buf and self.align == 4096 and not floating):
                self.seal()
        self.sealed_end = False
        return self

    sealed_end = False

    def seal(self):
        self.sealed = len(self.buf)
        return self.rec(SEAL, struct.pack("<QQ", len(self.buf), 77))

    def final_seal(self):
        """What a writer does when it closes the file."""
        self.begin(seal=True)
        self.sealed_end = True
        return self

    def segment(self, version=0, names=None, mask=None):
        tl = b"".join(tlv(1, bytes([m, b]) + n) for m, b, n in (self.names if names is None else names)) + tlv(2, b"savepoint-spec-writer 0") + tlv(0x7777, b"?")
        self.segment_at = self.rec(SEGMENT, struct.pack("<HHIQQQ16s16sQII", version, 0, self.align, self.features if mask is None else mask, 0, 0,
                                                        self.file, HISTORY, 1000, P, P) + tl)
        return self

    def regions(self, table):
        """table: {name: (bytes, address, mapped, excluded)}"""
        self.table = dict(sorted(table.items()))
        for name in self.table:
            if name not in self.ids:
                self.ids[name], self.next_id = self.next_id, self.next_id + 1
        body = struct.pack("<II", len(table), self.next_id)
        for name, (size, address, mapped, ex) in self.table.items():
            body += pad(struct.pack("<IIQQIHH", self.ids[name], mapped, address, size, len(ex), len(name), 0)
                        + b"".join(struct.pack("<QQ", *x) for x in ex) + name)
        self.regions_at = self.rec(REGIONS, body)
        return self

    def meta(self, items):
        body = b"".join(tlv(k, v) for k, v in items)
        self.meta_at, self.meta_hash = self.rec(META, body), h128(0, body)
        return self

    def pages(self, coder, name, wanted, state, base=None, payload=None, bases=None, hashes=None, refs=None):
        """PAGES of the pages `wanted` of state[name]; base: Snap whose map gives the bases of coders 3, 5 and 7; refs: (record, page) of
        each page, for coder 8."""
        rid, n, at = self.ids[name], len(wanted), len(self.buf)
        new = [state[name][P * i:P * i + P] for i in wanted]
        table = b"".join(varint(b - a - 1) for a, b in zip(wanted, wanted[1:]))
        btab, x = b"", at
        old = [bytes(P)] * n
        if coder in (3, 5, 7):
            where = bases or {i: base.where[rid, i] for i in wanted}
            for i in wanted:
                btab += zigzag((where[i] - x) // 8)
                x = where[i]
            old = [base.state[name][P * i:P * i + P] for i in wanted]
        raw = b"" if coder == 0 else b"".join(bytes(a ^ b for a, b in zip(o, c)) for o, c in zip(old, new))
        if coder in (3, 4):
            raw = xor_runs(list(zip(old, new)))
        if coder in (6, 7):
            raw = b"".join(raw[c::8] for c in range(8))
        if coder == 8:
            raw = b"".join(struct.pack("<QQ", *r) for r in refs or ())
        z = payload or ((raw, len(raw), len(raw)) if coder == 1 else squeeze(raw))
        hs = b"".join(h128(0, c)[:(0, 16, 16, 8, 16, 8, 16, 8, 16)[coder]] for c in new) if hashes is None else hashes
        self.rec(PAGES, struct.pack("<IHHQIIII", rid, coder, n, wanted[0], len(table), len(btab), z[1], z[2]) + table + btab + hs + z[0])
        self.pages_made.append((rid, list(wanted), at, coder, z[2]))
        return self

    def index_list(self, below=0, skip=0):
        at, out = len(self.buf), b""
        made = sorted((r, w[0], o, w[-1]) for r, w, o, _, _ in self.pages_made)
        made = made[skip:]
        for r, a, o, b in made:
            out += varint(r) + varint(a) + varint(b - a) + varint((at - o) // 8)
        z = squeeze(out)
        self.index_at = self.rec(INDEX, struct.pack("<QIIII", below, 1, len(made), z[1], z[2]) + z[0])
        return self

    def index_map(self, where, below=0, unused=(), tweak=None, count=None, surplus=b"", entries=0):
        """where: {(region id, page): record}; unused: records that no entry needs; tweak: a function of (records, rows), which may change the
        steps between the records and the four values of each entry; count: says another number of records; entries: so many more."""
        runs = []
        for (r, p), o in sorted(where.items()):
            if runs and runs[-1][0] == r and runs[-1][1] + runs[-1][2] == p and runs[-1][3] == o:
                runs[-1][2] += 1
            else:
                runs.append([r, p, 1, o])
        records = sorted({*where.values(), *unused})
        steps = [(b - a) // 8 for a, b in zip([0] + records, records)]
        rows, lr, lp = [], 0, 0
        for r, p, n, o in runs:
            rows.append([r - lr, p - (lp if r == lr else 0), n - 1, records.index(o)])
            lr, lp = r, p + n
        if tweak:
            tweak(steps, rows)
        out = varint(len(steps) if count is None else count) + b"".join(map(varint, steps))
        for column in range(4):
            out += b"".join(varint(row[column]) for row in rows if len(row) > column)
        z = squeeze(out + surplus)
        self.index_at = self.rec(INDEX, struct.pack("<QIIII", below, 2, len(runs) + entries, z[1], z[2]) + z[0])
        return self

    def where_now(self, base):
        w = dict(base.where) if base else {}
        for r, pages, o, _, _ in self.pages_made:
            w.update({(r, p): o for p in pages})
        return w

    def commit(self, state, base=None, parent="base", label=b"", flags=0, root=None, time=None):
        if parent == "base":
            parent = base
        table = b""
        full = {}
        for name, (size, address, mapped, ex) in self.table.items():
            c = bytearray(state[name])
            for a, n in ex:
                c[P * a:P * (a + n)] = bytes(P * n)
            full[name] = bytes(c)
            table += struct.pack("<I", len(name)) + name + struct.pack("<QQ", size, address if mapped else 0) + region_root(c)
        root = root or h128(0, table)
        seq = self.highest + 1
        time = time or 10 ** 18 + seq
        pid = parent.id if parent else Z16
        sid = h128(0, HISTORY + struct.pack("<Q", seq) + pid + root + struct.pack("<Q", time) + self.meta_hash + struct.pack("<I", len(label)) + label)
        made = self.pages_made
        at = self.rec(COMMIT, struct.pack("<16s16s16s16s16s14QIIIHH", sid, pid, root, self.meta_hash, base.id if base else Z16, seq, time,
                                          base.at if base else 0, parent.at if parent else 0, self.commit_at, self.regions_at, self.meta_at,
                                          self.index_at, self.start, sum(len(m[1]) for m in made), sum(t[0] // P for t in self.table.values()),
                                          sum(m[4] for m in made if m[3] in (3, 5, 7)), sum(m[4] for m in made if m[3] not in (3, 5, 7)), 5, flags,
                                          base.depth + 1 if base else 1, len(self.table), len(label), 0) + label)
        self.commit_at, self.highest, self.kept = at, seq, self.kept + 1
        if not flags & 2:
            self.head = at
        s = Snap(id=sid, at=at, seq=seq, depth=base.depth + 1 if base else 1, where=self.where_now(base), state=full, pid=pid)
        self.snaps.append(s)
        return s

    def ref(self, kind, name, snap):
        body = struct.pack("<QQ16sQHHI", self.ref_at, snap.at if snap else 0, snap.id if snap else Z16, 9, kind, len(name), 0) + name
        self.ref_at = self.rec(REF, body)
        if kind == 1:
            self.head = snap.at if snap else 0
        return self

    def tombstone(self, s):
        self.tomb_at = self.rec(TOMBSTONE, struct.pack("<Q16s16sQQQ", self.tomb_at, s.id, s.pid, s.seq, 9, s.at))
        self.kept -= 1
        self.dropped.add(s.id)
        return self

    def end(self, chain=None, **over):
        at = len(self.buf)
        chain = h64(self.salt, b"".join(struct.pack("<Q", h) for h in self.hashes)) if chain is None else chain
        f = dict(start=self.start, prev=self.prev_end, commit=self.commit_at, head=self.head, ref=self.ref_at, tomb=self.tomb_at,
                 segment=self.segment_at, regions=self.regions_at, sealed=self.sealed, highest=self.highest, kept=self.kept,
                 chain=chain, prev_chain=self.chain)
        f.update(over)
        body = struct.pack("<13Q", *f.values())
        if self.align == 4096:
            body += bytes(-(at + 64 + len(body) + 24) % 4096)
        self.rec(END, body + struct.pack("<QQ", at, self.salt) + b"SVPEND\r\n")
        self.prev_end, self.chain, self.ends = at, chain, self.ends + 1
        return self

    def close(self, count=None):
        self.n += 1
        self.rec(CLOSE, struct.pack("<QQ", self.ends if count is None else count, 99))
        return self

# ---------------------------------------------------------------- the corpus

def text_page(n, salt=0):
    return (f"page {n} of the test {salt}. ".encode() * 200)[:P]

def noise_page(n):
    return b"".join(hashlib.sha256(struct.pack("<II", n, i)).digest() for i in range(P // 32))

def edit(state, name, at, data):
    c = bytearray(state[name])
    c[at:at + len(data)] = data
    return {**state, name: bytes(c)}

TABLE = {b"heap": (4 * P, 0x10000, 0, [])}
STATE = {b"heap": text_page(0) + bytes(P) + text_page(2) + text_page(3)}
Q = edit(STATE, b"heap", 0, b"q")

def first(b=None, table=TABLE, state=STATE, mask=None, names=None):
    """Transaction 1: whole (0, 3, 2), zero (1)."""
    b = b or Builder()
    b.begin().segment(mask=mask, names=names).regions(table)
    b.pages(2, b"heap", [0, 3], state).pages(0, b"heap", [1], state).pages(2, b"heap", [2], state)
    b.index_list()
    s = b.commit(state, label=b"first")
    b.end()
    return b, s

def delta(b, base, at=100, data=b"CHANGED", coder=3, label=b"", flags=0, floating=False, parent="base", extra=None, index=None, **k):
    """A transaction with one page of `heap` changed."""
    state = edit(base.state, b"heap", at, data)
    b.begin(floating=floating)
    if extra:
        extra(b)
    b.pages(coder, b"heap", [at // P], state, base=base, **k)
    if index == "map":
        b.index_map(b.where_now(base))
    else:
        b.index_list(below=base.at)
    s = b.commit(state, base=base, label=label, flags=flags, parent=parent)
    b.end()
    return s

def flip(data, at, bit=0):
    d = bytearray(data)
    d[at] ^= 1 << bit
    return bytes(d)

def put(fmt, at, value):
    def f(body):
        struct.pack_into(fmt, body, at, value)
    return f

def longer(body):
    return body + b"from a later version"

def raw(b):
    return b, len(b), len(b)

WITH_SAME = dict(mask=67, names=Builder().names + [(0, 6, b"same")])
ALL_NAMES = [(0, i, name) for i, name in enumerate((b"zstd", b"xor-runs", b"runs", b"xor", b"shuffled", b"xor-shuffled"))]

def numbers_page(k):
    """512 numbers near each other"""
    return b"".join(struct.pack("<Q", (0x40 << 56) + (i * i * 12345 + 77777 * k * i) % (1 << 40)) for i in range(P // 8))

def bytes_state():
    return edit(edit(edit({b"heap": bytes(4 * P)}, b"heap", 0, numbers_page(0)), b"heap", P, noise_page(3)), b"heap", 2 * P, numbers_page(2))

VERDICT = {"good": "good", "torn": "torn", "bad": "damaged", "not": "not-an-archive", "unsupported": "unsupported"}

class Case:
    """name's prefix says the verdict.  kept: a file of the corpus; otherwise only a case of test_reader.py.  whole: the snapshots of
    a damaged file that a reader must restore all the same."""

    def __init__(self, name, b, text, data=None, kept=True, whole=()):
        self.name, self.text, self.kept = name + ".svp", text, kept
        self.verdict = VERDICT[name.split("-")[0]]
        self.builder = b if isinstance(b, Builder) else None
        self.data = bytes(b.buf if self.builder else b) if data is None else bytes(data)
        self.profile = "-" if self.verdict == "not-an-archive" else "stream" if self.builder and self.builder.align == 8 else "file"
        self.snaps = [s for s in b.snaps if s.id not in b.dropped] if self.builder and self.verdict in ("good", "torn") else list(whole)

def good_cases(case):
    b = Builder()
    b.begin().segment().regions(TABLE).pages(2, b"heap", [0], STATE).index_list()
    b.commit({b"heap": text_page(0) + bytes(3 * P)}, label=b"one")
    case("good-minimal", b.end().final_seal(), "one transaction, one whole page, the others zero by absence, closed with a SEAL")
    b, st = Builder(), edit(STATE, b"heap", 2 * P, noise_page(2))
    b.begin().segment().regions(TABLE).pages(2, b"heap", [0, 3], st).pages(0, b"heap", [1], st).pages(1, b"heap", [2], st).index_list()
    b.commit(st)
    case("good-coders", b.end(), "coders 0, 1 and 2, a page table with a gap; last transaction not sealed")
    for align, name in ((4096, "good-coders-delta"), (8, "good-stream-coders")):
        b, st = Builder(align), edit(bytes_state(), b"heap", 3 * P + 8, b"few bytes of a page of zeros")
        b.begin().segment(mask=63, names=ALL_NAMES).regions(TABLE).pages(6, b"heap", [0, 2], st).pages(1, b"heap", [1], st).pages(4, b"heap", [3], st).index_list()
        s = b.commit(st, label=b"keys")
        b.end()
        b.begin()
        st = edit(st, b"heap", 0, numbers_page(1))
        st = edit(st, b"heap", P, noise_page(7))
        st = edit(st, b"heap", 3 * P + 2000, b"more")
        b.pages(7, b"heap", [0], st, base=s).pages(5, b"heap", [1], st, base=s).pages(3, b"heap", [3], st, base=s).index_list(below=s.at)
        b.commit(st, base=s, parent=s, label=b"deltas")
        b.end()
        case(name, b.close() if align == 8 else b, "coders 6, 4, 7 and 5, and 3 over coder 4")
    b = Builder()
    b.begin().segment().regions({}).index_list()
    b.commit({})
    case("good-empty-regions", b.end(), "a snapshot of no regions: state root of no bytes, INDEX of no entries")
    b, s1 = first()
    s2 = delta(b, s1, label=b"left")
    delta(b, s1, at=3 * P + 5, data=b"other way", label=b"right")
    delta(b, s2, at=110, data=b"more")
    case("good-branch", b.final_seal(), "two COMMITs with one parent; deltas whose base is not the newest record")
    b, s1 = first()
    s2 = delta(b, s1)
    b.begin().ref(2, b"known good", s1).ref(3, b"p", s2).ref(1, b"", s1).end()
    b.begin().ref(2, b"gone", s1).ref(2, b"gone", None).end()
    case("good-ref-head", b, "label, pin, deleted label, and HEAD moved back by a REF; transactions without COMMIT")
    b, s1 = first()
    s2 = delta(b, s1)
    delta(b, s2, at=200)
    b.begin().ref(2, b"void", s2).ref(2, b"stays", s1).end()
    b.begin().tombstone(s2).end()
    case("good-ref-void", b, "the middle snapshot is dropped: hidden, still base and parent; its label is void, another one stays")
    b, s1 = first()
    b.begin().ref(1, b"", None).end()
    case("good-head-none", b, "a REF of kind 1 with target 0: no HEAD")
    b, s1 = first()
    delta(b, s1, flags=2)
    case("good-no-head", b, "the second COMMIT has NO_HEAD: HEAD stays on the first")
    b, s = first()
    for i in range(3):
        s = delta(b, s, at=P * i + 9, data=b"abc" * (i + 1), index="map" if i == 1 else None)
    case("good-index-map", b, "a map INDEX covers the whole chain (below 0); a list continues on it")
    b, s1 = first()
    s3 = delta(b, delta(b, s1, at=7), at=P + 7)
    st = edit(s3.state, b"heap", 3 * P, b"zz")
    b.begin().pages(3, b"heap", [3], st, base=s3)
    b.index_map({k: v for k, v in b.where_now(s3).items() if k[1] == 2 or v > s1.at}, below=s1.at)
    b.commit(st, base=s3)
    case("good-index-span", b.end(), "a map INDEX of a span of 3 commits, below: the first; one entry is older than the span and names the current record")
    case("good-index-map-many", wide_map(), "a map INDEX of two regions and three records, compressed: runs that take turns, long steps, a record that reaches far")
    b = Builder()
    b.begin().segment().regions(TABLE).index_map({})
    b.commit({b"heap": bytes(4 * P)})
    case("good-index-map-empty", b.end(), "a map INDEX without records and entries: its one byte is the number of records")
    case("good-index-map-unused", mapped(unused=lambda s: [s.where[1, 0]]), "a map INDEX whose table has a record that no entry names")
    b, s = first()
    st = edit(edit(edit(s.state, b"heap", 5, b"one"), b"heap", 2 * P + 6, b"two"), b"heap", 3 * P + 7, b"three")
    b.begin().pages(3, b"heap", [0, 2, 3], st, base=s).index_list(below=s.at)
    b.commit(st, base=s)
    case("good-delta-pages", b.end(), "one delta record of three pages whose bases lie in two records: 8 bytes of hash for each")
    b = Builder()
    b.begin().segment().regions(TABLE).meta([(1, bytes(range(16))), (2, "m\u00e9ssage".encode()), (0x8001, b"app"), (0x8001, b"app2"), (99, b"")])
    b.pages(2, b"heap", [0, 1, 2, 3], STATE).index_list()
    b.commit(STATE, label="\u00fcber".encode())
    case("good-metadata", b.end(), "META with origin, message, repeated application types and an unknown type; UTF-8 label")
    b, s = first()
    s = delta(b, s, flags=1)
    s = delta(b, s, at=300, flags=1, floating=True)
    s = delta(b, s, at=400, floating=True)
    delta(b, s, at=500)
    case("good-unsynced", b, "unsynced commits: the transaction after each is FLOATING and has no SEAL")
    b, s = first()
    delta(b.final_seal(), s, extra=lambda b: b.segment())
    case("good-seal-continued", b, "a file closed with a SEAL is opened by a second writer: that SEAL is the first record of its transaction, then SEGMENT")
    b, s = first()
    b.begin().pages(3, b"heap", [0], Q, base=s).rec(0x8123, b"what is this?")
    b.index_list(below=s.at)
    b.commit(Q, base=s)
    b.rec(0xFFFF, b"")
    case("good-ancillary-record", b.end(), "records of unknown types with bit 15 are skipped, and count in the chain")
    t2 = {b"a": (P, 0, 0, []), b"heap": (20 * P, 0x7F0000000000, 1, [(1, 2), (4, 1)]), b"heap2": (2 * P, 3, 0, [])}
    st = {b"a": noise_page(9), b"heap": b"".join(text_page(i) for i in range(20)), b"heap2": bytes(2 * P)}
    b, s = first()
    b.begin().regions(t2).pages(1, b"a", [0], st).pages(2, b"heap", [p for p in range(20) if p not in (2, 4)], st).index_list(below=s.at)
    s2 = b.commit(st, base=s)
    delta(b.end(), s2, at=19 * P)
    case("good-regions-grow", b, "new regions, growth over one tree level (20 pages), MAPPED address in the root, excluded pages (one of them stored: ignored)")
    two = {**TABLE, b"old": (P, 0, 0, [])}
    b, s = first(table=two, state={**STATE, b"old": bytes(P)})
    b.begin().regions(TABLE).index_list(below=s.at)
    s = b.commit(STATE, base=s)
    del b.end().ids[b"old"]
    b.begin().regions(two).index_list(below=s.at)
    b.commit({**STATE, b"old": bytes(P)}, base=s)
    case("good-region-readded", b.end(), "a region vanishes and a region of its name is added again: it has a new id")
    case("good-excluded-back", excluded_back(2), "a page leaves an excluded range and is stored again, whole")
    b = Builder()
    b.begin().segment().regions({b"sparse": (1 << 46, 0, 0, [])}).index_list()
    zero, k, b.table = h128(0, bytes(P)), 0, {}
    for k in range(9):                               # 2^34 equal pages: 16^8 * 4
        zero = h128(k + 1, zero * (16 if k < 8 else 4))
    b.mutate[COMMIT] = lambda body: (put("<Q", 160, 1 << 34)(body), put("<I", 200, 1)(body))[0]
    b.commit({}, root=h128(0, struct.pack("<I", 6) + b"sparse" + struct.pack("<QQ", 1 << 46, 0) + zero))
    b.snaps = []
    case("good-sparse-region", b.end(), "a region of 2^46 bytes, all zeros by absence: a reader must not allocate by it")
    b, s1 = first()
    b.mutate.update({COMMIT: longer, SEAL: longer})
    delta(b, s1, label=b"label")
    b.mutate.update({REF: longer, TOMBSTONE: longer})
    b.begin().ref(2, b"name", s1).ref(1, b"", s1).tombstone(b.snaps[1]).end()
    case("good-surplus", b, "COMMIT, SEAL, REF and TOMBSTONE are longer than described: the surplus is ignored")
    b, s = first(names=Builder().names + [(1, 3, b"later"), (2, 9, b"harmless")], b=ro())
    case("good-ro-compatible", b, "unknown read-only-compatible and compatible features: may be read")
    b, s = first(Builder(8))
    delta(b, delta(b, s), at=P + 5, label=b"third")
    b.mutate[CLOSE] = longer
    case("good-stream", b.close(), "stream profile, three snapshots, CLOSE (with surplus)")
    case("good-stream-excluded", excluded_back(2, Builder(8)).close(), "in a stream: a page is excluded, comes back and is stored whole")
    b, s = first(Builder(8))
    for i in range(64):
        s = delta(b, s, at=100 + i % 3, data=bytes([65 + i % 26]))
    case("good-xor-chain", b.close(), "a chain of 64 deltas, each one link, is the most that is allowed")

def page_of(state, name, i):
    return state[name][P * i:P * i + P]

def copied(state, name, *moves):
    """Pages of a region become what other pages are: (page, other region, other page)."""
    for i, other, j in moves:
        state = edit(state, name, P * i, page_of(state, other, j))
    return state

def same(b, base, state, name, wanted, refs, extra=None, coder=8, parent="base", **k):
    """A transaction with one record of coder 8.  refs: (record, page) of each page."""
    b.begin()
    if extra:
        extra(b)
    b.pages(coder, name, wanted, state, base=base, refs=refs, **k).index_list(below=base.at)
    s = b.commit(state, base=base, parent=parent)
    b.end()
    return s

def same_kinds():
    """Every coder that may be referred to: from other regions, other pages, other transactions, and the same one."""
    table = {b"back": (12 * P, 0, 0, []), b"heap": TABLE[b"heap"]}
    st = {**bytes_state(), b"back": bytes(12 * P)}
    st = edit(edit(st, b"heap", 3 * P + 8, b"few bytes of a page of zeros"), b"back", 11 * P, text_page(11))
    b = Builder()
    b.begin().segment(mask=127, names=ALL_NAMES + WITH_SAME["names"][2:]).regions(table)
    b.pages(2, b"back", [11], st).pages(0, b"back", [9], st)
    b.pages(6, b"heap", [0, 2], st).pages(1, b"heap", [1], st).pages(4, b"heap", [3], st).index_list()
    s1 = b.commit(st, label=b"kinds")
    b.end()
    w = s1.where
    st = copied(st, b"back", (0, b"heap", 0), (1, b"heap", 1), (2, b"heap", 2), (3, b"heap", 3), (5, b"back", 9), (6, b"back", 11), (7, b"heap", 2))
    refs = [(w[2, 0], 0), (w[2, 1], 1), (w[2, 2], 2), (w[2, 3], 3), (w[1, 9], 9), (w[1, 11], 11), (w[2, 2], 2)]
    s2 = same(b, s1, st, b"back", [0, 1, 2, 3, 5, 6, 7], refs)
    st = edit(edit(edit(st, b"back", 0, b"over a copy"), b"back", P + 9, b"over another"), b"heap", 0, text_page(5))
    st = copied(st, b"back", (8, b"heap", 0), (9, b"heap", 0))
    b.begin().pages(2, b"heap", [0], st)
    b.pages(3, b"back", [0, 1], st, base=s2).pages(8, b"back", [8, 9], st, refs=[(b.pages_made[0][2], 0)] * 2).index_list(below=s2.at)
    s3 = b.commit(st, base=s2)
    b.end()
    st = copied(st, b"heap", (2, b"back", 11), (3, b"back", 3))
    b.begin().pages(8, b"heap", [2, 3], st, refs=[(w[1, 11], 11), (w[2, 3], 3)])
    b.index_map(b.where_now(s3))
    b.commit(st, base=s3)
    return b.end()

def same_gone():
    """What is referred to belongs to a region that is gone, to a dropped snapshot, is excluded, or lies behind the region's end on this branch."""
    table = {b"heap": (4 * P, 0, 0, []), b"old": (P, 0, 0, [])}
    st = {**STATE, b"old": noise_page(1)}
    b = Builder()
    b.begin().segment(**WITH_SAME).regions(table).pages(2, b"heap", [0, 2, 3], st).pages(1, b"old", [0], st).index_list()
    s1 = b.commit(st, label=b"to be dropped")
    b.end()
    b.begin().regions({b"heap": (6 * P, 0, 0, [])})
    grown = {b"heap": STATE[b"heap"] + noise_page(4) + noise_page(5)}
    b.pages(2, b"heap", [4, 5], grown).index_list(below=s1.at)
    s2 = b.commit(grown, base=s1, label=b"grown")
    b.end()
    st = {b"heap": STATE[b"heap"][:P] + noise_page(5) + STATE[b"heap"][2 * P:3 * P] + noise_page(1)}
    b.begin().regions({b"heap": (4 * P, 0, 0, [(2, 1)])})
    b.pages(8, b"heap", [1, 3], st, refs=[(s2.where[1, 5], 5), (s1.where[2, 0], 0)]).index_list(below=s1.at)
    s3 = b.commit(st, base=s1, label=b"beside it")
    b.end()
    s3.state = edit(st, b"heap", 2 * P, bytes(P))
    b.begin().regions({b"heap": (4 * P, 0, 0, [])})
    st = copied(st, b"heap", (0, b"heap", 2))
    b.pages(8, b"heap", [0, 2], st, refs=[(s1.where[1, 2], 2)] * 2).index_list(below=s3.at)
    b.commit(st, base=s3, label=b"back again")
    b.end()
    b.begin().tombstone(s1).end()
    return b

def same_many():
    """600 references to two pages in one record: packed they are few bytes."""
    st = {b"heap": text_page(0) + bytes(P) + text_page(2) + text_page(3) + bytes(600 * P)}
    b, s = first(table={b"heap": (604 * P, 0, 0, [])}, state=st, **WITH_SAME)
    st = {b"heap": STATE[b"heap"] + (text_page(0) + text_page(2)) * 300}
    same(b, s, st, b"heap", list(range(4, 604)), [(s.where[1, 0], 0), (s.where[1, 2], 2)] * 300)
    return b

def same_after_damage():
    """(builder, bytes): the record that others refer to is damaged.  Snapshots: the record itself; two copies of its page beside two other
    pages; a delta over a copy; all of it overwritten, which rests on nothing that is damaged."""
    table = {b"copy": (4 * P, 0, 0, []), b"heap": TABLE[b"heap"]}
    st = {**STATE, b"copy": bytes(4 * P)}
    b = Builder()
    b.begin().segment(**WITH_SAME).regions(table).pages(2, b"heap", [0, 3], st).pages(2, b"heap", [2], st).index_list()
    s1 = b.commit(st)
    b.end()
    w = s1.where
    st = copied(st, b"copy", (0, b"heap", 2), (1, b"heap", 0), (2, b"heap", 3))
    s2 = same(b, s1, st, b"copy", [0, 1, 2], [(w[2, 2], 2), (w[2, 0], 0), (w[2, 3], 3)])
    st = edit(st, b"copy", 5, b"over a copy")
    b.begin().pages(3, b"copy", [0], st, base=s2).index_list(below=s2.at)
    s3 = b.commit(st, base=s2)
    b.end()
    st = edit(edit(st, b"copy", 0, noise_page(1)), b"heap", 2 * P, noise_page(2))
    b.begin().pages(1, b"copy", [0], st).pages(1, b"heap", [2], st).index_list(below=s3.at)
    b.commit(st, base=s3)
    b.end()
    return b, flip(b.buf, w[2, 2] + 64 + 60)

def mapped(unused=None, **k):
    """Two transactions, the second with a map INDEX of the whole chain; k: how it is wrong."""
    b, s = first()
    st = edit(Q, b"heap", 3 * P + 9, b"Q")
    b.begin().pages(3, b"heap", [0], st, base=s).pages(2, b"heap", [3], st)
    where = b.where_now(s)
    b.index_map(where, unused=unused(s) if unused else (), **k)
    b.commit(st, base=s)
    return b.end()

def wide_map():
    table = {b"heap": (1500 * P, 0, 0, []), b"tail": (400 * P, 0, 0, [])}
    heap = bytearray(1500 * P)
    for i in (*range(60), *range(200, 340), 1499):
        heap[P * i:P * i + P] = text_page(i)
    st = {b"heap": bytes(heap), b"tail": b"".join(text_page(i, 1) for i in range(300)) + bytes(100 * P)}
    b = Builder()
    b.begin().segment().regions(table)
    b.pages(2, b"heap", [*range(60), *range(200, 340), 1499], st).pages(2, b"tail", list(range(300)), st).index_list()
    s = b.commit(st)
    b.end()
    odd = list(range(1, 60, 2)) + list(range(211, 330, 3))
    for i in odd:
        heap[P * i + 17:P * i + 20] = b"odd"
    st = {**st, b"heap": bytes(heap)}
    b.begin().pages(3, b"heap", odd, st, base=s)
    b.index_map(b.where_now(s))
    b.commit(st, base=s)
    return b.end()

def ro():
    b = Builder()
    b.mutate[SEGMENT] = lambda body: (put("<Q", 16, 8)(body), put("<Q", 24, 1 << 9)(body))[0]
    return b

def excluded_back(coder, b=None, store=True):
    b, s1 = first(b)
    b.begin().regions({b"heap": (4 * P, 0x10000, 0, [(2, 1)])}).index_list(below=s1.at)
    s2 = b.commit(STATE, base=s1)
    b.end().begin().regions(TABLE)
    st = edit(STATE, b"heap", 2 * P, b"again") if store else STATE
    s2.where.update({(1, 2): s1.where[1, 2]})
    s2.state = STATE
    if store:
        b.pages(coder, b"heap", [2], st, base=s2)
    b.index_list(below=s2.at)
    b.commit(st, base=s2)
    s2.state = edit(STATE, b"heap", 2 * P, bytes(P))
    return b.end()

def same_cases(case):
    """Section 5.4, after all others."""
    case("good-same", same_kinds(), "coder 8: references to pages of coders 0, 1, 2, 4 and 6, of other regions, of the same transaction; deltas over references; in a list and in a map")
    case("good-same-gone", same_gone(), "coder 8: references to pages of a region that is gone, of a dropped snapshot, excluded, behind the end; an excluded page comes back as a reference")
    case("good-same-many", same_many(), "coder 8: 600 references in one record, compressed")
    b, s = first(**WITH_SAME)
    st = copied(STATE, b"heap", (1, b"heap", 0))
    keep, size = b.snaps[:], len(b.buf)
    same(b, s, st, b"heap", [1], [(s.where[1, 0], 0)])
    b.snaps = keep
    case("torn-same", b, "coder 8: the transaction with the reference is torn", b.buf[:size + 400], kept=False)
    b, s = first(Builder(8), **WITH_SAME)
    case("good-stream-same-unused", b.close(), "a stream that announces coder 8 and has no reference", kept=False)
    b, data = same_after_damage()
    case("bad-same-damaged", b, "coder 8: a record that others refer to is damaged: what rests on its page is lost, nothing else", data, whole=b.snaps[3:])

    def bad(name, b, text, **k):
        case("bad-same-" + name, b, text, whole=b.snaps[:1], **k)

    def one(refs=lambda s, b: [(s.where[1, 0], 0)], b=None, says=WITH_SAME, **k):
        """Page 1 refers to page 0, beside a delta."""
        b, s = first(b, **says)
        st = edit(copied(STATE, b"heap", (1, b"heap", 0)), b"heap", 3 * P, b"delta")
        b.begin().pages(3, b"heap", [3], st, base=s)
        b.pages(8, b"heap", [1], st, refs=refs(s, b), **k).index_list(below=s.at)
        b.commit(st, base=s)
        return b.end()
    for name, kept, text, refs in (
            ("forward", 1, "a record behind it", lambda s, b: [(len(b.buf) + 4096, 0)]),
            ("self", 1, "its own record", lambda s, b: [(len(b.buf), 1)]),
            ("zero", 0, "offset 0", lambda s, b: [(0, 0)]),
            ("outside", 0, "an offset of 2^64 - 8", lambda s, b: [((1 << 64) - 8, 0)]),
            ("unaligned", 0, "an offset that is no multiple of 8", lambda s, b: [(s.where[1, 0] + 4, 0)]),
            ("no-record", 0, "an offset where no record stands", lambda s, b: [(s.where[1, 0] + 8, 0)]),
            ("not-pages", 1, "a COMMIT", lambda s, b: [(s.at, 0)]),
            ("delta", 1, "a delta", lambda s, b: [(b.pages_made[0][2], 3)]),
            ("lacks-page", 1, "a record that lacks the page", lambda s, b: [(s.where[1, 0], 1)]),
            ("page-huge", 0, "page 2^64 - 1", lambda s, b: [(s.where[1, 0], (1 << 64) - 1)]),
            ("other-page", 1, "a page of other content", lambda s, b: [(s.where[1, 0], 3)])):
        bad(name, one(refs=refs), "coder 8: a reference to " + text, kept=bool(kept))
    b, s = first(**WITH_SAME)
    st = copied(STATE, b"heap", (1, b"heap", 0))
    s = same(b, s, st, b"heap", [1], [(s.where[1, 0], 0)])
    st = copied(st, b"heap", (2, b"heap", 1))
    same(b, s, st, b"heap", [2], [(s.where[1, 1], 1)])
    case("bad-same-same", b, "coder 8: a reference to a reference", whole=b.snaps[:2])
    for coder, name in ((5, "xor"), (7, "xor-shuffled")):
        b, s = first(mask=127, names=ALL_NAMES + WITH_SAME["names"][2:])
        s = delta(b, s, at=0, data=b"delta", coder=coder)
        same(b, s, copied(s.state, b"heap", (1, b"heap", 0)), b"heap", [1], [(s.where[1, 0], 0)])
        case("bad-same-" + name, b, f"coder 8: a reference to a delta of coder {coder}", kept=False, whole=b.snaps[:2])
    # the right page beside a wrong one: only the latter is lost
    b, s = first(**WITH_SAME)
    st = copied(STATE, b"heap", (0, b"heap", 2), (1, b"heap", 2))
    s2 = same(b, s, st, b"heap", [0, 1], [(s.where[1, 2], 2), (s.where[1, 2], 0)])
    s3 = same(b, s2, copied(st, b"heap", (1, b"heap", 3)), b"heap", [1], [(s.where[1, 3], 3)])
    case("bad-same-one-of-two", b, "coder 8: the second of two references of a record is to a page that is not there; the first is good, and the next snapshot", whole=[s, s3])
    right = h128(0, text_page(0))
    for name, kept, text, k in (
            ("hash", 1, "the last of the 16 bytes of the hash is wrong", dict(hashes=flip(right, 15))),
            ("hash-half", 1, "8 bytes of hash, like a delta", dict(hashes=right[:8])),
            ("hash-none", 0, "no hash", dict(hashes=b"")),
            ("payload-short", 0, "a payload of 8 bytes for one page", dict(payload=raw(bytes(8)))),
            ("payload-long", 1, "a payload of 24 bytes for one page", dict(payload=raw(bytes(24)))),
            ("payload-none", 0, "no payload", dict(payload=(b"", 16, 0))),
            ("payload-page", 0, "a payload of the whole page", dict(payload=raw(text_page(0)))),
            ("payload-garbage", 0, "a payload that is no frame", dict(payload=(b"not a frame", 16, 11)))):
        bad(name, one(**k), "coder 8: " + text, kept=bool(kept))
    comp, st = zstandard.ZstdCompressor().compress, {b"heap": STATE[b"heap"] + text_page(2) * 16}
    for name, word, change in (("short", "less", lambda refs: refs[:-1]), ("long", "more", lambda refs: refs + b"\0")):
        b, s = first(table={b"heap": (20 * P, 0, 0, [])}, state={b"heap": STATE[b"heap"] + bytes(16 * P)}, **WITH_SAME)
        z = comp(change(struct.pack("<QQ", s.where[1, 2], 2) * 16))
        same(b, s, st, b"heap", list(range(4, 20)), None, payload=(z, 256, len(z)))
        bad("frame-" + name, b, f"coder 8: a frame that decodes to one byte {word}", kept=False)
    b, s = first(**WITH_SAME)
    b.mutate[PAGES] = lambda body: body[:20] + struct.pack("<I", 1) + body[24:32] + b"\0" + body[32:]
    same(b, s, copied(STATE, b"heap", (1, b"heap", 0)), b"heap", [1], [(s.where[1, 0], 0)])
    bad("base-table", b, "coder 8 with a base table of one byte", kept=False)
    bad("feature-unset", one(says={}), "coder 8 without the feature same")
    bad("stream", one(b=Builder(8)).close(), "coder 8 in a stream: its first snapshot is good")
    b, s = first(**WITH_SAME)
    st = copied(STATE, b"heap", (1, b"heap", 0))
    same(b, s, st, b"heap", [1], [(s.where[1, 0], 0)], extra=lambda b: b.pages(2, b"heap", [1], st))
    bad("twice", b, "coder 8: a page is there as a whole page and as a reference in one transaction", kept=False)

def torn_cases(case):
    b, s = first()
    keep, s = b.snaps, delta(b, s)
    keep, size = b.snaps[:], len(b.buf)
    delta(b, s, at=500)
    b.snaps = keep
    case("torn-tail", b, "the last transaction is cut in the middle: torn, two snapshots stay", b.buf[:size + 700])
    b, s = first()
    s = delta(b, s, flags=1)
    size, keep = len(b.buf), b.snaps[:]
    s = delta(b, s, at=300, flags=1, floating=True)
    delta(b, s, at=400, floating=True)
    b.snaps = keep
    case("torn-floating", b, "a floating transaction is damaged, a whole floating one with a higher number follows: torn, not corruption", flip(b.buf, size + 70))
    b, s = first()
    b.snaps = []
    case("torn-whole", b, "cut inside the first transaction: an archive without history, all torn", b.buf[:600])
    case("torn-first-rot", b, "one bit of the first, unsealed transaction: torn (the honest limit), though its END is valid", flip(b.buf, 900))
    b, s = first()
    keep = b.snaps[:]
    size = len(b.final_seal().buf)
    delta(b, s)
    b.snaps = keep
    case("torn-seal-kept", b, "a SEAL and part of a transaction: the SEAL stays, the torn bytes begin behind it", b.buf[:size + 150])
    b, s = first()
    case("torn-zeros", b, "4,096 zero bytes behind the last END", b.buf + bytes(4096))
    b, s = first()
    size, keep = len(b.buf), b.snaps[:]
    st = {b"heap": b"".join(noise_page(i) for i in range(2)) + STATE[b"heap"][2 * P:]}
    b.begin().pages(1, b"heap", [0], st).pages(1, b"heap", [1], st).index_list(below=s.at)
    b.commit(st, base=s)
    b.end().snaps = keep
    case("torn-lost-block", b, "the first block of the last transaction never reached the disk, its END did: valid headers of number t follow D", b.buf[:size] + bytes(4096) + b.buf[size + 4096:])
    b, s = first()
    b.begin().end(chain=12345)
    case("torn-end-chain", b, "END's chain is wrong in the unsealed tail: not whole, so torn")

def bad_bytes(case):
    case("not-empty", b"", "zero bytes")
    b, s = first()
    size = len(b.buf)
    s = delta(b, s)
    data = bytes(b.final_seal().buf)
    case("not-newborn", data[:50], "cut inside the first header")
    case("not-zeros", bytes(8192), "only zeros")
    case("not-text", b"This is a text file, not an archive.\n" * 20, "no archive at all")
    case("not-magic", flip(Builder().begin().segment().buf, 3), "first magic damaged and no END", kept=False)
    case("bad-header-hash", flip(data, 20), "a sealed header with one flipped bit", kept=False)
    case("bad-body-hash", flip(data, 70), "a sealed body with one flipped bit")
    case("bad-first-magic", flip(data, 0), "the first magic is damaged, everything is sealed: not a newborn, for the END is found")
    case("bad-last-end", flip(data, len(data) - 80 - 40), "the last END is damaged and a valid SEAL follows: corruption")
    delta(b, s, at=900)
    case("bad-damage-then-durable", flip(b.buf[:size] + b.buf[size:], size + 200), "damage in the middle, a later transaction that is not floating: corruption, not torn")
    foreign, s = first(Builder(salt=99))
    delta(foreign, s)
    case("bad-salt", data[:4096] + foreign.buf[4096:8192] + data[8192:], "a block of another file (other salt)")
    b, s = first()
    size = len(b.buf)
    delta(b, s)
    b.begin()
    case("bad-seal-after-damage", b, "damage in the tail; behind it only a SEAL's header is valid, its body is not: corruption",
         flip(flip(b.buf, size + 200), len(b.buf) - 8))
    b, s = first()
    b.begin().ref(2, b"x", s).regions(TABLE).end()
    case("bad-tail-order", b, "REGIONS after REF in the unsealed tail: corrupt, never torn")
    b, s = first()
    b.begin().end(prev_chain=12345)
    case("bad-tail-previous-chain", b, "END's previous chain is wrong in the unsealed tail: corrupt, never torn")
    b, s = first()
    b.begin(number=3).ref(2, b"x", s).end()
    b.begin().end()
    case("bad-number-gap", b, "a transaction number is left out")
    b, s = first()
    b.begin().end(chain=12345)
    b.begin().end()
    case("bad-end-chain", b, "END's chain is wrong in a sealed transaction: corruption", kept=False)
    b, s = first()
    b.mutate_header[REF] = put("<H", 10, 2)
    b.begin().ref(2, b"x", s).end()
    case("bad-header-flag", b, "an undefined flag in a header, in the unsealed tail: corrupt, never torn", kept=False)

def bad_pages(case):
    b = Builder()
    b.begin().segment().regions(TABLE).pages(2, b"heap", [0], STATE, hashes=bytes(16)).index_list()
    b.commit({b"heap": text_page(0) + bytes(3 * P)})
    case("bad-page-hash", b.end(), "a page decodes to content of another hash")
    page = Q[b"heap"][:P]
    whole = h128(0, page)
    for name, coder, hashes, kept, text in (
            ("page-hash-whole-last", 2, flip(whole, 15), 1, "the last of the 16 bytes of a whole page's hash is wrong"),
            ("page-hash-delta", 3, flip(whole, 7)[:8], 1, "the last of the 8 bytes of a delta's hash is wrong"),
            ("page-hash-delta-first", 3, flip(whole, 0, 7)[:8], 0, "the first of the 8 bytes of a delta's hash is wrong"),
            ("page-hash-delta-half", 3, whole[8:], 1, "a delta has the last 8 bytes of the hash, not the first"),
            ("hash-size-delta-7", 3, whole[:7], 1, "a delta has 7 bytes of hash"),
            ("hash-size-delta-9", 3, whole[:9], 1, "a delta has 9 bytes of hash"),
            ("hash-size-delta-16", 3, whole, 1, "a delta has the whole hash"),
            ("hash-size-delta-none", 3, b"", 0, "a delta has no hash"),
            ("hash-size-whole-15", 2, whole[:15], 1, "a whole page has 15 bytes of hash"),
            ("hash-size-whole-17", 2, whole + b"\0", 1, "a whole page has 17 bytes of hash"),
            ("hash-size-whole-8", 2, whole[:8], 0, "a whole page has 8 bytes of hash, like a delta"),
            ("hash-size-stored-15", 1, whole[:15], 0, "a stored page has 15 bytes of hash")):
        b, s = first()
        delta(b, s, at=0, data=b"q", coder=coder, hashes=hashes)
        case("bad-" + name, b, text, kept=bool(kept))
    for size, kept in ((1, 1), (8, 0)):
        b, s = first()
        b.begin().pages(0, b"heap", [0], STATE, hashes=bytes(size)).index_list(below=s.at)
        b.commit(edit(STATE, b"heap", 0, bytes(P)), base=s)
        case(f"bad-hash-size-zero-{size}", b.end(), f"a zero page has {size} bytes of hash", kept=bool(kept))
    b, s = first()
    st = edit(Q, b"heap", 3 * P + 9, b"Q")
    swapped = h128(0, st[b"heap"][3 * P:])[:8] + whole[:8]
    b.begin().pages(3, b"heap", [0, 3], st, base=s, hashes=swapped).index_list(below=s.at)
    b.commit(st, base=s)
    case("bad-page-hash-delta-swapped", b.end(), "the hashes of a delta's two pages have changed places")
    b = Builder()
    b.begin().segment().regions(TABLE).pages(2, b"heap", [0], STATE).index_list()
    b.commit(STATE)                     # STATE has more pages than are stored
    case("bad-state-root", b.end(), "state root does not belong to the pages")
    b, s = first(Builder(8))
    for i in range(65):
        s = delta(b, s, at=100 + i % 3, data=bytes([65 + i % 26]))
    case("bad-chain-65-links", b.close(), "a delta chain of 65 links")

    def one(coder=2, st=Q, text="", twice=False, below=None, skip=0, **k):
        b, s = first()
        b.begin()
        if "bases" in k:
            k["bases"] = {0: k["bases"](s, len(b.buf))}
        for _ in range(1 + twice):
            b.pages(coder, b"heap", [0], st, base=s, **k)
        b.index_list(below=s.at, skip=skip)
        b.commit(st, base=s)
        return b.end()
    case("bad-base-forward", one(3, bases=lambda s, o: o + 4096), "a base behind the record")
    case("bad-base-self", one(3, bases=lambda s, o: o), "a record that is its own base", kept=False)
    case("bad-base-not-pages", one(3, bases=lambda s, o: s.at), "a base that is a COMMIT", kept=False)
    case("bad-base-zero", one(3, bases=lambda s, o: 0), "a base at offset 0", kept=False)
    case("bad-base-lacks-page", one(3, bases=lambda s, o: s.where[1, 2]), "a base record that lacks the page", kept=False)
    page, comp = Q[b"heap"][:P], zstandard.ZstdCompressor().compress
    wide = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=24, write_content_size=0)).compressobj()
    for name, z, kept, text in (
            ("size", comp(page[:-1]), 0, "the frame decodes to one byte less than `unpacked`"),
            ("size-more", comp(page + b"!"), 0, "the frame decodes to one byte more than `unpacked`"),
            ("bomb", comp(bytes(64 << 20)), 1, "a frame of 64 MiB for one page: a reader must not allocate by the frame"),
            ("two-frames", comp(page[:2048]) + comp(page[2048:]), 0, "two frames that together have the right content"),
            ("trailing", comp(page) + b"\0", 0, "a byte after the frame"),
            ("garbage", b"not a frame", 0, "no frame at all"),
            ("window", wide.compress(page) + wide.flush(), 1, "a frame with a window of 16 MiB")):
        case("bad-zstd-" + name, one(payload=(z, P, len(z))), text, kept=bool(kept))
    case("bad-stored-over-unpacked", one(payload=(bytes(P + 8), P, P + 8)), "stored > unpacked", kept=False)
    x = xor_runs([(STATE[b"heap"][:P], page)])
    for name, p, kept, text in (
            ("xor-run-overflow", varint(1) + varint(4095) + varint(1) + b"ab", 1, "an XOR run of 2 bytes at the last byte of the page"),
            ("xor-short", x[:-1], 0, "one XOR byte is missing"), ("xor-trailing", x + b"\1", 0, "one XOR byte too many"),
            ("xor-too-many-runs", varint(1 << 60) + x, 1, "2^60 runs: a reader must not loop or allocate by it"),
            ("varint-long", b"\x81\x00" + x[1:], 1, "a varint that is not the shortest (the content would be right)"),
            ("varint-11", b"\x80" * 11 + b"\1", 0, "a varint of 12 bytes")):
        case("bad-" + name, one(3, payload=raw(p)), text, kept=bool(kept))
    case("bad-duplicate-page", one(twice=True), "a page occurs twice in a transaction (with the same content)", kept=False)
    case("bad-index-list-missing", one(skip=1), "an INDEX list that leaves out a PAGES record")
    case("bad-pages-without-commit", (lambda b: b.begin().pages(2, b"heap", [0], Q).end())(first()[0]), "PAGES in a transaction without COMMIT")

def bad_fields(case):
    def after(kind, fn, **k):
        b, s = first()
        b.mutate[kind] = fn
        delta(b, s, **k)
        return b
    second = after(END, bytes).commit_at
    for name, kind, fmt, at, v, kept, text in (
            ("page-count-zero", PAGES, "<H", 6, 0, 0, "a PAGES record of 0 pages"),
            ("page-count-1025", PAGES, "<H", 6, 1025, 0, "a PAGES record of more than 1,024 pages"),
            ("page-table-length", PAGES, "<I", 16, 0xFFFFFFF0, 0, "page table longer than the body"),
            ("page-index-huge", PAGES, "<Q", 8, 1 << 34, 0, "a page index of 2^34"),
            ("coder0-with-bytes", PAGES, "<H", 4, 0, 0, "coder 0 with a base table, hashes and a payload"),
            ("commit-regions-none", COMMIT, "<Q", 120, 0, 0, "COMMIT without REGIONS"),
            ("commit-index-none", COMMIT, "<Q", 136, 0, 0, "COMMIT without INDEX"),
            ("commit-previous-forward", COMMIT, "<Q", 112, 1 << 40, 0, "previous COMMIT outside the file"),
            ("commit-previous-self", COMMIT, "<Q", 112, second, 1, "previous COMMIT is the COMMIT itself: a reader must not loop"),
            ("commit-sequence", COMMIT, "<Q", 80, 1, 0, "a sequence that does not rise (the id is wrong with it)"),
            ("commit-flags", COMMIT, "<I", 192, 8, 0, "an undefined COMMIT flag"),
            ("commit-depth", COMMIT, "<I", 196, 7, 0, "depth is not 1 + depth of the base"),
            ("commit-label-length", COMMIT, "<H", 204, 255, 0, "label longer than the body"),
            ("commit-counts", COMMIT, "<Q", 152, 2, 0, "pages stored is not the number of pages stored"),
            ("index-bomb-entries", INDEX, "<I", 12, 0xFFFFFFFF, 0, "INDEX says 2^32 - 1 entries"),
            ("index-kind", INDEX, "<I", 8, 3, 0, "INDEX of an unknown kind"),
            ("id", COMMIT, "<B", 0, 77, 1, "snapshot id does not belong to the fields"),
            ("metadata-hash", COMMIT, "<B", 48, 0, 0, "metadata hash without META is not that of no bytes")):
        case("bad-" + name, after(kind, put(fmt, at, v)), text, kept=bool(kept))
    case("bad-commit-long", after(COMMIT, lambda body: body + bytes(4096)).final_seal(), "a COMMIT of more than 4 KiB")
    big = zstandard.ZstdCompressor().compress(bytes(17 << 20))
    case("bad-index-size", after(INDEX, lambda body: body[:12] + struct.pack("<III", 17 << 18, 17 << 20, len(big)) + big), "an INDEX of 17 MiB unpacked")
    case("bad-index-surplus", after(INDEX, longer), "an INDEX body with surplus bytes: it ends exactly")
    b, s = first()
    b.begin().pages(2, b"heap", [0], Q).index_map(s.where)
    b.commit(Q, base=s)
    case("bad-index-map-lie", b.end(), "an INDEX map that names an older record of a page")
    b, s1 = first()
    s2 = delta(b, s1)
    b.begin().pages(2, b"heap", [0], Q).index_map({**s1.where, (1, 0): b.pages_made[0][2]}, below=s2.at)
    b.commit(Q, base=s1)
    case("bad-index-map-below", b.end(), "an INDEX map whose `below` is not on the base chain")
    b, s1 = first()
    s2 = delta(b, s1)
    b.begin().pages(2, b"heap", [3], edit(s2.state, b"heap", 3 * P, b"q")).index_map({(1, 3): b.pages_made[0][2]}, below=s1.at)
    b.commit(edit(s2.state, b"heap", 3 * P, b"q"), base=s2)
    case("bad-index-map-missing", b.end(), "an INDEX map that lacks a page of its span")

    # mapped(): the table holds the records of (1), (2), (0, as delta), (3); the entries name 2, 0, 1, 3
    def again(steps, rows):             # the last record once more, named by the last entry
        steps.append(0)
        rows[-1][3] = len(steps) - 1

    def backwards(steps, rows):         # the last two change places, so that the last step is negative, modulo 2^64; the entries follow
        steps[-2] += steps[-1]
        steps[-1] = (1 << 61) - steps[-1]
        for row in rows:
            row[3] = {len(steps) - 2: len(steps) - 1, len(steps) - 1: len(steps) - 2}.get(row[3], row[3])

    def ordinal(n):
        return lambda steps, rows: rows[-1].__setitem__(3, n if n else len(steps))

    def step(i, n):
        return lambda steps, rows: steps.__setitem__(i, steps[i] + n)
    for name, kept, text, k in (
            ("record-order", 1, "the records of an INDEX map do not ascend: the step back is there only modulo 2^64", dict(tweak=backwards)),
            ("record-twice", 1, "an INDEX map's table holds a record twice", dict(tweak=again)),
            ("record-wraps", 0, "a step of an INDEX map's table that is right modulo 2^64 only", dict(tweak=step(-1, 1 << 61))),
            ("record-zero", 0, "an INDEX map's table holds offset 0, which no entry names", dict(unused=lambda s: [0])),
            ("record-not-pages", 1, "an entry of an INDEX map names a record that is no PAGES record", dict(unused=lambda s: [s.at], tweak=ordinal(2))),
            ("record-outside", 1, "an INDEX map's table holds an offset outside the file", dict(tweak=step(-1, 1 << 40))),
            ("ordinal", 1, "an entry of an INDEX map names the first record behind the table", dict(tweak=ordinal(0))),
            ("ordinal-huge", 0, "an entry of an INDEX map names record 2^64 - 1 of the table", dict(tweak=ordinal((1 << 64) - 1))),
            ("ordinal-other", 1, "an entry of an INDEX map names another record of the table, which lacks the page", dict(tweak=ordinal(1))),
            ("surplus", 1, "a byte behind the last column of an INDEX map", dict(surplus=b"\0")),
            ("column-cut", 1, "the last column of an INDEX map lacks a varint", dict(tweak=lambda steps, rows: rows[-1].pop())),
            ("first-column-cut", 0, "the first column of an INDEX map lacks a varint", dict(tweak=lambda steps, rows: rows[-1].pop(0))),
            ("entries-more", 1, "an INDEX map says one entry more than its columns hold", dict(entries=1)),
            ("entries-fewer", 1, "an INDEX map says one entry less than its columns hold", dict(entries=-1)),
            ("count-bomb", 1, "an INDEX map says 2^60 records: a reader must not loop or allocate by it", dict(count=1 << 60)),
            ("count-more", 1, "an INDEX map says one record more than there are", dict(count=5)),
            ("count-fewer", 0, "an INDEX map says one record less than there are", dict(count=3)),
            ("varint-long", 0, "the last varint of an INDEX map is not the shortest", dict(tweak=lambda steps, rows: rows[-1].pop(), surplus=b"\x83\x00"))):
        case("bad-index-map-" + name, mapped(**k), text, kept=bool(kept))
    b = Builder()
    b.mutate[INDEX] = lambda body: struct.pack("<QIIII", 0, 2, 0, 0, 0)
    b.begin().segment().regions(TABLE).index_map({})
    b.commit({b"heap": bytes(4 * P)})
    case("bad-index-map-no-bytes", b.end(), "an INDEX map of no bytes at all: the number of records is missing")
    for name, at, fmt, v, kept, text in (("size", 24, "<Q", 4 * P + 1, 1, "a region whose size is no multiple of 4096"),
                                         ("size-huge", 24, "<Q", 1 << 47, 0, "a region of 2^47 bytes"), ("id-zero", 8, "<I", 0, 0, "region id 0"),
                                         ("count", 0, "<I", 5000, 0, "5,000 regions announced"),
                                         ("excluded", 32, "<I", 0xFFFF, 0, "65,535 excluded ranges announced, none there"),
                                         ("name", 36, "<H", 0, 0, "a name of 0 bytes")):
        b = Builder()
        b.mutate[REGIONS] = put(fmt, at, v)
        case("bad-region-" + name, first(b)[0], text, kept=bool(kept))
    b = Builder()
    b.mutate[REGIONS] = lambda body: body[:8] + body[48:88] + body[8:48]
    b.begin().segment().regions({b"a": (P, 0, 0, []), b"b": (P, 0, 0, [])}).index_list()
    b.commit({b"a": bytes(P), b"b": bytes(P)})
    case("bad-region-order", b.end(), "regions that are not in order of their names")

    def second_table(change, st=STATE, table=TABLE, state=STATE, then=TABLE):
        b, s = first(table=table, state=state)
        change(b)
        b.begin().regions(then).index_list(below=s.at)
        b.commit(st, base=s)
        return b.end()
    short = {b"heap": STATE[b"heap"][:3 * P]}
    case("bad-region-shrinks", second_table(lambda b: 0, short, then={b"heap": (3 * P, 0x10000, 0, [])}), "a region shrinks along the base chain")
    case("bad-region-renamed", second_table(lambda b: b.ids.update({b"pile": 1}), {b"pile": STATE[b"heap"]}, then={b"pile": TABLE[b"heap"]}), "a region id changes its name", kept=False)
    two = {**TABLE, b"old": (P, 0, 0, [])}
    case("bad-region-next-id", second_table(lambda b: setattr(b, "next_id", 2), STATE, two, {**STATE, b"old": bytes(P)}), "next region id is not above an id given before")
    b = second_table(lambda b: 0, STATE, two, {**STATE, b"old": bytes(P)})
    s = b.snaps[-1]
    b.begin().regions(two).index_list(below=s.at)
    b.commit({**STATE, b"old": bytes(P)}, base=s)
    case("bad-region-returns", b.end(), "a region that vanished comes back with its old id")
    case("bad-excluded-delta", excluded_back(3), "a page leaves an excluded range and is stored as a delta")
    case("bad-excluded-missing", excluded_back(2, store=False), "a page leaves an excluded range and is not stored", kept=False)

def bad_structure(case):
    b, s = first()
    b.begin().ref(2, b"deadbeef", s).end()
    case("bad-label-hex", b, "a label that looks like an id")
    b, s = first()
    b.mutate[REF] = put("<Q", 8, 0)
    b.begin().ref(2, b"x", s).end()
    case("bad-ref-target", b, "a deleting REF with a target id", kept=False)
    b, s = first()
    b.begin().ref(2, b"x", s).end(head=0)
    case("bad-end-head", b, "END's HEAD is not that of the history")
    for name, n in (("padding", 4096), ("long", 12288)):
        b, s = first()
        b.mutate[END] = lambda body: body[:104] + bytes(n) + body[104:]
        b.begin().end()
        b.begin().end()
        case("bad-end-" + name, b, f"END's padding has {n} bytes too many", kept=False)
    b, s = first()
    delta(b, s, flags=1)
    b.begin(seal=False).end()
    case("bad-floating-missing", b, "no SEAL before it and FLOATING not set")
    b, s = first()
    delta(b, s, extra=lambda b: setattr(b, "floating", 1))
    case("bad-floating-after-seal", b, "FLOATING in a transaction that begins with a SEAL", kept=False)
    b, s = first()
    b.mutate[SEAL] = put("<Q", 0, 0)
    b.begin().end()
    b.begin().end()
    case("bad-seal-field", b, "a SEAL whose field is not its own offset", kept=False)
    b, s = first()
    b.begin().rec(CLOSE, bytes(16))
    case("bad-close-in-file", b.end(), "CLOSE in a file", kept=False)
    b = Builder()
    b.begin().segment().segment().regions(TABLE).index_list()
    b.commit({b"heap": bytes(4 * P)})
    case("bad-two-segments-in-one", b.end(), "two SEGMENTs in one transaction", kept=False)
    case("bad-feature-unnamed", first(names=[(0, 0, b"zstd")])[0], "incompatible bit 1 is set and has no name", kept=False)
    b, s = first(mask=1, names=[(0, 0, b"zstd")])
    delta(b, s)
    case("bad-feature-unset", b, "coder 3 without the feature xor-runs")
    b, s = first()
    delta(b, s, coder=7)
    case("bad-feature-unset-shuffled", b, "coder 7 without the feature xor-shuffled")
    b, s = first()
    b.mutate[SEGMENT] = put("<Q", 48, 1)
    delta(b, s, extra=lambda b: b.segment())
    case("bad-segments-disagree", b, "two SEGMENTs with different history UUIDs")
    b, s = first()
    b.begin().tombstone(s)
    b.kept += 1
    case("bad-tombstone-twice", b.tombstone(s).end(), "a snapshot dropped twice", kept=False)

    def stream(f, close=True, **k):
        b, s = first(Builder(8))
        f(b, s)
        return b.close(**k) if close else b
    case("bad-stream-no-close", stream(delta, close=False), "a stream without CLOSE: its snapshots are good, the end is missing")
    b = stream(delta, close=False)
    case("bad-stream-cut", b, "a stream cut inside a transaction: the first snapshot is good", b.buf[:-300], kept=False)
    case("bad-stream-ref", stream(lambda b, s: b.begin().ref(2, b"x", s).end()), "a REF in a stream")
    case("bad-stream-tombstone", stream(lambda b, s: b.begin().tombstone(s).end()), "a TOMBSTONE in a stream", kept=False)
    case("bad-stream-floating", stream(lambda b, s: delta(b, s, floating=True)), "FLOATING in a stream")
    case("bad-stream-page-hash-delta", stream(lambda b, s: delta(b, s, hashes=bytes(8))), "in a stream a delta whose hash is wrong")
    case("bad-stream-close-count", stream(delta, count=3), "CLOSE says 3 transactions, there are 2", kept=False)
    case("bad-stream-close-number", stream(lambda b, s: setattr(b, "n", 8)), "CLOSE's header number is not one more than the last", kept=False)
    b = stream(delta)
    case("bad-stream-after-close", b, "bytes behind CLOSE", b.buf + bytes(8))
    case("bad-stream-base", stream(lambda b, s: (delta(b, s), delta(b, s, at=3000))), "in a stream a delta and a COMMIT whose base is not the last one")
    case("bad-stream-ancillary-first", stream(lambda b, s: (b.begin().rec(0x8001, b"?"), b.end())), "an ancillary record is the first of a transaction")
    # ---- unsupported
    b = Builder()
    b.begin().segment(version=1).end()
    case("unsupported-version-1", b, "format version 1")
    quantum = dict(mask=1 << 40 | 3, names=b.names + [(0, 40, b"quantum-pages")])
    case("unsupported-incompat-bit", Builder().begin().segment(**quantum).end(), "incompatible bit 40, named quantum-pages: the reader says the name")
    case("unsupported-incompat-bit-last", first()[0].begin().segment(**quantum).end(), "the same in the last SEGMENT only")
    b, s = first()
    b.mutate[PAGES] = put("<H", 4, 99)
    delta(b, s)
    case("unsupported-coder", b, "coder 99")
    b, s = first()
    b.begin().rec(12, b"from the future")
    case("unsupported-record-type", b.end(), "record type 12 (bit 15 clear)")

def corpus():
    out = []
    for group in (good_cases, torn_cases, bad_bytes, bad_pages, bad_fields, bad_structure, same_cases):
        group(lambda *a, **k: out.append(Case(*a, **k)))
    assert len({c.name for c in out}) == len(out)
    return out

def write_corpus(folder, cases):
    os.makedirs(folder, exist_ok=True)
    kept = [c for c in cases if c.kept]

    def write(name, lines):
        with open(os.path.join(folder, name), "w") as f:
            f.write("\n".join(lines) + "\n")
    for c in kept:
        with open(os.path.join(folder, c.name), "wb") as f:
            f.write(c.data)
    write("VERDICTS.tsv", [f"{c.name}\t{c.verdict}\t{c.profile}\t{c.text}" for c in kept])
    write("EXPECT.tsv", [f"{c.name}\t{s.id.hex()}\t{n.decode()}\t{len(x)}\t{hashlib.sha256(x).hexdigest()}"
                         for c in kept for s in c.snaps for n, x in sorted(s.state.items())])
    write("README.md", ["# Corpus made by svp_writer_min.py from SPEC.md alone", "",
                        "`VERDICTS.tsv`: file, verdict, profile, what it shows. `EXPECT.tsv`: file, snapshot, region, bytes, SHA-256 of its content, for every",
                        "snapshot that a reader must list (good and torn files), and for those of damaged files (`bad-same-*`) that rest on nothing damaged. Record hashes are right wherever the text does not say that bytes were changed.", "",
                        "Verdicts: good; torn (good, and bytes behind the history are reported); damaged (corrupt, or a stream without its end); not-an-archive;",
                        "unsupported.", "", "| file | verdict | profile | what |", "|---|---|---|---|"]
          + [f"| {c.name} | {c.verdict} | {c.profile} | {c.text} |" for c in kept])

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: svp_writer_min.py FOLDER")
    write_corpus(sys.argv[1], corpus())
