"""SVG as pixels: what it draws is there, and what would reach out of it is not, and is told."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path

import pytest
from PIL import Image

from jobs.drawing import draw_entity
from lakehouse.media.previews import as_png
from lakehouse.viewing import drawings
from lakehouse.viewing.drawings import drawn
from loaders.errors import DecodeError

HEAD = "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='40' height='20'>"
WHITE = as_png(Image.new("RGB", (4, 4), "white"))
HALF = "<rect width='20' height='20' fill='#ff0000'/>"


def seen_of(inside: str) -> tuple[set[object], str]:
    pytest.importorskip("resvg_py")
    png, note = drawn(f"{HEAD}{inside}</svg>".encode())
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (40, 20)
        found = picture.convert("RGBA").getcolors() or []
    return set(found), note


def test_a_drawing_is_drawn_and_what_is_not_is_told():
    half = {(400, (255, 0, 0, 255)), (400, (0, 0, 0, 0))}
    assert seen_of(HALF) == (half, "")
    found, note = seen_of(f"{HALF}<text y='10' x='22'>words</text>")
    assert (found, "its texts" in note) == (half, True)


def test_a_drawing_reads_no_file_and_asks_nobody(tmp_path: Path):
    Image.new("RGB", (40, 20), "blue").save(tmp_path / "blue.png")
    nothing = {(800, (0, 0, 0, 0))}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        for address in (
            f"{tmp_path}/blue.png",
            f"file://{tmp_path}/blue.png",
            f"http://127.0.0.1:{listening.getsockname()[1]}/x.png",
        ):
            for name in ("href", "xlink:href"):
                found, note = seen_of(f"<image {name}='{address}' width='40' height='20'/>")
                assert (found, "from elsewhere" in note) == (nothing, True)
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + HEAD + "<text>&x;</text></svg>", "entities"),
        (HEAD.replace("'40'", "'400000'").replace("'20'", "'400000'") + "</svg>", "more than"),
        (HEAD + "<g>" * 50_000 + "</g>" * 50_000 + "</svg>", "more than|cannot be drawn"),
        (HEAD + "<g>", "cannot be drawn"),
    ],
)
def test_what_is_no_drawing_or_too_much_is_a_reason(text, told):
    pytest.importorskip("resvg_py")
    with pytest.raises(DecodeError, match=told):
        drawn(text.encode())


def test_without_the_library_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(drawings.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DecodeError, match=r"petrel-lakehouse\[view\]"):
        drawn(HEAD.encode())


def test_a_lake_shows_the_pixels_and_hands_out_the_file_as_a_download(seen):
    pytest.importorskip("resvg_py")
    answer = seen.get(f"/preview/{seen.ids['evil.svg']}")
    told = json.loads(answer.headers["x-petrel-preview"])
    assert (told["kind"], told["problem"], answer.headers["content-type"]) == ("drawing", "", "image/png")
    assert answer.body.startswith(b"\x89PNG")


def test_a_terminal_is_told_what_a_drawing_misses(seen, monkeypatch, capsys):
    monkeypatch.setattr("lakehouse.viewing.previews.drawn", lambda data: (WHITE, "not drawn: its texts"))
    draw_entity(seen.lake, seen.ids["evil.svg"])
    assert capsys.readouterr().out.endswith("(not drawn: its texts)\n")
