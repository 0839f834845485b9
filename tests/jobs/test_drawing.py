"""Pictures and bars in a terminal."""

from __future__ import annotations

import re
from decimal import Decimal
from unicodedata import east_asian_width

import pytest
from PIL import Image

from jobs.cli import main as petrel
from jobs.drawing import bars, coloured


def test_each_character_is_two_pixels_one_upon_the_other():
    picture = Image.new("RGB", (2, 2))
    picture.putpixel((0, 0), (255, 0, 0))
    picture.putpixel((0, 1), (0, 0, 255))
    line = coloured(picture, width=80)
    assert line.startswith("\x1b[38;2;255;0;0m\x1b[48;2;0;0;255m▀")
    assert line.endswith("\x1b[0m\n")
    assert line.count("▀") == 2


def test_a_wide_picture_is_made_to_fit():
    lines = coloured(Image.new("RGB", (300, 100)), width=30).splitlines()
    assert [line.count("▀") for line in lines] == [30] * 5


def test_bars_are_as_long_as_their_numbers():
    lines = bars([{"label": "cat", "n": 10}, {"label": "é\x1b", "n": 5}, {"label": None, "n": 0}], width=40)
    assert [line.count("█") for line in lines] == [30, 15, 0]
    assert "\x1b" not in "".join(lines)
    assert all(len(line) <= 40 for line in lines)


def test_bars_fit_a_narrow_terminal_whatever_their_names_and_numbers():
    said = {"a name that is much longer": Decimal("-1.5"), "日本語の名前" * 4: Decimal("3.25"), "short": 1234567.5}
    rows = [{"label": name, "n": number} for name, number in said.items()]
    lines = bars(rows, width=40)
    wide = [sum(2 if east_asian_width(each) == "W" else 1 for each in line) for line in lines]
    assert max(wide) <= 40
    assert ["-1.5" in lines[0], "3.25" in lines[1], "1234567.5" in lines[2], "█" in lines[2]] == [True] * 4


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -3, None, True])
def test_what_has_no_length_has_no_bar(number):
    lines = bars([{"label": "a", "n": number}, {"label": "b", "n": 2.0}], width=40)
    assert "█" not in lines[0]


def test_plots_are_of_numbers(shared_lake, capsys):
    lake = ["--lake", str(shared_lake)]
    text = "select media_type, count(*) as n from entities group by 1"
    assert petrel(["sql", *lake, text, "--plot"]) == 0
    assert re.search(r"image/\w+ +\d+ █+", capsys.readouterr().out)
    assert petrel(["sql", *lake, "select media_type from entities", "--plot"]) == 1
    assert "no column of media_type holds numbers" in capsys.readouterr().err
