#!/usr/bin/env python3
"""test_report.py - the page of `savepoint report` in headless Chromium: its cells, its texts, no error, no network

usage: test_report.py SAVEPOINT MAKE_MEMORY MAKE_ARCHIVE [FOLDER]     (FOLDER keeps pages and pictures)
"""
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LARGE_PAGES, LARGE_SNAPSHOTS = 1_000_000, 10_000
problems = []


def check(good, text):
    if not good:
        problems.append(text)


def browse(folder, page, width, *options):
    """Runs Chromium on a page and returns its standard output."""
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
         "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile",
         f"--window-size={width},2600", "--virtual-time-budget=20000", "--timeout=60000", *options, page.as_uri()],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120, check=False)
    return done.stdout


def requests_of(log):
    """The addresses that pages asked for; those the browser wants for itself have no origin."""
    found = re.findall(r'"initiator":"([^"]*)".*?"url":"([^"]*)"', log.read_text(errors="replace"))
    return sorted({url for initiator, url in found if initiator != "not an origin" and not url.startswith("file:")})


def look(folder, page, width=1200, *options):
    """Looks at a copy of the page that holds the probe. Returns what the probe found."""
    copy = folder / f"probed-{page.name}"
    log = folder / "net.json"
    text = page.read_text(encoding="utf-8")
    probe = "<script>\n" + (HERE / "probe.js").read_text(encoding="utf-8") + "</script>\n</head>"
    copy.write_text(text.replace("</head>", probe, 1), encoding="utf-8")
    dom = browse(folder, copy, width, "--dump-dom", f"--log-net-log={log}", *options)
    found = re.search(r'<pre id="probe">([A-Za-z0-9+/=]+)</pre>', dom)
    if found is None:
        sys.exit("\n".join(problems + [f"{page.name}: the probe did not come to its end"]))
    result = json.loads(base64.b64decode(found.group(1)))
    result["requests"] = requests_of(log)
    check(result["errors"] == [], f"{page.name}: errors {result['errors']}")
    check(result["requests"] == [], f"{page.name}: requests {result['requests']}")
    check(result["collisions"] == [], f"{page.name}, {width} wide: texts in each other's way: {result['collisions'][:5]}")
    check(result["overflow"] <= 0, f"{page.name}, {width} wide: wider than the window by {result['overflow']}")
    return result


def picture(folder, page, width, name, *options):
    path = folder / name
    browse(folder, page, width, f"--screenshot={path}", *options)
    check(path.is_file() and path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size > 10_000,
          f"{name}: no picture")


class Maker:
    def __init__(self, folder, tool, make_memory, make_archive):
        self.folder, self.tool = folder, tool
        self.makers = {"known": make_memory, "hostile": make_memory, "game": make_memory, "large": make_memory}
        self.make_archive = make_archive

    def page(self, scenario, code=0, arguments=()):
        archive, page = self.folder / f"{scenario}.svp", self.folder / f"{scenario}.html"
        for path in (archive, page):
            path.unlink(missing_ok=True)
        maker = self.makers.get(scenario, self.make_archive)
        # `signal` finds few writes in much memory fastest: the large archive takes thousands of snapshots.
        subprocess.run([maker, archive, scenario, *map(str, arguments)], check=True,
                       env={**os.environ, "SAVEPOINT_WATCH": "signal"})
        done = subprocess.run([self.tool, "report", "-o", page, archive], capture_output=True, text=True, check=False)
        check(done.returncode == code, f"{scenario}: exit code {done.returncode}: {done.stderr}")
        return page


def test_known(maker):
    page = maker.page("known")
    found = look(maker.folder, page)
    places = {region: [cell[:2] for cell in cells] for region, cells in found["cells"].items()}
    check(places == {"heap": [[0, 0], [0, 8], [5, 2], [5, 6]], "stack": [[1, 8], [2, 8]]}, f"cells: {places}")
    check(all(cell[2] == "h8" for cells in found["cells"].values() for cell in cells), "a page that was written is hot")
    check([cell[2] == "h8" for cell in found["bytes"]["heap"]] == [True, True, True, False],
          f"16 bytes of a page are less than all: {found['bytes']}")
    tip = found["tips"]["heap 5 2"]
    check(tip[0] == "heap, page 5" and re.fullmatch("0x[0-9a-f]+000 to 0x[0-9a-f]+000", tip[1]) is not None, f"tip: {tip}")
    check(re.match(r"snapshot 3, \d{4}-\d\d-\d\d [\d:]{8} “third”$", tip[2]) is not None, f"tip: {tip}")
    check(tip[3] == "1 page written (100 %): 1 whole" and tip[4] == "4.0 KiB changed, 4.0 KiB a page", f"tip: {tip}")
    tip = found["tips"]["heap 5 6"]
    check(tip[3] == "1 page written (100 %): 1 delta" and tip[4] == "16 B changed, 16 B a page", f"tip: {tip}")
    check(found["tips"]["heap 0 8"][3] == "1 page written (100 %): 1 zero", f"tip: {found['tips']['heap 0 8']}")
    check(found["tipBefore"] is None, "the text goes when the pointer leaves")
    keys = [tip and tip[0] for tip in found["keys"]]
    check(keys == ["heap, page 0", "heap, page 0", "heap, page 0", "heap, page 1", None], f"keys: {keys}")
    check("nothing written" in found["keys"][1] and "nothing written" not in found["keys"][0], f"keys: {found['keys']}")
    check(len(found["charts"]) == 4 and all(found["charts"]), f"charts: {found['charts']}")
    hottest = found["text"].split("Hottest pages")[1]
    check(re.search(r"heap\s+5\s+0x[0-9a-f]+000\s+2\s+4\.0 KiB", hottest) is not None, f"hottest: {hottest[:300]}")


