"""Names, labels, texts, files and requests that mean harm: none runs, leads out of the lake, or gets past the token."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

import lakehouse as lh
from lakehouse.errors import ConfigError
from lakehouse.opening import open_lake
from lakehouse.opinions.predictions import record_opinions
from lakehouse.opinions.questions import Question
from lakehouse.query import fetch
from lakehouse.viewing.export import export_pages
from lakehouse.viewing.serve import serving
from tests.conftest import missing
from tests.ingestion.files import source
from tests.making import small_lake
from tests.viewing.conftest import Seen, picture
from tests.viewing.hostile import PATHS, SVGS, TEXTS

SECRET_FILE = b"root:not for a browser"
ROUTES = ("", "preview/", "media/", "spectrogram/", "api/")
METHODS = ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "BREW")


@pytest.fixture(scope="module")
def harmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A lake whose labels, names, campaigns, reasons and texts are the corpus, shown to somebody who may answer."""
    top = tmp_path_factory.mktemp("hostile")
    (top / "drop").mkdir()
    for place, text in enumerate(TEXTS):
        (top / "drop" / f"{place}.txt").write_text(f"{place}: {text}")
        with contextlib.suppress(OSError):  # what no file can be called
            (top / "drop" / f"{text.replace('/', '∕')[:60]}.{place}.txt").write_text(f"{place} {text}")
    for place, text in enumerate(SVGS):
        for ending in ("svg", "html", "png", "txt"):
            (top / "drop" / f"s{place}.{ending}").write_text(f"{text}<!-- {ending} -->")
    (top / "drop" / "plain.jpg").write_bytes(picture())
    with small_lake(top / "lake") as lake:
        lh.land(lake, source(top / "drop", include=("*.*", "*.txt"), campaign=TEXTS[0], licence=TEXTS[1]))
        lh.entities(lake)
        lh.dimensions(lake)
        ids = {
            row["name"]: row["entity_id"] for row in fetch(lake, "select name, entity_id from silver.entity_sources")
        }
        kind = Question(question_id="kind", title=TEXTS[0], answer_kind="text")
        said = [{"entity_id": ids[f"{place}.txt"], "text": text, "reason": text} for place, text in enumerate(TEXTS)]
        record_opinions(lake, said, source="texts", question=kind, actor="human:ann")
        named = Question(
            question_id="named", title=TEXTS[1], answer_kind="label", labels=tuple(dict.fromkeys(TEXTS[:30]))
        )
        rows = [{"entity_id": ids[f"{place}.txt"], "label": text} for place, text in enumerate(TEXTS[:30])]
        record_opinions(lake, rows, source="labels", question=named, actor="human:bo")
        record_opinions(
            lake, [row | {"label": TEXTS[0]} for row in rows], source="others", question="named", actor="human:cy"
        )
        where = Question(
            question_id="where", title="Where?", answer_kind="regions", labels=tuple(dict.fromkeys(TEXTS[:30]))
        )
        boxes = [{"kind": "box", "label": text, "x": 1.0, "y": 2.0, "w": 30.0, "h": 9.0} for text in TEXTS[:30]]
        about = {"entity_id": ids["plain.jpg"], "regions": boxes, "frame_w": 120, "frame_h": 80}
        record_opinions(lake, [about], source="boxes", question=where, actor="human:ann")
        with serving(lake, scratch=top / "previews", actor="human:eve") as address:
            yield Seen(lake, address, ids)


def sent(seen: Seen, text: bytes) -> bytes:
    """Send bytes as they are, and return the first line of the answer and what follows."""
    host, _, port = seen.base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(text)
        parts = []
        with contextlib.suppress(ConnectionResetError):
            while part := line.recv(65536):
                parts.append(part)
    return b"".join(parts)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def request(seen: Seen, line: str, *headers: str, host: str = "", token: bool = True, body: bytes = b"") -> bytes:
    said = [line, f"Host: {host or seen.base.removeprefix('http://')}", "Connection: close", *headers]
    said += [f"x-petrel-token: {seen.token}"] if token else []
    said += [f"Content-Length: {len(body)}"] if body else []
    return sent(seen, "\r\n".join([*said, "", ""]).encode("latin-1") + body)


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_leads_to_a_file_that_is_not_the_lakes(harmed, route):
    for path in PATHS:
        for method in ("GET", "HEAD", "POST"):
            answer = request(harmed, f"{method} /{route}{path} HTTP/1.1")
            assert status(answer) in (307, 400, 404, 405, 414, 431) or (route, path) == ("", "."), (
                method,
                route,
                path,
                answer[:200],
            )
            assert b"root:" not in answer
    for line in ("GET http://evil.example/ HTTP/1.1", "GET //evil.example/%2e%2e HTTP/1.1", "GET * HTTP/1.1", "GET"):
        assert status(request(harmed, line)) in (0, 400, 404, 405), line


