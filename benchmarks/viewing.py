"""What it costs to look at a lake: start, grid, scrolling, facets and a long video, in a headless browser.

    python -m benchmarks.viewing                      # 100,000 pictures, facets of 1 M entities, a 1 GB video
    python -m benchmarks.viewing --entities 10k --rows 100k --video-mb 100
    python -m benchmarks.viewing --folder /data/viewing --only start,scroll

Prints one line of JSON for each figure, with what is asked for and, where one makes sense, a baseline of the same run:
plain static files from the same server library, DuckDB alone over the same rows. Needs Chromium and PyAV.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import io
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from PIL import Image

from benchmarks.scale.lakes import entities_of, make_lake
from lakehouse.config import load_config
from lakehouse.opening import open_lake
from lakehouse.tables.insert import insert_rows
from schemas.tables import ENTITIES

SEGMENT_S = 10
RATE = 25
MEASURED = 5
"""Dimensions of each entity whose facets are counted."""
ROOM_MB = 2048
"""For the question of a million rows: all that was measured of them is more than a query may take by default."""
STATIC = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
app = Starlette(routes=[Mount("/", StaticFiles(directory=sys.argv[1], html=True))])
print(f"open http://127.0.0.1:{sys.argv[2]}/", flush=True)
uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""
FRAMES = """
async seconds => {
    const grid = document.querySelector(".grid"), times = [];
    const end = performance.now() + seconds * 1000;
    await new Promise(done => {
        const step = now => {
            times.push(now);
            grid.scrollTop += 24;
            now < end ? requestAnimationFrame(step) : done();
        };
        requestAnimationFrame(step);
    });
    return times;
}
"""


def report(what: str, value: float, unit: str, *, wanted: str, **baseline: float) -> None:
    """Print one figure."""
    told = {"what": what, "value": round(value, 3), "unit": unit, "wanted": wanted}
    told |= {name: round(each, 3) for name, each in baseline.items()}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


class Shown:
    """A server in a process of its own."""

    def __init__(self, *command: str) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.listening_s = time.monotonic() - self.started
        self.address = line.removeprefix("open ").strip()
        if not self.address.startswith("http"):
            raise RuntimeError(f"{' '.join(command)} told no address but {line!r}")
        self.base, _, token = self.address.partition("/?token=")
        self.base = self.base.rstrip("/")
        self._headers = {"x-petrel-token": token}

    def get(self, path: str) -> bytes:
        """Ask for a path."""
        with urllib.request.urlopen(
            urllib.request.Request(self.base + path, headers=self._headers), timeout=600
        ) as told:
            body: bytes = told.read()
        return body

    def post(self, page: str, **asked: object) -> Any:
        """Ask the API."""
        request = urllib.request.Request(f"{self.base}/api/{page}", json.dumps(asked).encode(), self._headers)
        with urllib.request.urlopen(request, timeout=600) as told:
            return json.loads(told.read())

    @property
    def peak_mb(self) -> float:
        """Most memory that the process held, MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith("VmHWM"))) / 1024

    @property
    def own_mb(self) -> float:
        """Memory that the process holds now and that is no file's, MB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith("RssAnon"))) / 1024

    @property
    def cpu_s(self) -> float:
        """Seconds of processor, user and system, of it and of its ended children."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / 100

    @property
    def read_mb(self) -> float:
        """What it read, of files and pipes, MB."""
        text = Path(f"/proc/{self.process.pid}/io").read_text()
        return float(next(line.split()[1] for line in text.splitlines() if line.startswith("rchar"))) / 1e6

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()


@contextmanager
def view(lake: Path, *settings: str) -> Iterator[Shown]:
    """Run `petrel view`."""
    server = Shown("-m", "jobs.cli", "view", "--lake", str(lake), *(f"--set={each}" for each in settings))
    try:
        yield server
    finally:
        server.close()


