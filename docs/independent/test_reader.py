"""Self-test of svp_reader.py: the corpus, every bit flip and every truncation of some good files.  /usr/bin/python3 test_reader.py"""
import hashlib
import io
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback

import svp_reader as R
import svp_writer_min as W

HERE = os.path.dirname(os.path.abspath(__file__))
failures = []


def fail(text):
    failures.append(text)
    print("FAIL", text)


def call(f, *args):
    """(exit code, output) as main() would give; a traceback is a failure."""
    out = io.StringIO()
    try:
        return f(*args, out), out.getvalue()
    except R.SvpError as e:
        return e.code, out.getvalue() + str(e)
    except Exception:
        fail("traceback:\n" + traceback.format_exc())
        return -1, out.getvalue()


def contents(folder):
    return {n: hashlib.sha256(open(os.path.join(folder, n), "rb").read()).hexdigest() for n in os.listdir(folder)} if os.path.isdir(folder) else {}


def restore(data, sid, temp):
    shutil.rmtree(temp, ignore_errors=True)
    code, out = call(R.cmd_restore, data, sid, temp)
    return code, contents(temp)


def expected(snap):
    return {R.file_name(n): hashlib.sha256(c).hexdigest() for n, c in snap.state.items()}


def verdict_of(code, out):
    """The word of VERDICTS.tsv."""
    return {0: "torn" if "\ntorn: " in "\n" + out else "good", 1: "damaged", 6: "damaged", 5: "not-an-archive" if "not an archive" in out else "unsupported"}.get(code, f"code {code}")


def corpus(temp, folder):
    """Every case: verdict, list, restore; the files of the folder are those of the writer; the command itself."""
    cases = W.corpus()
    counts, restored, slowest = {}, 0, 0
    for c in cases:
        t = time.time()
        if c.kept and open(os.path.join(folder, c.name), "rb").read() != c.data:
            fail(f"{c.name}: the file is not what the writer makes")
        code, out = call(R.cmd_verify, c.data)
        counts[c.verdict] = counts.get(c.verdict, 0) + 1
        if verdict_of(code, out) != c.verdict:
            fail(f"{c.name}: verify says {verdict_of(code, out)}: {out[:300]}")
        code, out = call(R.cmd_list, c.data)
        listed = [line.split()[1] for line in out.splitlines() if line[:1].isdigit()]
        if c.verdict in ("good", "torn") and "sparse" not in c.name and (code or listed != [s.id.hex() for s in c.snaps]):
            fail(f"{c.name}: list gives {code} {listed}")
        for s in c.snaps:
            code, got = restore(c.data, s.id.hex(), os.path.join(temp, "r"))
            restored += 1
            if code or got != expected(s):
                fail(f"{c.name}: restore of {s.id.hex()} gives {code}")
        if c.verdict == "damaged":
            for sid in listed:
                restore(c.data, sid, os.path.join(temp, "r"))
        for s in c.builder.snaps if c.name.startswith("bad-same") and not c.name.startswith(("bad-same-feature", "bad-same-twice")) else ():
            code, got = restore(c.data, s.id.hex(), os.path.join(temp, "r"))
            if s not in c.snaps and (code not in ((2,) if c.profile == "stream" else (6,)) or got):
                fail(f"{c.name}: restore of {s.id.hex()}, which rests on what is bad, gives {code} {sorted(got)}")
        if c.name.startswith(("bad-page-hash", "bad-hash-size", "bad-index-map")):      # pages that do not fit are refused; an INDEX is only a cache
            code, got = restore(c.data, c.builder.snaps[-1].id.hex(), os.path.join(temp, "r"))
            right = code == 0 and got == expected(c.builder.snaps[-1]) if "index-map" in c.name else code == 6 and not got
            if not right:
                fail(f"{c.name}: restore gives {code} {sorted(got)}")
        call(R.cmd_stream, io.BytesIO(c.data), None)
        slowest = max(slowest, time.time() - t)
    kept = [c for c in cases if c.kept]
    if sorted(c.name for c in kept) != sorted(n for n in os.listdir(folder) if n.endswith(".svp")):
        fail("the folder has other files than the writer makes")
    print(f"cases: {len(cases)} {counts}, {len(kept)} of them files; restored snapshots: {restored}; slowest {slowest:.2f} s")
    by_name = {c.name: c for c in cases}
    command = [sys.executable, os.path.join(HERE, "svp_reader.py")]
    for name, code in (("good-branch.svp", 0), ("bad-id.svp", 1), ("unsupported-incompat-bit.svp", 5), ("not-empty.svp", 5)):
        p = subprocess.run(command + ["verify", os.path.join(folder, name)], capture_output=True, text=True)
        if p.returncode != code or "Traceback" in p.stderr:
            fail(f"command verify {name}: {p.returncode} {p.stderr}")
    for name, code, done in (("good-stream.svp", 0, 3), ("bad-stream-no-close.svp", 1, 2), ("bad-stream-cut.svp", 1, 1), ("bad-stream-base.svp", 1, 2), ("bad-same-stream.svp", 1, 1)):
        target = os.path.join(temp, "s-" + name)
        p = subprocess.run(command + ["stream", "--restore", target], input=by_name[name].data, capture_output=True)
        lines = p.stdout.decode().splitlines()
        if p.returncode != code or b"Traceback" in p.stderr or not lines[-1].startswith("restored") or len([x for x in lines if x[0].isdigit()]) != done:
            fail(f"stream {name}: {p.returncode} {lines} {p.stderr}")
    if contents(os.path.join(temp, "s-good-stream.svp")) != expected(by_name["good-stream.svp"].snaps[-1]):
        fail("stream: restored content is wrong")
    return by_name