def test_hostile(maker):
    page = maker.page("hostile")
    found = look(maker.folder, page)
    check(found["title"] == "hostile.svp - savepoint report", f"title: {found['title']}")
    check(found["scripts"] == 3 and found["images"] == 0, f"{found['scripts']} scripts, {found['images']} images")
    for words in ("</script><script>document.title='broken'</script>", "<!--<script>", "&lt;b&gt; ${1}",
                  "\\u2028 \\u202e"):
        check(words in found["text"], f"{words} is not shown")
    check("<img" not in page.read_text().split('id="data">')[1].split("</script>")[0], "'<' in the data")


def test_damaged(maker):
    found = look(maker.folder, maker.page("damaged", code=1))
    check(re.search(r"snapshot [0-9a-f]{8}, offset [\d,]+: ", found["damage"] or "") is not None, f"damage: {found['damage']}")
    check([cell[:2] for cell in found["cells"]["heap"]] == [[0, 0], [0, 1]], f"the rest is shown: {found['cells']}")
    found = look(maker.folder, maker.page("torn"))
    check("torn tail" in (found["torn"] or ""), f"torn: {found['torn']}")


def test_looks(maker):
    for scenario in ("game", "branch"):
        page = maker.page(scenario)
        for width in (390, 800, 1200):
            look(maker.folder, page, width)
        picture(maker.folder, page, 1200, f"{scenario}.png")
        picture(maker.folder, page, 1200, f"{scenario}-dark.png", "--blink-settings=preferredColorScheme=0")
        picture(maker.folder, page, 390, f"{scenario}-phone.png")


def test_large(maker):
    page = maker.page("large", arguments=(LARGE_SNAPSHOTS, LARGE_PAGES))
    check(page.stat().st_size < 2_000_000, f"the large page has {page.stat().st_size} bytes")
    found = look(maker.folder, page)
    look(maker.folder, page, 390)
    cells = found["cells"]["field"]
    check(max(cell[0] for cell in cells) < 256 and max(cell[1] for cell in cells) < 128, "more cells than the grid has")
    check(re.search(rf"12,345\s+0x[0-9a-f]+\s+{LARGE_SNAPSHOTS:,}\s", found["text"]) is not None, "the hottest page")
    picture(maker.folder, page, 1200, "large.png")


def test_the_test(maker):
    """The checks of look() can fail: a request is noticed, an error too, and the policy refuses the request."""
    global problems
    page = maker.folder / "bad.html"
    text = (maker.folder / "known.html").read_text(encoding="utf-8")
    line = "<script>new Image().src = 'http://127.0.0.1:9/picture.png'; nothing.here();</script></body>"
    kept, problems = problems, []
    page.write_text(re.sub("<meta http-equiv.*>", "", text).replace("</body>", line), encoding="utf-8")
    free = look(maker.folder, page)
    page.write_text(text.replace("</body>", line), encoding="utf-8")
    bound = look(maker.folder, page)
    said, problems = problems, kept
    check(free["requests"] == ["http://127.0.0.1:9/picture.png"], f"not noticed: {free['requests']}")
    check(bound["requests"] == [] and "refused: http://127.0.0.1:9/picture.png" in bound["errors"], f"{bound['errors']}")
    check(len(said) == 3, f"two errors and a request, not {said}")


def main():
    if shutil.which("chromium") is None:
        print("[SKIP] chromium is not installed")
        return 77
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(sys.argv[4] if len(sys.argv) > 4 else temporary)
        maker = Maker(folder, *map(pathlib.Path, sys.argv[1:4]))
        for test in (test_known, test_the_test, test_hostile, test_damaged, test_looks, test_large):
            print(test.__name__, flush=True)
            test(maker)
    print("\n".join(problems))
    print("test_report: " + (f"{len(problems)} problems" if problems else "passed"))
    return 1 if problems else 0


sys.exit(main())