def test_pages_take_no_path_for_a_name(harmed):
    for name in (*PATHS, *TEXTS, "../../../etc/passwd", "\ud800", "\0"):
        for page, key in (("dataset", "name"), ("evaluation", "id"), ("entity", "id"), ("frames", "id")):
            told = harmed.post(page, {key: name})
            assert set(told) == {"error", "kind"}, (page, name)
            assert "root:" not in told["error"]
        assert "error" in harmed.post("diff", {"old": name, "new": name})
        assert harmed.post("answers", {"ids": [name]}) == {name: []} or name in ("\ud800", "\0")


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd'",
        "select * from read_csv('/etc/*')",
        "select * from glob('/etc/*')",
        "copy (select 1) to '/tmp/x'",
        "attach '/tmp/x.db'",
        "install httpfs",
        "load httpfs",
        "pragma database_list",
        "set allowed_directories = ['/']",
        "select getenv('HOME') as entity_id",
        "select * from read_parquet('http://evil.example/x')",
        "select 1; select 2",
        "select current_setting('home_directory') as entity_id",
    ],
)
def test_sql_reads_no_file_and_changes_nothing(harmed, sql):
    for asked in ({"sql": sql}, {"sql": "", "order": f"({sql.rstrip(';')})"}):
        told = harmed.post("rows", asked)
        assert "error" in told, asked
        assert "root:" not in told["error"]


def test_the_token_opens_only_where_it_belongs(harmed):
    token, port = harmed.token, harmed.base.rpartition(":")[2]
    for line in (
        f"POST /api/about?token={token} HTTP/1.1",
        f"GET /app.js?token={token} HTTP/1.1",
        f"GET /{token} HTTP/1.1",
        f"GET /?tok={token} HTTP/1.1",
        f"GET /?token={token[:-1]} HTTP/1.1",
        f"GET /?token=%00{token} HTTP/1.1",
        f"GET /#token={token} HTTP/1.1",
        "GET /?token= HTTP/1.1",
        f"GET /?token[]={token} HTTP/1.1",
    ):
        assert status(request(harmed, line, token=False)) in (400, 403), line
    for header in (
        f"Authorization: Bearer {token}",
        f"Cookie: petrel={token}",
        f"Cookie: petrel_1={token}",
        f"Cookie: petrel_{port}=x{token}",
        f"Referer: http://127.0.0.1/?token={token}",
        f"x-token: {token}",
        "x-petrel-token: \xff\xfe",
        "x-petrel-token:",
        f"Cookie: xpetrel_{port}={token}",
    ):
        assert status(request(harmed, "POST /api/about HTTP/1.1", header, token=False)) == 403, header
    assert (
        status(request(harmed, "POST /api/about HTTP/1.1", f"Cookie: a=b; petrel_{port}={token}", token=False)) == 200
    )


