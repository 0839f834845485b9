"""What the server answers, to whom, and that it hands out nothing that runs or that lies outside the lake."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from lakehouse.errors import QueryFailedError
from lakehouse.opinions.predictions import record_opinions
from lakehouse.query import fetch
from lakehouse.sql.contained import open_query
from lakehouse.sql.saving import save_view
from tests.making import small_lake
from tests.viewing.conftest import BOX, HEIGHT, SECRET, SVG, WIDTH, Seen, answer_of, picture

SIDES = {"x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}


def raw(seen: Seen, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, str]:
    """Send a request as it stands, with any Host."""
    connection = http.client.HTTPConnection(seen.base.removeprefix("http://"), timeout=30)
    connection.putrequest(method, path, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    with contextlib.closing(connection):
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


def test_rows_and_facets_are_those_of_sql(seen):
    page = seen.post("rows", {"sql": "select entity_id, media_type, size_bytes from entities order by size_bytes"})
    wanted = seen.ask("select entity_id, media_type, size_bytes from entities order by size_bytes")
    assert (page["total"], page["rows"]) == (6, wanted)
    (facet,) = seen.post("facets", {"sql": "", "columns": ["media_type"]})
    counts = seen.ask("select media_type, count(*) as n from entities group by 1")
    assert {bar["value"]: bar["rows"] for bar in facet["bars"]} == {row["media_type"]: row["n"] for row in counts}


def test_without_a_question_what_was_measured_is_shown_unless_it_is_too_much(seen, monkeypatch):
    measured = {row["dimension"] for row in seen.ask("select distinct dimension from silver.dimensions")}
    shown = seen.post("rows", {"sql": ""})
    assert measured <= set(shown["columns"])
    assert not {"text_words", "row_hash"} & (set(shown["columns"]) - measured)
    assert "note" not in shown

    def too_much(home: object, text: str, **how: object) -> object:
        if "entities_wide" in text:
            raise QueryFailedError("more than there is")
        return open_query(home, text, **how)  # type: ignore[arg-type]

    monkeypatch.setattr("lakehouse.viewing.selections.open_query", too_much)
    seen.post("forget")
    less = seen.post("rows", {"sql": ""})
    assert (less["total"], set(less["columns"]) & measured) == (shown["total"], set())
    assert "more than there is" in less["note"]
    seen.post("forget")


def test_a_question_may_be_ordered_by_any_expression(seen):
    sql = "select entity_id, size_bytes from entities"
    least, *_ = seen.post("rows", {"sql": sql, "order": "size_bytes * -1 desc", "limit": 1})["rows"]
    assert least["size_bytes"] == min(row["size_bytes"] for row in seen.ask(sql))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"sql": "select 1 as n"}, "no column entity_id"),
        ({"filters": {"media_type": {"values": "text"}}}, "a list of values for column media_type"),
        ({"sql": "select entity_id from entitles"}, "entities"),
        ({"sql": "select * from read_text('/etc/passwd')"}, "read_text"),
        ({"sql": "drop table entities"}, "SELECT"),
        ({"sql": "select entity_id from entities", "order": "1) union select * from read_csv('x') --"}, ""),
        ({"sql": 7}, "expected text"),
        ({"sql": "", "filters": {"no_such": {"low": 1}}}, "no column"),
        ({"sql": "", "filters": []}, ""),
        ({"sql": "x" * 200_000}, "characters"),
        ({"sql": "select 7 as entity_id"}, "expected the ids"),
        ({"sql": "", "filters": {"size_bytes": 3}}, "expected an object"),
        ({"sql": "", "column": "size_bytes", "offset": 1e30}, "looked through"),
        ({"sql": "", "offset": float("inf")}, "infinity"),
    ],
)
def test_what_cannot_be_asked_is_told_and_nothing_else_happens(seen, asked, said):
    found = seen.post("rows", asked)
    if asked.get("filters") == []:
        assert found["total"] == 6
    else:
        assert said in found["error"]


def test_answers_come_in_pixels_of_the_stored_picture(seen):
    thing = seen.ids["turned.jpg"]
    (boxes, *_) = [each for each in seen.post("answers", {"ids": [thing]})[thing] if "regions" in each]
    (region,) = boxes["regions"]
    assert {name: region[name] for name in BOX} == BOX


def test_of_one_alone_more_regions_come_and_tracks_say_in_which_frames(seen, monkeypatch):
    monkeypatch.setattr("lakehouse.viewing.app.REGIONS", 1)
    thing = seen.ids["grid.npy"]
    moving = BOX | {"track_id": "t1", "frame_start": 4, "frame_end": 9, "attrs": {"interpolation": "linear"}}
    still = BOX | {"track_id": "t1", "frame_start": 10}
    row = {"entity_id": thing, "regions": [moving, still], "frame_w": WIDTH, "frame_h": HEIGHT}
    record_opinions(seen.lake, [row], source="tracks", question="cells", actor="model:tracker@1")

    def of(ids: list[str]) -> dict[str, object]:
        return next(each for each in seen.post("answers", {"ids": ids})[thing] if each["actor_id"] == "model:tracker@1")

    alone, among = of([thing]), of([thing, seen.ids["plain.jpg"]])
    told = [(each["frames"], each.get("moves", False)) for each in alone["regions"]]
    assert told == [([4, 9], True), ([10, 10], False)]
    assert (len(among["regions"]), among["left_out"]) == (1, 1)


def test_previews_tell_the_stored_size_and_orientation(seen):
    answer = seen.get(f"/preview/{seen.ids['turned.jpg']}")
    told = json.loads(answer.headers["x-petrel-preview"])
    assert (told["kind"], told["width"], told["height"], told["orientation"]) == ("image", WIDTH, HEIGHT, 6)
    with Image.open(io.BytesIO(answer.body)) as small:
        corner = np.asarray(small.convert("L"))[2, 2]
        assert (small.size, corner > 200) == ((WIDTH, HEIGHT), True)
    for name, kind in (("tone.wav", "audio"), ("grid.npy", "array"), ("words.txt", "text")):
        assert json.loads(seen.get(f"/preview/{seen.ids[name]}").headers["x-petrel-preview"])["kind"] == kind
    assert seen.get(f"/preview/{'0' * 64}").status == 404


def test_bytes_come_whole_and_in_ranges_under_harmless_types(seen):
    whole = seen.get(f"/media/{seen.ids['plain.jpg']}")
    assert (whole.body, whole.headers["content-type"]) == (picture(), "image/jpeg")
    part = seen.get(f"/media/{seen.ids['plain.jpg']}", range="bytes=10-19")
    assert (part.status, part.body) == (206, picture()[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(picture())}"
    tail = seen.get(f"/media/{seen.ids['plain.jpg']}", range="bytes=-5")
    assert tail.body == picture()[-5:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lakehouse.viewing.app.LARGEST_RANGE", 100)
        patch.setattr("lakehouse.viewing.app.CHUNK_BYTES", 100)
        patch.setattr("lakehouse.viewing.media.LARGEST_RANGE", 100)
        large = seen.get(f"/media/{seen.ids['plain.jpg']}")
        assert (large.body, large.headers["content-type"]) == (picture(), "image/jpeg")
        assert seen.get(f"/media/{seen.ids['evil.svg']}").headers["content-disposition"] == "attachment"
        part = seen.get(f"/media/{seen.ids['plain.jpg']}", range="bytes=10-700")
        assert (part.body, part.headers["content-range"]) == (picture()[10:110], f"bytes 10-109/{len(picture())}")
    drawing = seen.get(f"/media/{seen.ids['evil.svg']}")
    assert drawing.body == SVG
    assert (drawing.headers["content-type"], drawing.headers["content-disposition"]) == (
        "application/octet-stream", "attachment",
    )  # fmt: skip
    for odd in ("99999999-", "-0", "5-2", f"0-{'9' * 5000}", f"-{'9' * 5000}", "0-1,3-4", "-"):
        assert seen.get(f"/media/{seen.ids['plain.jpg']}", range=f"bytes={odd}").status == 416, odd


def test_a_spectrogram_has_the_tone_where_and_when_it_sounds(seen):
    answer = seen.get(f"/spectrogram/{seen.ids['tone.wav']}")
    with Image.open(io.BytesIO(answer.body)) as image:
        levels = np.asarray(image).astype(int)
    rows, columns = levels.shape
    assert levels[:, : columns // 3].max() < 40
    loud = levels[:, 3 * columns // 4]
    # 1,000 of 4,000 Hz: a quarter of the way up.
    assert abs((rows - 1 - int(loud.argmax())) / rows - 0.25) < 0.02


def test_an_entity_page_tells_its_story(seen):
    story = seen.post("entity", {"id": seen.ids["plain.jpg"]})
    assert {each["actor_id"] for each in story["said"]} >= {"human:ann", "human:bo", "model:finder@1"}
    assert story["shown"]["landed"][0]["path"] == "plain.jpg"
    assert "error" in seen.post("entity", {"id": "f" * 64})


def test_what_people_disagree_about_is_a_question_for_the_grid(seen):
    found = seen.post("rows", {"sql": seen.post("about")["disagreements"]})
    assert [row["entity_id"] for row in found["rows"]] == [seen.ids["plain.jpg"]]


def test_everything_begins_as_its_rows_do(seen):
    begun, rows = seen.post("first"), seen.post("rows", {"sql": ""})
    assert begun["total"] == rows["total"] == len(begun["rows"]) == 6
    for short, whole in zip(begun["rows"], rows["rows"], strict=True):
        assert {name: whole.get(name) for name in short} == short


def test_views_that_the_lake_keeps_are_told_and_can_be_asked(seen):
    save_view(seen.lake, "jpegs", "select entity_id, size_bytes from entities where media_type = 'image/jpeg'", doc="")
    about = seen.post("about")
    (saved,) = about["saved"]
    assert (saved["name"], "jpegs" in about["words"]) == ("jpegs", True)
    shown = {row["entity_id"] for row in seen.post("rows", {"sql": saved["sql"]})["rows"]}
    assert shown == {seen.ids["plain.jpg"], seen.ids["turned.jpg"]}


def test_an_answer_arrives_as_an_opinion_of_who_looks(seen):
    thing = seen.ids["turned.jpg"]
    drawn = {"kind": "box", "label": "dog", "x": 1.0, "y": 2.0, "w": 3.0, "h": 4.0}
    said = {"entity": thing, "question": "cells", "regions": [drawn], "frame_w": WIDTH, "frame_h": HEIGHT}
    assert seen.post("annotate", said | {"why": "it barks"})["actor"] == "human:eve"
    text = "select actor_id, regions, reason, event_time from current_opinions where actor_id = 'human:eve'"
    (row,) = seen.ask(text)
    assert (row["actor_id"], row["reason"]) == ("human:eve", "it barks")
    assert {name: row["regions"][0][name] for name in drawn} == drawn
    assert row["event_time"] is not None


def test_an_answer_is_accepted_whole_and_a_box_is_drawn_beside_it(seen):
    thing, mask = seen.ids["plain.jpg"], {"mask_encoding": "coco_rle", "mask_counts": "2111", "mask_h": 2, "mask_w": 3}
    regions = [
        {"kind": "mask", "label": "cat", "attrs": {"hidden": "no"}, "score": 0.5} | mask,
        {"kind": "keypoints", "label": "dog", "points": [{"x": 1.0, "y": 2.0, "v": 2}], "track_id": "t1"},
    ]
    frame = {"frame_w": WIDTH, "frame_h": HEIGHT}
    row = {"entity_id": thing, "regions": regions} | frame
    record_opinions(seen.lake, [row], source="masks", question="cells", actor="model:masker@1")
    text = f"select opinion_id, regions from current_opinions where subject_id = '{thing}' and actor_id = "
    (other,) = seen.ask(f"{text}'model:masker@1'")
    seen.post("annotate", {"entity": thing, "question": "cells", "accept": other["opinion_id"]})
    (mine,) = seen.ask(f"{text}'human:eve' and question_id = 'cells'")

    def without(region: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in region.items() if name not in ("region_id", "score")}

    assert [without(each) for each in mine["regions"]] == [without(each) for each in other["regions"]]
    assert {each["score"] for each in mine["regions"]} == {None}
    box = {"kind": "box", "label": "dog"} | SIDES
    said = {"entity": thing, "question": "cells", "regions": [box], "beside": mine["opinion_id"]} | frame
    assert "error" not in seen.post("annotate", said)
    # Of two boxes that were drawn beside the same answer the second would lose the first.
    assert "no answer" in seen.post("annotate", said)["error"]
    (mine,) = seen.ask(f"{text}'human:eve' and question_id = 'cells'")
    assert [each["kind"] for each in mine["regions"]] == ["mask", "keypoints", "box"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"question": "animal"}, "has 0"),
        ({"question": "animal", "label": "cat", "text": "cat"}, "has 2"),
        ({"question": "animal", "label": "no_such_label"}, "no_such_label"),
        ({"question": "no_such", "label": "cat"}, "no_such"),
        ({"question": "cells", "regions": [{"kind": "box", "mask_ref": "/etc/passwd"}]}, "mask_ref"),
        ({"question": "animal", "label": "cat", "actor_id": "human:bo"}, "actor_id"),
        ({"question": "animal", "label": "cat", "entity": "f" * 64}, "no entity"),
        ({"question": "cells", "regions": 7}, "list"),
        ({"question": "cells", "regions": [{"kind": "bbox", "label": "cat"} | SIDES]}, "did you mean `box`"),
        ({"question": "cells", "regions": [{"kind": "keypoints", "label": "cat"}]}, "no points"),
        ({"question": "cells", "regions": [{"kind": "mask", "label": "cat"} | SIDES]}, "kind `mask`"),
        ({"question": "cells", "accept": "no_such_opinion"}, "no answer"),
    ],
)
def test_what_is_no_answer_is_refused_and_not_written(seen, asked, said):
    before = seen.ask("select count(*) as n from silver.opinions")
    assert said in seen.post("annotate", {"entity": seen.ids["plain.jpg"]} | asked)["error"]
    assert seen.ask("select count(*) as n from silver.opinions") == before


def test_others_are_refused(seen):
    host = seen.base.removeprefix("http://")
    token = {"x-petrel-token": seen.token}
    cookie = {"Cookie": f"petrel_{host.rpartition(':')[2]}={seen.token}"}
    asked = ("POST", "/api/about")
    assert raw(seen, *asked, {"Host": host})[0] == 403
    assert raw(seen, *asked, {"Host": host, "x-petrel-token": "x" * 32})[0] == 403
    assert raw(seen, *asked, {"Host": "evil.example"} | token)[0] == 421
    assert raw(seen, *asked, {"Host": f"evil.example:{host.rpartition(':')[2]}"} | cookie)[0] == 421
    assert raw(seen, *asked, {} | token)[0] in (400, 421)
    assert raw(seen, *asked, {"Host": host, "Origin": "http://evil.example"} | cookie)[0] == 403
    assert raw(seen, *asked, {"Host": host, "Origin": "null"} | cookie)[0] == 403
    assert raw(seen, *asked, {"Host": host, "Sec-Fetch-Site": "cross-site"} | cookie)[0] == 403
    assert raw(seen, *asked, {"Host": host} | cookie)[0] == 200
    assert raw(seen, *asked, {"Host": host} | cookie, b"[" * 1000)[0] == 400
    assert raw(seen, "POST", "/api/rows", {"Host": host} | cookie, b" " * (2 << 20))[0] == 413
    chunks = http.client.HTTPConnection(host, timeout=30)
    with contextlib.closing(chunks):
        chunks.request("POST", "/api/rows", iter([b" " * 600_000] * 2), cookie, encode_chunked=True)
        assert chunks.getresponse().status == 413


def test_the_token_becomes_a_cookie_that_no_script_reads(seen):
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: object) -> None:
            return None

    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.build_opener(Stay).open(seen.address)
    told.value.close()
    assert (told.value.code, told.value.headers["location"]) == (303, "/")
    assert "HttpOnly; SameSite=Strict" in told.value.headers["set-cookie"]


@pytest.mark.parametrize(
    "path",
    ["/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/front/../app.py", "/app.py",
     "/media/..%2f..%2fetc%2fpasswd", "/preview/%00", "/media/" + "a" * 5000, "/media/objects", "/index.html%00.js"],
)  # fmt: skip
def test_no_path_leads_out_of_the_lake(seen, path):
    status, text = raw(seen, "GET", path, {"Host": seen.base.removeprefix("http://"), "x-petrel-token": seen.token})
    assert status in (400, 404)
    assert "root:" not in text


def test_every_answer_forbids_foreign_hosts_and_scripts(seen):
    for path in ("/", "/app.js", f"/media/{seen.ids['evil.svg']}", "/no_such"):
        headers = seen.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_without_somebody_who_answers_nothing_is_written(tmp_path, seen):
    from lakehouse.viewing.serve import serving

    with serving(seen.lake, scratch=tmp_path) as address:
        other = Seen(seen.lake, address, seen.ids)
        assert other.post("about")["annotate"] is None
        said = {"entity": seen.ids["plain.jpg"], "question": "animal", "label": "cat"}
        assert "--annotate" in other.post("annotate", said)["error"]
        # The token of one server opens no other.
        request = urllib.request.Request(f"{other.base}/api/about", b"{}", {"x-petrel-token": seen.token})
        assert answer_of(request).status == 403


def test_who_started_the_server_goes_on_asking_the_lake(seen):
    wanted = fetch(seen.lake, "select entity_id, media_type from entities order by entity_id")
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(12):
                told = seen.post("answers", {"ids": list(seen.ids.values())})
                assert set(told) == set(seen.ids.values()), told
                assert "counts" in seen.post("about")
        except BaseException as error:
            failed.append(error)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for each in asking:
        each.start()
    while any(each.is_alive() for each in asking):
        assert fetch(seen.lake, "select entity_id, media_type from entities order by entity_id") == wanted
    for each in asking:
        each.join()
    assert failed == []


def test_texts_of_data_come_as_json(seen):
    said = seen.post("answers", {"ids": [seen.ids["plain.jpg"]]})[seen.ids["plain.jpg"]]
    assert SECRET in {each.get("label") for each in said}


def test_the_command_tells_its_address_and_ends_with_ctrl_c(tmp_path):
    with small_lake(tmp_path / "lake"):
        pass
    command = [sys.executable, "-m", "jobs.cli", "view", "--lake", str(tmp_path / "lake"), "--sql", "select 1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().removeprefix("open ").partition("#")[0].strip()
        shown = Seen(None, address, {})  # type: ignore[arg-type]
        assert shown.post("about")["counts"]["entities"] == 0
        assert "no column entity_id" in shown.post("rows", {"sql": "select 1"})["error"]
        server.send_signal(signal.SIGINT)
        _, told = server.communicate(timeout=60)
    assert (server.returncode, "interrupted" in told) == (130, True)