def damage(name, data, all_snaps, dropped, temp, flips=True, step=1):
    """Flips every bit and truncates at every byte.  A result must be an error, a finding or torn; what is restored must be right."""
    good = {s.id.hex(): expected(s) for s in all_snaps if s.id not in dropped}
    known = {s.id.hex() for s in all_snaps}       # a torn TOMBSTONE shows its snapshot again
    counts = {}

    def one(bytes_, what):
        code, out = call(R.cmd_verify, bytes_)
        verdict = verdict_of(code, out)
        if verdict == "good" and not what.startswith("cut"):        # a cut at the end of a transaction or SEAL leaves a whole file
            fail(f"{name} {what}: accepted")
        if verdict == "damaged" and what.startswith("cut"):
            fail(f"{name} {what}: a cut file is torn, not damaged")
        counts[verdict] = counts.get(verdict, 0) + 1
        code, out = call(R.cmd_list, bytes_)
        for line in out.splitlines():
            if line[:1].isdigit() and line.split()[1] not in known:
                fail(f"{name} {what}: lists an unknown snapshot")
        for sid in good:
            code, got = restore(bytes_, sid, os.path.join(temp, "d"))
            if code == 0 and got != good[sid]:
                fail(f"{name} {what}: WRONG CONTENT restored")
            if code and got:
                fail(f"{name} {what}: files left by a failed restore")
            key = "restore right" if code == 0 else "restore refused"
            counts[key] = counts.get(key, 0) + 1
    n = 0
    if flips:
        for bit in range(0, 8 * len(data), step):
            d = bytearray(data)
            d[bit >> 3] ^= 1 << (bit & 7)
            one(bytes(d), f"bit {bit}")
            n += 1
    for cut in range(0, len(data), max(1, step // 8)):
        one(data[:cut], f"cut {cut}")
    print(f"{name}: {n} flips, {len(range(0, len(data), max(1, step // 8)))} cuts: {counts}")


def stream_damage(data, step):
    counts = {}
    for k, d in [(f"bit {i}", bytes(data[:i >> 3]) + bytes([data[i >> 3] ^ 1 << (i & 7)]) + data[(i >> 3) + 1:]) for i in range(0, 8 * len(data), step)] + \
                [(f"cut {i}", data[:i]) for i in range(len(data))]:
        code, out = call(R.cmd_stream, io.BytesIO(d), None)
        if code == 0:
            fail(f"stream {k}: accepted")
        counts[code] = counts.get(code, 0) + 1
    print("stream damage by exit code:", counts)


def rehash(data, salt):
    """All record hashes and END chains made right again after bodies were changed."""
    pos, hashes, prev = 0, [], 0
    while pos + 64 <= len(data):
        kind, = struct.unpack_from("<H", data, pos + 8)
        length, = struct.unpack_from("<Q", data, pos + 24)
        end = pos + 64 + (length + 7 & ~7)
        if kind == R.END:
            prev0, prev = prev, W.h64(salt, b"".join(hashes))
            struct.pack_into("<QQ", data, pos + 64 + 88, prev, prev0)
            hashes = []
        struct.pack_into("<Q", data, pos + 48, W.h64(salt, data[pos + 64:end]))
        hh = struct.pack("<Q", W.h64(salt, data[pos:pos + 56]))
        data[pos + 56:pos + 64] = hh
        if kind != R.END:
            hashes.append(hh)
        pos = end


def fuzz(files, rounds, temp):
    """Bodies changed at random, hashes made right: no traceback, no long run, no wrong content under a known id."""
    random.seed(7)
    names = [f"good-{n}.svp" for n in ("branch", "index-span", "index-map", "regions-grow", "metadata", "stream", "ref-head", "ref-void", "coders",
                                       "seal-continued", "excluded-back", "stream-excluded", "delta-pages", "index-map-unused", "same", "same-gone")]
    counts, slow = {}, 0
    for n in range(rounds):
        c = files[names[n % len(names)]]
        name, b, d = c.name, c.builder, bytearray(c.data)
        starts, pos = [], 0
        while pos + 64 <= len(d):
            length, = struct.unpack_from("<Q", d, pos + 24)
            starts.append((pos + 64, length))
            pos += 64 + (length + 7 & ~7)
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            at, length = random.choice(starts)
            i = at + random.randrange(min(length, random.choice((48, 220, 1 << 20))))
            k = random.randrange(4)
            if k == 0:
                d[i] ^= 1 << random.randrange(8)
            elif k == 1:
                d[i] = random.choice((0, 1, 127, 128, 255))
            elif k == 2 and i + 8 <= at + length:
                struct.pack_into("<Q", d, i, random.choice((0, M, M - 7, 1 << 63, len(d), at - 64, 8 * random.randrange(len(d) // 8))))
            elif i + 4 <= at + length:
                struct.pack_into("<I", d, i, random.choice((0, 0xFFFFFFFF, 1 << 26, 1 << 31, 4096, random.randrange(1 << 32))))
        rehash(d, b.salt)
        d = bytes(d)
        t = time.time()
        code, out = call(R.cmd_verify, d)
        counts[code] = counts.get(code, 0) + 1
        call(R.cmd_list, d)
        call(R.cmd_stream, io.BytesIO(d), None)
        for s in b.snaps[-1:]:
            code, got = restore(d, s.id.hex(), os.path.join(temp, "z"))
            if code == 0 and got != expected(s) and set(got) == set(expected(s)):
                fail(f"fuzz {n} {name}: wrong content under a known id")
        slow = max(slow, time.time() - t)
    print(f"fuzz with right hashes: {rounds} files, verify exit codes {counts}, slowest {slow:.2f} s")


M = (1 << 64) - 1


def roots():
    """The sparse and the dense form of the region root agree."""
    for pages in (1, 2, 15, 16, 17, 256, 257, 4096, 4097, 5000, 70000):
        some = {p: (0, R.xxh3_128(0, struct.pack("<I", p))) for p in {0, pages - 1, pages // 2, pages // 3}}
        dense = b"".join(some.get(p, (0, R.ZERO_PAGE_HASH))[1] for p in range(pages))
        k = 0
        while len(dense) > 16:
            k += 1
            dense = b"".join(R.xxh3_128(k, dense[i:i + 256]) for i in range(0, len(dense), 256))
        if R.region_root(pages, some) != dense or R.region_root(pages, {}) != W.region_root(bytes(4096) * pages):
            fail(f"region root of {pages} pages")
    print("region roots agree")


def half_hashes():
    """Each bit of the 8 bytes counts, and so do all of a whole page's 16."""
    digest = W.h128(0, W.Q[b"heap"][:4096])
    for coder, h in ((1, 16), (2, 16), (3, 8), (8, 16)):
        for bit in range(8 * h + 1):
            b, s = W.first(**W.WITH_SAME)
            refs = None
            if coder == 8:                      # the page is there, then changed, then copied back
                refs, s = [(s.where[1, 0], 0)], W.delta(b, s, at=0, data=b"z")
                digest = W.h128(0, W.STATE[b"heap"][:4096])
            W.delta(b, s, at=0, data=b"q" if coder != 8 else W.STATE[b"heap"][:1], coder=coder, refs=refs, hashes=digest[:h] if bit == 8 * h else W.flip(digest, bit >> 3, bit & 7)[:h])
            code, out = call(R.cmd_verify, bytes(b.buf))
            if verdict_of(code, out) != ("good" if bit == 8 * h else "damaged"):
                fail(f"coder {coder}, bit {bit} of the hash: {out}")
    print("every bit of the hashes counts")


def references():
    """Damage to a record that others refer to is told of the pages that rest on it and of no other; each broken rule is told by its own words."""
    cases = {c.name: c for c in W.corpus()}
    a = R.Archive(cases["bad-same-damaged.svp"].data)
    second, third, fourth = cases["bad-same-damaged.svp"].builder.snaps[1:]
    for snap, page, good in ((second, 0, 0), (second, 1, 1), (second, 2, 1), (third, 0, 0), (fourth, 0, 1)):
        try:
            content, _ = a.page(snap.where[1, page], 1, page)
            if not good or content != W.page_of(snap.state, b"copy", page):
                fail(f"damage: page {page} of snapshot {snap.seq} is read")
        except R.Corrupt as e:
            if good or "body hash" not in str(e):
                fail(f"damage: page {page} of snapshot {snap.seq}: {e}")
    a = R.Archive(cases["bad-same-damaged.svp"].data)
    R.verify_file(a)
    if {page: digest is not None for page, digest in a.hashes[second.where[1, 0]].items()} != {0: False, 1: True, 2: True}:
        fail("damage: verification loses another page of a record than the one that rests on it")
    for name, text in (("forward", "is no earlier record"), ("self", "is no earlier record"), ("zero", "is no earlier record"), ("outside", "is no earlier record"),
                       ("unaligned", "is no earlier record"), ("no-record", "no record magic"), ("not-pages", "not a PAGES"), ("delta", "coder 3, which may not"),
                       ("same", "coder 8, which may not"), ("xor", "coder 5, which may not"), ("xor-shuffled", "coder 7, which may not"),
                       ("lacks-page", "lacks the page"), ("page-huge", "lacks the page"), ("one-of-two", "lacks the page"), ("other-page", "page hash is wrong"),
                       ("hash", "page hash is wrong"), ("base-table", "PAGES sizes"), ("payload-long", "PAGES sizes"), ("feature-unset", "without its feature"),
                       ("stream", "coder 8 in a stream"), ("twice", "twice in a transaction")):
        code, out = call(R.cmd_verify, cases[f"bad-same-{name}.svp"].data)
        named = [line for line in out.splitlines() if " page " in line and "snapshot" not in line]
        if code != 1 or text not in out or len(named) > 1:
            fail(f"bad-same-{name}: {code} {out}")
    print("what references rest on is told")


def maps(rounds):
    """INDEX maps of random pages: what is written is read; cut or changed ones are read in full or refused."""
    random.seed(3)
    refused = 0
    for n in range(rounds):
        b, where = W.Builder(), {}
        b.buf = bytearray(1 << 20)
        records = [8 * random.randrange(1, 1 << random.choice((6, 12, 17))) for _ in range(random.randrange(1, 40))]
        for _ in range(random.choice((0, 1, 3, 60))):
            rid, page, o = random.choice((1, 2, 300, (1 << 32) - 1)), random.randrange(random.choice((9, 900, 1 << 34))), random.choice(records)
            where.update({(rid, page + i): o for i in range(random.choice((1, 2, 200))) if page + i < 1 << 34})
        b.index_map(where)
        body = bytes(b.buf[(1 << 20) + 64:])
        head = R.index(body[:24 + struct.unpack_from("<I", body, 20)[0]], 1 << 20)
        entries = R.index_entries(head, 1 << 20)
        if {(r, p): o for r, first, last, o in entries for p in range(first, last + 1)} != where:
            fail(f"map {n}: read otherwise than written")
        for _ in range(30):
            d, i = bytearray(head.data), random.randrange(len(head.data))
            d[i] ^= 1 << random.randrange(8)
            for changed in (bytes(d), head.data[:i], head.data[:i] + head.data[i + 1:], head.data + bytes([d[i]])):
                try:
                    R.index_entries(head._replace(data=changed), 1 << 20)
                    if len(changed) < len(head.data) and changed == head.data[:i]:
                        fail(f"map {n}: a cut one is accepted")
                except R.Corrupt:
                    refused += 1
    print(f"maps: {rounds} read as written, {refused} changed ones refused")


def decoded_once():
    """Verifying a history decodes each delta once: the work rises with the number of snapshots, not with its square."""
    masks, apply_mask = [0], R.apply_mask

    def counting(page, mask):
        masks[0] += 1
        return apply_mask(page, mask)
    R.apply_mask = counting
    try:
        for align, branches in ((4096, 1), (8, 1), (4096, 20)):
            for count in (150, 300):
                b, s = W.first(W.Builder(align))
                tips, links = [s] * branches, [0] * branches
                for i in range(count):
                    k = i % branches
                    links[k] = (links[k] + 1) % 60
                    tips[k] = W.delta(b, tips[k], at=7 * i % 4000, data=bytes([i & 127]), coder=3 if links[k] else 2)
                masks[0] = 0
                code, out = call(R.cmd_verify, bytes((b if align == 4096 else b.close()).buf))
                if code or masks[0] > (count if branches == 1 else count * 64):
                    fail(f"{count} snapshots on {branches} branches: {masks[0]} masks applied, {out}")
                print(f"{count} snapshots on {branches} branches, alignment {align}: {masks[0]} masks applied")
    finally:
        R.apply_mask = apply_mask


def little_memory():
    """What is kept is kept for speed only: without it the verdicts are the same."""
    kept = R.KEEP_PAGES, R.KEEP_UNPACKED, R.KEEP_ENTRIES
    R.KEEP_PAGES, R.KEEP_UNPACKED, R.KEEP_ENTRIES = 0, 1, 1
    b, s = W.first()
    tips = [s] * 12
    for i in range(48):
        tips[i % 12] = W.delta(b, tips[i % 12], at=i * 40, data=b"leaf")
    try:
        for c in W.corpus() + [W.Case("good-bush", b, "12 branches: more than the maps kept")]:
            code, out = call(R.cmd_verify, c.data)
            if verdict_of(code, out) != c.verdict:
                fail(f"{c.name} with little memory: {verdict_of(code, out)}: {out[:300]}")
    finally:
        R.KEEP_PAGES, R.KEEP_UNPACKED, R.KEEP_ENTRIES = kept
    print("the same verdicts with little memory")


def main():
    temp = tempfile.mkdtemp(prefix="svp-test-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        roots()
        half_hashes()
        references()
        maps(150)
        decoded_once()
        little_memory()
        files = corpus(temp, os.path.join(HERE, "..", "..", "format", "corpus"))
        for name, step in (("minimal", 1), ("branch", 101), ("unsynced", 101), ("ref-void", 101), ("ref-head", 101), ("seal-continued", 31), ("same", 211)):
            c = files[f"good-{name}.svp"]
            damage(c.name, c.data, c.builder.snaps, c.builder.dropped, temp, step=step)
        fuzz(files, int(os.environ.get("FUZZ", 6000)), temp)
        stream_damage(files["good-stream.svp"].data, 3)
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    print("FAILURES:" if failures else "all good,", len(failures), "failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
