"""Manifests: files of any place by their URIs; what is missing, changed or not allowed is refused and stops nothing."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import urllib.parse
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lakehouse.errors import IngestError
from lakehouse.ingestion.land import land
from lakehouse.ingestion.retention.policy import Keep
from tests.ingestion.files import landed, png, put, source, stored_objects

ZERO = {"seen": 0, "stored": 0, "duplicate": 0, "refused": 0, "unchanged": 0}


def sha(data):
    return hashlib.sha256(data).hexdigest()


def listed(folder, *records, name="files.jsonl"):
    lines = [each if isinstance(each, str) else json.dumps(each) for each in records]
    return put(folder, name, "\n".join(lines).encode())


def chosen(path, **options):
    told = {key: options.pop(key) for key in ("sha256", "size", "allow", "uri") if key in options}
    return source(path, form="manifest", options=told, **options)


@pytest.fixture
def drop(tmp_path):
    put(tmp_path / "drop", "a.png", png(1))
    put(tmp_path / "drop", "sub/ä b.png", png(2))
    return tmp_path / "drop"


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_files_are_landed_and_a_missing_one_stops_nothing(lake, drop, mode):
    path = listed(drop, {"uri": "a.png", "site": "north", "hash": sha(png(1)), "bytes": len(png(1))},
                  {"uri": f"file://{drop}/sub/%C3%A4%20b.png", "site": "south"}, {"uri": "gone.png"})  # fmt: skip
    told = chosen(path, mode=mode, sha256="hash", size="bytes", group_keys={"site": "site"})
    assert land(lake, told).counts == ZERO | {"seen": 3, "stored": 2, "refused": 1}
    rows = landed(lake, "path, status, rule, group_keys, object_uri")
    assert [(row["path"], row["rule"], row["group_keys"]) for row in rows] == [
        ("a.png", None, [("site", "north")]), ("gone.png", "missing_link", []),
        ("sub/ä b.png", None, [("site", "south")]),
    ]  # fmt: skip
    assert rows[0]["status"] == ("stored" if mode == "copy" else "linked")
    assert len(stored_objects(lake)) == (2 if mode == "copy" else 0)
    assert land(lake, told).counts == ZERO | {"seen": 3, "refused": 1, "unchanged": 2}
    put(drop, "gone.png", png(3))
    assert land(lake, told).counts == ZERO | {"seen": 3, "stored": 1, "unchanged": 2}


def test_bytes_that_are_not_those_that_are_stated_are_refused_with_both(lake, drop):
    path = listed(drop, {"uri": "a.png", "hash": sha(b"other"), "bytes": None}, {"uri": "sub/ä b.png", "bytes": 1},
                  {"uri": "a.png", "hash": "nonsense"}, {"uri": "a.png", "bytes": -1})  # fmt: skip
    assert land(lake, chosen(path, sha256="hash", size="bytes")).counts == ZERO | {"seen": 4, "refused": 4}
    reasons = {row["rule"]: row["reason"] for row in landed(lake, "path, rule, reason")}
    assert reasons["checksum_mismatch"] == f"its SHA-256 is {sha(png(1))}, expected {sha(b'other')}"
    assert reasons["size_mismatch"] == f"{len(png(2))} bytes, expected 1"
    assert "bad_record" in reasons


def test_no_record_leads_out_of_the_places_that_are_allowed(lake, drop, tmp_path):
    secret = put(tmp_path, "secret.png", png(9))
    (drop / "link.png").symlink_to(secret)
    os.mkfifo(drop / "fifo")
    path = listed(
        drop, {"uri": "../secret.png"}, {"uri": str(secret)}, {"uri": f"file://{secret}"}, {"uri": "link.png"},
        {"uri": "https://127.0.0.1:1/x.png"}, {"uri": "s3://other/../x.png"}, {"uri": "fifo"}, {"uri": 7}, "[1]",
        '{"uri": "a', {"uri": "a.png\0"}, {"uri": "file:relative"}, {"uri": "sub"},
    )  # fmt: skip
    receipt = land(lake, chosen(path))
    assert receipt.counts == ZERO | {"seen": 13, "refused": 13}
    assert {note.rule: note.count for note in receipt.notes} == {
        "not_allowed": 5, "bad_record": 6, "not_a_regular_file": 2
    }
    assert land(lake, chosen(path, allow=[str(tmp_path)])).counts["stored"] == 1


class Redirecting(BaseHTTPRequestHandler):
    """Leads where the name says: `/data/to:PORT:PATH`; all else is a picture."""

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.server.seen.append(self.path)
        if self.path.startswith("/data/to:"):
            _, port, path = urllib.parse.unquote(self.path).split(":")
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{port}{path}" if port else path)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(png(1))))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        if not self.path.startswith("/data/to:"):
            self.wfile.write(png(1))


@contextmanager
def serving():
    with ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_redirect_leads_to_no_place_that_is_not_allowed(lake, drop):
    """An open redirect of a host that is trusted must not make us read what only we can reach."""
    with serving() as trusted, serving() as private:
        base, inside = f"http://127.0.0.1:{trusted.server_port}", f"http://127.0.0.1:{private.server_port}"
        other = private.server_port
        told = [f"to:{other}:/data/x.png", "to::/secret.png", "to::/data/%2e%2e", "to::/data/fine.png", "fine.png",
                "to::\\\\127.0.0.1/x.png"]  # fmt: skip
        path = listed(drop, *({"uri": f"{base}/data/{each}"} for each in told))
        receipt = land(lake, chosen(path, allow=[f"{base}/data"]))
        assert receipt.counts == ZERO | {"seen": 6, "stored": 1, "duplicate": 1, "refused": 4}
        assert private.seen == []
        assert {row["rule"] for row in landed(lake)} == {None, "not_allowed"}
        again = land(lake, chosen(path, allow=[f"{base}/data", f"{inside}/data"]))
        assert again.counts == ZERO | {"seen": 6, "duplicate": 1, "unchanged": 2, "refused": 3}


def test_a_csv_keeps_its_columns_and_stops_where_they_go(lake, drop):
    path = put(drop, "files.csv", b"uri,site\na.png,north\nsub/\xc3\xa4 b.png\n")
    assert land(lake, chosen(path)).counts == ZERO | {"seen": 2, "stored": 1, "refused": 1}
    put(drop, "files.csv", b"uri,place\na.png,north\n")
    with pytest.raises(IngestError, match="expected site, uri; found uri, place"):
        land(lake, chosen(path))
    with pytest.raises(IngestError, match="has no column file: expected file; found uri, place"):
        land(lake, chosen(path, uri="file", drop="other"))
    with pytest.raises(IngestError, match="cannot read the manifest"):
        land(lake, chosen(drop / "none.csv"))


def test_a_time_that_is_none_refuses_its_record_alone(lake, drop):
    path = listed(drop, {"uri": "a.png", "at": "noon"}, {"uri": "sub/ä b.png", "at": "2026-05-01"})
    receipt = land(lake, chosen(path, captured_at="at"))
    assert receipt.counts == ZERO | {"seen": 2, "stored": 1, "refused": 1}
    assert [note.rule for note in receipt.notes] == ["bad_record"]


def test_a_keep_policy_judges_by_what_the_manifest_says(lake, drop):
    path = listed(drop, {"uri": "a.png", "site": "north"}, {"uri": "sub/ä b.png", "site": "south"})
    judged = chosen(path, keep=Keep(rules={"near": {"site": "north"}}))
    assert land(lake, judged).counts == ZERO | {"seen": 2, "stored": 1, "dropped": 1}
    assert [row["path"] for row in landed(lake)] == ["a.png"]
    assert land(lake, judged).counts["unchanged"] == 2