@contextmanager
def static(folder: Path) -> Iterator[Shown]:
    """Serve plain files with the same library."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Shown("-c", STATIC, str(folder), str(port))
    try:
        yield server
    finally:
        server.close()


@contextmanager
def browser() -> Iterator[Any]:
    """A page of headless Chromium."""
    from playwright.sync_api import sync_playwright

    found = next((each for each in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if each), None)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened.new_context(viewport={"width": 1280, "height": 900}).new_page()
        opened.close()


def picture(number: int) -> bytes:
    """A small picture that no other number has."""
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    place = io.BytesIO()
    Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR).save(place, "PNG", compress_level=1)
    return place.getvalue()


def keep_picture(lake: Path, number: int) -> str:
    """Write a picture where the lake has it, and return its id."""
    data = picture(number)
    thing = hashlib.sha256(data).hexdigest()
    folder = lake / "objects" / thing[:2]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / thing).write_bytes(data)
    return thing


def pictures(folder: Path, size: str) -> Path:
    """Return a lake of so many pictures with measurements and answers, made if it is not there."""
    lake = folder / f"pictures-{size}"
    beside = folder / f"objects-{size}"
    if not lake.exists():
        # The lake's own folder has to be empty when it is made.
        made = make_lake(lake, entities_of(size), answers=1, identify=functools.partial(keep_picture, beside))
        shutil.rmtree(made / "objects", ignore_errors=True)
        (beside / "objects").rename(made / "objects")
    return lake


def start(folder: Path, args: argparse.Namespace) -> None:
    """Start to listening, to the first picture over HTTP, and to the rows with what was measured."""
    lake = pictures(folder, args.entities)
    with view(lake):
        pass  # once, so that files are looked at and in the system's memory
    listening, first, cpu, whole, whole_cpu = [], [], [], [], []
    for _ in range(args.times):
        with view(lake) as server:
            listening.append(server.listening_s)
            thing = server.post("first")["rows"][0]["entity_id"]
            assert server.get(f"/preview/{thing}")
            first.append(time.monotonic() - server.started)
            cpu.append(server.cpu_s)
            assert server.post("rows", sql="", limit=1)["rows"][0]["entity_id"] == thing
            whole.append(time.monotonic() - server.started)
            whole_cpu.append(server.cpu_s)
    with tempfile.TemporaryDirectory() as plain:
        (Path(plain) / "a.png").write_bytes(picture(0))
        plain_s, plain_cpu = [], []
        for _ in range(args.times):
            with static(Path(plain)) as server:
                while True:
                    try:
                        server.get("/a.png")
                        break
                    except OSError:
                        time.sleep(0.005)
                plain_s.append(time.monotonic() - server.started)
                plain_cpu.append(server.cpu_s)
    report("start to listening", min(listening), "s", wanted="", median=statistics.median(listening))
    report(
        "start to first picture over HTTP",
        min(first),
        "s",
        wanted="<= 2",
        median=statistics.median(first),
        static=min(plain_s),
    )
    report("processor until then", min(cpu), "s", wanted="", static=min(plain_cpu))
    report("start to all rows with what was measured", min(whole), "s", wanted="", median=statistics.median(whole))
    report("processor until then, server and the process of the question", min(whole_cpu), "s", wanted="")


def scroll(folder: Path, args: argparse.Namespace) -> None:
    """First grid in a browser, frames while scrolling, memory of the server."""
    lake = pictures(folder, args.entities)
    with view(lake) as server, browser() as page:
        page.goto("about:blank")
        before = time.monotonic()
        page.goto(server.address)
        page.wait_for_selector(".tile .picture > *")
        grid = time.monotonic() - before
        report(f"first grid of {args.entities}, in an open browser", grid, "s", wanted="<= 1")
        page.wait_for_load_state("networkidle")
        times = page.evaluate(FRAMES, args.seconds)
        steps = np.diff(times)
        report(
            "frames a second while scrolling",
            1000 / steps.mean(),
            "fps",
            wanted=">= 50",
            slowest_frame_ms=float(steps.max()),
            over_50ms=float((steps > 50).sum()),
        )
        idle = page.evaluate(FRAMES.replace("grid.scrollTop += 24;", ""), 1)
        report("frames a second of a page at rest", 1000 / np.diff(idle).mean(), "fps", wanted="")
        page.evaluate("() => { const g = document.querySelector('.grid'); g.scrollTop = g.scrollHeight / 2; }")
        page.wait_for_load_state("networkidle")
        page.wait_for_selector(".tile .picture > *")
        for column in ("media_type", "size_bytes"):
            server.post("rows", sql="", column=column, limit=200)
        server.post("facets", sql="")
        # The rest of it is files: code of libraries, which the system shares and may drop.
        report("most memory of the server", server.peak_mb, "MB", wanted="<= 300", its_own_at_the_end=server.own_mb)


def facets(folder: Path, args: argparse.Namespace) -> None:
    """All histograms of a question of so many rows, held."""
    # Without answers, and with half of the measurements: facets are of columns, and ten million rows take long to make.
    lake = make_lake(folder / f"lake-{args.rows}", entities_of(args.rows), answers=0, dimensions=MEASURED)
    with view(lake, f"sql.memory_mb={ROOM_MB}") as server:
        asked = time.monotonic()
        told = server.post("rows", sql="", limit=1)
        if "note" in told:
            raise RuntimeError(told["note"])
        total = told["total"]
        report(f"rows of {total:,} entities, asked and held", time.monotonic() - asked, "s", wanted="")
        before = time.monotonic()
        warm = server.post("facets", sql="")
        report("their facets, the first time", time.monotonic() - before, "s", wanted="", columns=len(warm))
        column = next(each["column"] for each in warm if each["kind"] == "number" and len(each["bars"]) > 2)
        bars = next(each["bars"] for each in warm if each["column"] == column)
        for name, filters in (
            ("again", {}),
            ("with a filter", {column: {"low": bars[1]["low"], "high": bars[-2]["high"]}}),
        ):
            taken, cpu = [], []
            for _ in range(args.times):
                before, used = time.monotonic(), server.cpu_s
                found = server.post("facets", sql="", filters=filters)
                taken.append(time.monotonic() - before)
                cpu.append(server.cpu_s - used)
            alone_s, alone_cpu = duckdb_alone(lake, found, column if filters else "", filters)
            report(
                f"their facets, {name}",
                min(taken),
                "s",
                wanted="<= 1",
                cpu_s=min(cpu),
                columns=len(found),
                duckdb_s=alone_s,
                duckdb_cpu_s=alone_cpu,
            )
        report("most memory of the server", server.peak_mb, "MB", wanted="")


def duckdb_alone(lake: Path, found: Sequence[Any], column: str, filters: Any) -> tuple[float, float]:
    """Count the same bars with one `group by` a column over the same rows, in memory."""
    config = load_config(overrides=[f'lake.root="{lake}"'], environ={})
    with open_lake(config) as opened:
        rows = opened.read_table("entities_wide", columns=[each["column"] for each in found])
    connection = duckdb.connect(config={"threads": 2})
    connection.register("rows", rows)
    connection.execute("create table held as select * from rows")
    del rows
    started, used = time.monotonic(), time.process_time()
    for each in found:
        name = f'"{each["column"]}"'
        where = ""
        if column and each["column"] != column:
            where = f' where "{column}" >= {filters[column]["low"]} and "{column}" < {filters[column]["high"]}'
        value = name
        if each["kind"] in ("number", "time") and each["bars"]:
            low, high = each["bars"][0]["low"], each["bars"][-1]["high"]
            number = f"epoch({name})" if each["kind"] == "time" else name
            value = f"floor(({number} - {low}) / {(high - low) or 1} * {len(each['bars'])})"
        connection.execute(f"select {value}, count(*) from held{where} group by 1").fetchall()
    return time.monotonic() - started, time.process_time() - used


def video(folder: Path, args: argparse.Namespace) -> None:
    """Open a long video in the browser and jump twice; what the server reads of it."""
    place = folder / f"film-{args.video_mb}" / "film.mp4"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        make_film(place, args.video_mb)
    lake = folder / f"film-{args.video_mb}" / "lake"
    if not lake.exists():
        with open(place, "rb") as file:
            thing = hashlib.file_digest(file, "sha256").hexdigest()
        config = load_config(overrides=[f'lake.root="{lake}"'], environ={})
        with open_lake(config, create=True) as opened:
            row = {
                "entity_id": thing,
                "media_type": "video/mp4",
                "size_bytes": place.stat().st_size,
                "storage": "link",
                "object_uri": place.as_uri(),
                "group_keys": {},
                "origin": "real",
            }
            insert_rows(opened, ENTITIES, [row], step="viewing")
    size = place.stat().st_size / 1e6
    with view(lake) as server, browser() as page:
        (row,) = server.post("rows", sql="")["rows"]
        page.goto(server.address)
        page.wait_for_selector(".tile")
        read, opened_s, jumped_s = watched(page, server, f"{server.base}/#/entity?id={row['entity_id']}")
    with static(place.parent) as server, browser() as page:
        (place.parent / "index.html").write_text("<video src=film.mp4 preload=metadata controls></video>")
        time.sleep(1)
        plain, plain_s, plain_jump_s = watched(page, server, f"{server.base}/index.html")
    report(
        f"read of a video of {size:,.0f} MB to open it and to jump to its middle and three quarters",
        read,
        "MB",
        wanted="<= 5",
        static=plain,
    )
    report("time to open it", opened_s, "s", wanted="", static=plain_s)
    report("time of a jump", jumped_s, "s", wanted="", static=plain_jump_s)


def watched(page: Any, server: Shown, address: str) -> tuple[float, float, float]:
    """Return MB of the video that the server read, and seconds, until the first frame and for a jump."""
    handed_out: list[int] = []
    page.on(
        "response",
        lambda told: handed_out.append(int(told.headers.get("content-length", 0))) if "/media/" in told.url else None,
    )
    before, started = server.read_mb, time.monotonic()
    page.goto(address)
    page.wait_for_function("() => (document.querySelector('video') || {}).readyState >= 2", timeout=120_000)
    opened_s = time.monotonic() - started
    jumps = []
    for share in (0.5, 0.75):
        started = time.monotonic()
        page.evaluate(
            "share => { const film = document.querySelector('video'); film.currentTime = film.duration * share; }",
            share,
        )
        page.wait_for_function(
            "() => { const film = document.querySelector('video'); return !film.seeking && film.readyState >= 2; }",
            timeout=120_000,
        )
        jumps.append(time.monotonic() - started)
    page.wait_for_timeout(1500)  # what is still on its way counts too
    # Of ours every answer is read whole; of the other library no more than was sent before the browser had enough.
    read = sum(handed_out) / 1e6 if handed_out else server.read_mb - before
    return read, opened_s, statistics.mean(jumps)


def make_film(place: Path, megabytes: int) -> None:
    """Write an MP4 of about so many megabytes at 4.5 Mbit/s: ten seconds, again and again, its index at the front."""
    import av

    draw = np.random.default_rng(1)
    segment = io.BytesIO()
    with av.open(segment, "w", format="mp4") as made:
        stream = made.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": "50"})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 640, 360, "yuv420p", 4_500_000
        for number in range(SEGMENT_S * RATE):
            pixels = np.zeros((360, 640, 3), np.uint8)
            pixels[..., 0] = (np.arange(640) + number * 4) % 256
            pixels[:, :320] = draw.integers(0, 256, (360, 320, 3), dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels)):
                made.mux(packet)
        for packet in stream.encode():
            made.mux(packet)
    times = max(1, megabytes * 1_000_000 // segment.tell())
    with av.open(str(place), "w", options={"movflags": "+faststart"}) as film:
        out = None
        for turn in range(times):
            segment.seek(0)
            again: Any
            with av.open(segment, "r") as again:
                source = again.streams.video[0]
                out = out or film.add_stream_from_template(source)
                offset = round(turn * SEGMENT_S / source.time_base)
                for packet in again.demux(source):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, out
                    film.mux(packet)


PARTS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "start": start, "scroll": scroll, "facets": facets, "video": video,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", default="100k", help="pictures of the grid")
    parser.add_argument("--rows", default="1M", help="entities whose facets are counted")
    parser.add_argument("--video-mb", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=4, help="of scrolling")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--folder", type=Path, help="where lakes and the video are kept; else they are thrown away")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.only.split(",")) - set(PARTS))
    if unknown:
        parser.error(f"--only {unknown[0]}: expected some of {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for part in args.only.split(","):
            PARTS[part](folder, args)


if __name__ == "__main__":
    main()