def test_other_hosts_origins_and_sites_are_refused_whatever_they_have(harmed):
    port = harmed.base.rpartition(":")[2]
    for host in (
        "evil.example",
        f"evil.example:{port}",
        f"127.0.0.1.:{port}",
        "127.0.0.1",
        f"127.0.0.1:{port}.evil.example",
        f"127.0.0.1:{port}@evil.example",
        f"[::1]:{port}",
        f"2130706433:{port}",
        f"0.0.0.0:{port}",
        f"127.1:{port}",
        f"localhost.evil.example:{port}",
        "\xe9vil.example",
    ):
        assert status(request(harmed, "POST /api/about HTTP/1.1", host=host)) in (400, 421), host
    twice = request(harmed, "POST /api/about HTTP/1.1", "Host: evil.example")
    assert status(twice) in (400, 421)
    for header in (
        "Origin: http://evil.example",
        "Origin: null",
        f"Origin: https://127.0.0.1:{port}",
        "Origin: http://127.0.0.1",
        "Origin: file://",
        f"Origin: http://127.0.0.1:{port}.evil.example",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: nonsense",
    ):
        assert status(request(harmed, "POST /api/about HTTP/1.1", header)) == 403, header
    answer = request(
        harmed,
        "GET /api/about HTTP/1.1",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    assert status(answer) != 101


def test_methods_that_nothing_needs_are_refused(harmed):
    before = harmed.ask("select count(*) as n from silver.opinions")
    for method in METHODS:
        for path in ("/", "/api/about", "/api/annotate", f"/media/{harmed.ids['0.txt']}", "/app.js"):
            assert status(request(harmed, f"{method} {path} HTTP/1.1")) in (400, 404, 405, 501), (method, path)
    for path in ("/api/about", "/api/annotate", "/api/rows"):
        assert status(request(harmed, f"GET {path} HTTP/1.1")) in (404, 405)
    assert harmed.ask("select count(*) as n from silver.opinions") == before


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 20_000,
        b'{"a":' * 20_000,
        b"\xff\xfe",
        b'{"ids": "abc"}',
        b'{"ids": [null, {}, 1e400]}',
        b"NaN",
        b'"x"',
        b"{" + b" " * 999_999,
        b'{"sql": "", "limit": -1}',
        b'{"sql": "", "limit": 1e999}',
        b'{"sql": "", "offset": "x"}',
        b'{"columns": "x"}',
        b'{"columns": [["x"]]}',
        b'{"filters": {"size_bytes": {"low": "x"}}}',
        b'{"filters": {"size_bytes": {"values": 7}}}',
        b'{"column": "rowid; drop table held"}',
        b'{"sql": "\\ud800"}',
        b'{"columns": ["\\ud800"]}',
        b'{"filters": {"\\ud800": {}}}',
        b'{"filters": {"size_bytes": {"low": [1]}}}',
    ],
)
def test_no_body_is_too_odd_for_an_answer(harmed, body):
    for page in ("rows", "facets", "answers", "entity", "annotate"):
        answer = request(harmed, f"POST /api/{page} HTTP/1.1", body=body)
        assert status(answer) in (200, 400, 404, 413), (page, answer[:300])
        assert b"Traceback" not in answer


def test_ranges_are_bounded_and_odd_ones_refused(harmed):
    path = f"/media/{harmed.ids['plain.jpg']}"
    for odd in (
        "bytes=0-0,1-1" + ",2-2" * 5000,
        f"bytes={'9' * 300}-",
        "bytes=--1",
        "bytes=1-0",
        "bytes=\t",
        "lines=1-2",
        "bytes=0x1-0x2",
        "bytes=-",
        "bytes=1",
        "BYTES=a-b",
    ):
        assert status(request(harmed, f"GET {path} HTTP/1.1", f"Range: {odd}")) in (400, 416, 431), odd[:40]
    whole = request(harmed, f"GET {path} HTTP/1.1", "Range: bytes=0-99999999999999999")
    assert status(whole) == 206
    assert whole.endswith(picture())


def test_what_is_stored_cannot_be_swapped_for_a_link_out_of_the_lake(harmed, tmp_path):
    (tmp_path / "secret").write_bytes(SECRET_FILE * 100)
    thing = harmed.ids["1.txt"]
    stored = harmed.lake.root / "objects" / thing[:2] / thing
    kept = stored.read_bytes()
    folder = stored.parent
    try:
        stored.unlink()
        stored.symlink_to(tmp_path / "secret")
        for header in ((), ("Range: bytes=0-9",), ("Range: bytes=0-",)):
            answer = request(harmed, f"GET /media/{thing} HTTP/1.1", *header)
            assert (status(answer), SECRET_FILE[:5] in answer) == (400, False), header
        stored.unlink()
        os.mkfifo(stored)
        assert status(request(harmed, f"GET /media/{thing} HTTP/1.1", "Range: bytes=0-9")) == 400
        stored.unlink()
        # The folder of it, too.
        moved = Path(f"{folder}.moved")
        folder.rename(moved)
        try:
            (tmp_path / "away").mkdir()
            (tmp_path / "away" / thing).write_bytes(SECRET_FILE * 100)
            folder.symlink_to(tmp_path / "away")
            assert b"root:" not in request(harmed, f"GET /media/{thing} HTTP/1.1", "Range: bytes=0-9")
        finally:
            folder.unlink(missing_ok=True)
            moved.rename(folder)
    finally:
        stored.unlink(missing_ok=True)
        stored.write_bytes(kept)


