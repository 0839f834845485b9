"""Sidecars: what CSV, JSON and per-file records state about each file."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime

import pytest

from lakehouse.errors import IngestError
from lakehouse.ingestion.sources.sidecar import Sidecars, Stated
from lakehouse.ingestion.sources.source import Source


def sidecars(folder, text: str | bytes, name: str = "meta.csv", **options) -> Sidecars:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return Sidecars(Source(name="s", folder=str(folder), sidecar=name, **options))


def values(stated: Stated) -> object:
    return None if stated.text is None else json.loads(stated.text)


def test_without_a_sidecar_nothing_is_stated(tmp_path):
    assert Sidecars(Source(name="s", folder=str(tmp_path))).of("a.png") == Stated()


def test_csv_rows_are_found_by_path_and_by_file_name(tmp_path):
    found = sidecars(tmp_path, "path,who\na/x.png,ada\ny.png,bob\n")
    assert values(found.of("a/x.png")) == {"path": "a/x.png", "who": "ada"}
    assert values(found.of("deep/y.png")) == {"path": "y.png", "who": "bob"}
    assert found.of("b/x.png") == Stated()


@pytest.mark.parametrize("name", ["meta.tsv", "meta.TSV"])
def test_tabs_separate_in_tsv(tmp_path, name):
    assert values(sidecars(tmp_path, "path\twho\nx.png\ta,b\n", name).of("x.png")) == {"path": "x.png", "who": "a,b"}


def test_csv_with_byte_order_mark_crlf_and_quotes(tmp_path):
    text = '\ufeffpath,note\r\nx.png,"a ""quoted"", comma"\r\n'
    assert values(sidecars(tmp_path, text).of("x.png"))["note"] == 'a "quoted", comma'


def test_a_line_break_inside_a_quoted_field_stays(tmp_path):
    found = sidecars(tmp_path, 'path,note\nx.png,"two\nlines"\ny.png,one\n')
    assert values(found.of("x.png"))["note"] == "two\nlines"
    assert values(found.of("y.png"))["note"] == "one"


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0c", "\x1d"])
def test_only_line_ends_end_a_row(tmp_path, separator):
    found = sidecars(tmp_path, f"path,note\nx.png,a{separator}b\n")
    assert values(found.of("x.png"))["note"] == f"a{separator}b"
    assert len(found.records) == 1


def test_a_short_row_has_nulls_and_a_long_one_loses_nothing_that_has_a_name(tmp_path):
    found = sidecars(tmp_path, "path,who\nx.png\ny.png,bob,extra\n")
    assert values(found.of("x.png")) == {"path": "x.png", "who": None}
    assert values(found.of("y.png")) == {"path": "y.png", "who": "bob"}


def test_json_takes_one_object_or_a_list(tmp_path):
    assert values(sidecars(tmp_path, '[{"path": "x.png", "n": 1}]', "m.json").of("x.png"))["n"] == 1
    assert values(sidecars(tmp_path, '{"path": "x.png"}', "m.json").of("x.png")) == {"path": "x.png"}


def test_records_know_where_they_stood(tmp_path):
    found = sidecars(tmp_path, "path\nx.png\ny.png\n")
    assert [each.ordinal for each in found.records] == [1, 2]
    assert {each.origin for each in found.records} == {(tmp_path / "meta.csv").as_uri()}


def test_a_record_per_file_lies_beside_it(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png.json").write_text('{"who": "ada"}')
    (tmp_path / "a" / "y.json").write_text('{"who": "bob"}')
    found = Sidecars(Source(name="s", folder=str(tmp_path), sidecar="per_file"))
    assert values(found.of("a/x.png")) == {"who": "ada"}
    assert values(found.of("a/y.png")) == {"who": "bob"}
    assert found.of("a/z.png") == Stated()


@pytest.mark.parametrize("name", ["100%.png", "tab\t.png", "ü %41.png"])
def test_a_file_with_an_odd_name_is_found_by_its_own_name(tmp_path, name):
    from lakehouse.ingestion.sources.listing import plain_path

    text = json.dumps([{"path": name, "who": "ada"}])
    assert values(sidecars(tmp_path, text, "m.json").of(plain_path(name.encode())))["who"] == "ada"
    (tmp_path / f"{name}.json").write_text('{"who": "bob"}')
    beside = Sidecars(Source(name="s", folder=str(tmp_path), sidecar="per_file"))
    assert values(beside.of(plain_path(name.encode()))) == {"who": "bob"}


def test_groups_are_named_sorted_and_without_the_unknown_ones(tmp_path):
    text = '[{"path": "x.png", "p": 7, "s": "", "c": null, "k": "ä"}]'
    found = sidecars(tmp_path, text, "m.json", group_keys={"site": "s", "camera": "c", "patient": "p", "a": "k"})
    assert found.of("x.png").group_keys == (("a", "ä"), ("patient", "7"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29T12:00:00Z", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        ("2024-02-29T12:00:00+02:00", datetime(2024, 2, 29, 10, tzinfo=UTC)),
        ("2024-02-29 12:00:00.5", datetime(2024, 2, 29, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("", None),
    ],
)
def test_a_time_of_capture_is_utc_where_it_names_no_zone(tmp_path, text, expected):
    assert sidecars(tmp_path, f"path,t\nx.png,{text}\n", captured_at="t").of("x.png").captured_at == expected


@pytest.mark.parametrize("text", ["yesterday", "2024-02-30", "0001-01-01T00:00:00+05:00"])
def test_a_time_that_cannot_be_read_is_an_error_that_names_file_record_and_column(tmp_path, text):
    found = sidecars(tmp_path, f"path,t\nx.png,{text}\n", captured_at="t")
    with pytest.raises(IngestError, match=r"meta\.csv:1: t = .* is not an ISO 8601 time"):
        found.of("x.png")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.json", b"{"),
        ("m.json", b"[" * 100_000),
        ("m.json", b'[{"path": "x.png"}, 3]'),
        ("m.json", b"\xff"),
        ("m.json", b'[{"path": "x.png", "note": "\\ud800"}]'),
        ("m.json", b'[{"path": "x.png", "n": NaN}]'),
        ("m.json", b'[{"path": "x.png", "n": ' + b"9" * 5000 + b"}]"),
        ("m.json", b'[{"nopath": "x.png"}]'),
        ("m.csv", b"\xff\xfe"),
        ("m.csv", b"who\nada\n"),
        ("m.csv", b'path,note\nx.png,"' + b"a" * 200_000 + b'"\n'),
        ("m.csv", b"path\n\n,\n"),
    ],
)
def test_a_sidecar_that_cannot_be_read_is_an_error_that_names_it(tmp_path, name, text):
    with pytest.raises(IngestError, match=name.replace(".", r"\.")):
        sidecars(tmp_path, text, name)


def test_the_longest_value_does_not_depend_on_what_was_read_before(tmp_path):
    csv.field_size_limit(1 << 24)  # as an import of annotations does
    with pytest.raises(IngestError, match="field larger than field limit"):
        sidecars(tmp_path, b'path,note\nx.png,"' + b"a" * 200_000 + b'"\n', "m.csv")


def test_a_missing_sidecar_is_an_error_that_names_it(tmp_path):
    with pytest.raises(IngestError, match=r"nowhere\.csv"):
        Sidecars(Source(name="s", folder=str(tmp_path), sidecar="nowhere.csv"))


def test_a_key_column_that_is_missing_is_an_error_that_lists_the_columns(tmp_path):
    with pytest.raises(IngestError, match="no `path`; set sidecar_key of source s .*one of file, who"):
        sidecars(tmp_path, "file,who\nx.png,ada\n")


def test_two_records_that_say_different_things_about_one_file_are_an_error(tmp_path):
    with pytest.raises(IngestError, match=r"x\.png.*records 1 and 3"):
        sidecars(tmp_path, "path,who\nx.png,ada\ny.png,ada\nx.png,bob\n")


def test_the_same_record_twice_is_fine(tmp_path):
    assert values(sidecars(tmp_path, "path,who\nx.png,ada\nx.png,ada\n").of("x.png"))["who"] == "ada"


@pytest.mark.parametrize("options", [{"group_keys": {"patient": "pateint"}}, {"captured_at": "pateint"}])
def test_a_column_that_no_record_has_is_an_error_and_not_a_leak(tmp_path, options):
    with pytest.raises(IngestError, match=r"meta\.csv: no record has `pateint`; did you mean `patient`"):
        sidecars(tmp_path, "path,patient\nx.png,7\n", **options)


def test_an_empty_sidecar_states_nothing(tmp_path):
    assert sidecars(tmp_path, "path,who\n", group_keys={"a": "b"}).of("x.png") == Stated()
    assert sidecars(tmp_path, "[]", "m.json").of("x.png") == Stated()