def test_files_that_promise_pictures_are_never_handed_out_as_what_runs(harmed):
    for name, thing in harmed.ids.items():
        connection = http.client.HTTPConnection(harmed.base.removeprefix("http://"), timeout=30)
        with contextlib.closing(connection):
            for path in (f"/media/{thing}", f"/preview/{thing}"):
                connection.request("GET", path, headers={"x-petrel-token": harmed.token})
                answer = connection.getresponse()
                answer.read()
                told = answer.headers["content-type"]
                assert told in ("application/octet-stream", "image/png", "image/jpeg"), (name, told)
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert (
                    "content-disposition" in answer.headers or told != "application/octet-stream" or "preview" in path
                )


def test_static_pages_hold_hostile_texts_as_data_alone(harmed, tmp_path):
    with open_lake(harmed.lake.config) as lake:
        export_pages(lake, tmp_path / "pages")
        export_pages(lake, tmp_path / "one.html", sql="select entity_id from entities limit 3")
        with pytest.raises(ConfigError, match="is there already"):
            export_pages(lake, tmp_path / "pages")
    data = (tmp_path / "pages" / "data.js").read_text()
    assert "<" not in data
    found = json.loads(data.removeprefix("window.PETREL=").rstrip().removesuffix(";"))
    texts = {each.get("text") for some in found["answers"].values() for each in some}
    assert texts >= set(TEXTS)
    page = (tmp_path / "one.html").read_text()
    assert page.count("<script") == page.count("</script>") == 2


def test_no_page_runs_what_is_said_in_data_or_asks_another_host(harmed, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        missing("no Chromium on this machine", required_by="PETREL_REQUIRE_BROWSER")
    from playwright.sync_api import sync_playwright

    with open_lake(harmed.lake.config) as lake:
        some = ", ".join(f"'{harmed.ids[f'{place}.txt']}'" for place in range(4))
        said = TEXTS[0].replace("'", "''")
        export_pages(
            lake, tmp_path / "pages", sql=f"select entity_id, '{said}' as x from entities where entity_id in ({some})"
        )
    broken: list[str] = []
    allowed = (harmed.base, "blob:", "data:", tmp_path.as_uri())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context().new_page()
        page.add_init_script(
            "window.addEventListener('securitypolicyviolation', e => console.error('CSP ' + e.blockedURI))"
        )
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("dialog", lambda dialog: broken.append(dialog.message))
        page.on("console", lambda told: broken.append(told.text) if "CSP" in told.text else None)
        page.on("request", lambda asked: None if asked.url.startswith(allowed) else broken.append(asked.url))
        page.goto(harmed.address)
        addresses = ["#/grid", "#/rejected", "#/quality", "#/datasets", "#/evaluations"]
        addresses += [f"#/entity?id={harmed.ids[f'{place}.txt']}" for place in range(0, len(TEXTS), 4)]
        addresses += [f"#/entity?id={harmed.ids['plain.jpg']}"]
        addresses += [f"#/{kind}={quote(TEXTS[at])}" for kind, at in (
            ("grid?sql", 1), ("grid?order", 2), ("grid?filters", 3), ("grid?column", 0), ("entity?id", 5),
            ("dataset?name", 8), ("diff?old", 3), ("evaluation?id", 10), ("entity?sides", 4))]  # fmt: skip
        addresses += [f"#/javascript:{TEXTS[5]}", f"#{TEXTS[1]}", "#/grid?no_actors=%5B%22__proto__%22%5D"]
        for address in addresses:
            page.goto(f"{harmed.base}/{address}")
            page.wait_for_selector("main, [role=alert]")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("window.planted") is None, address
            assert (
                page.evaluate("document.querySelectorAll('script:not([src]), iframe, base, form[action]').length") == 0
            )
            links = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.protocol)")
            assert set(links) <= {"http:"}, address
        page.goto(f"{(tmp_path / 'pages' / 'index.html').as_uri()}#/entity?id={harmed.ids['0.txt']}")
        page.wait_for_selector("main")
        assert page.evaluate("window.planted") is None
        browser.close()
    assert broken == []
