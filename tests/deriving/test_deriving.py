"""Derived entities: what transforms make, where it came from, and that it is made once."""

from __future__ import annotations

import io
import json
import pickle
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image

import lakehouse as lh
from jobs.cli import main as petrel
from lakehouse.datasets.versions.version import pin
from lakehouse.deriving import step as module
from lakehouse.deriving.live import over_batches
from lakehouse.deriving.registry import transform_named
from lakehouse.deriving.step import derive
from lakehouse.deriving.transform import chain_of, transform
from lakehouse.deriving.values import Made, Sound, encoded
from lakehouse.errors import ConfigError, IngestError, QueryRefusedError
from lakehouse.objects import read_bytes
from lakehouse.query import fetch
from loaders.publishing.stored_values import sound_samples, upright_pixels
from tests.corpus import good_images
from tests.deriving import transforms

HERE = "tests.deriving.transforms"
PICTURES = 9


def chain(*texts):
    return chain_of(texts, transform_named)


@pytest.fixture
def landed(lake, tmp_path):
    """A lake with nine pictures and a text."""
    drop = tmp_path / "drop"
    paths = good_images(drop, PICTURES)
    lines = "".join(f"{path.relative_to(drop)},{path.parent.name}\n" for path in paths)
    (drop / "about.csv").write_text("path,nest\n" + lines)
    lh.land(lake, lh.Source(name="things", folder=str(drop), sidecar="about.csv", group_keys={"nest": "nest"}))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "words.txt").write_text("a bee and a cat\n")
    lh.land(lake, lh.Source(name="texts", folder=str(tmp_path / "texts"), include=("*.txt",)))
    lh.entities(lake)
    return lake


def pictures(lake):
    text = "select entity_id, object_uri from silver.entities where parent_id is null and media_type like 'image/%'"
    return {row["entity_id"]: row["object_uri"] for row in fetch(lake, text)}


def pixels_of(lake, entity_id):
    return upright_pixels(read_bytes(lake.home, f"objects/{entity_id[:2]}/{entity_id}"), max_pixels=10**7)


def derivations(lake):
    return fetch(lake, "select * from silver.derivations order by parent_id, place")


def test_workers_find_transforms_by_their_place(landed, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_TASK", 2)
    root = landed.config.lake.root
    with lh.open_lake(lh.load_config(overrides=[f'lake.root="{root}"', "engine.workers=2"])) as lake:
        counts = derive(lake, chain("resize:height=8,width=8", f"{HERE}:tiles:side=8")).counts
    assert (counts["seen"], counts["parents"], counts["made"]) == (PICTURES, PICTURES, PICTURES)


def test_two_transforms_of_one_name_are_no_chain():
    other = transform(name="tiles")(transforms.plain)
    known = {"one": transforms.tiles, "two": other}
    assert chain_of(["one", "one"], known).operation == f"{HERE}.tiles@3|{HERE}.tiles@3"
    with pytest.raises(ConfigError, match="transform two: another one of the chain is called `tiles`"):
        chain_of(["one", "two"], known)


def test_a_module_of_the_working_directory_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    (tmp_path / "cutting_here.py").write_text(
        "from lakehouse.deriving.transform import transform\n@transform\ndef here(pixels):\n    return pixels\n"
    )
    monkeypatch.chdir(tmp_path)
    assert chain("cutting_here:here").operation == "cutting_here.here@1"


def test_transforms_of_one_name_in_two_modules_do_not_find_each_others_work_done(landed, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    head = "from lakehouse.deriving.transform import transform\n"
    for module_name, turned in (("team_a", "1"), ("team_b", "2")):
        text = f"{head}import numpy as np\n@transform\ndef turned(pixels):\n    return np.rot90(pixels, {turned})\n"
        (tmp_path / f"{module_name}.py").write_text(text)
    for module_name in ("team_a", "team_b"):
        receipt = derive(landed, chain(f"{module_name}:turned"))
        assert receipt.details["operation"] == f"{module_name}.turned@1"
        assert receipt.counts["parents"] == PICTURES
    (tmp_path / "team_c.py").write_text(
        f"{head}@transform(name='team_a.turned')\ndef moved(pixels):\n    return pixels\n"
    )
    assert derive(landed, chain("team_c:moved")).counts["seen"] == 0  # it says that it is the same


def test_what_a_notebook_defines_needs_a_name_that_no_other_has(landed, monkeypatch):
    monkeypatch.setattr(transforms.plain, "__module__", "__main__")
    bare = chain_of(["bare"], {"bare": transform(transforms.plain)})
    assert over_batches(bare)({"image": PICTURE[None]})["image"].shape == (1, 12, 20, 3)  # nothing is kept
    with pytest.raises(ConfigError, match=r'give it a name with a dot, as name="my_project.plain"'):
        derive(landed, bare)
    named = chain_of(["named"], {"named": transform(name="my_project.plain")(transforms.plain)})
    assert derive(landed, named).details["operation"] == "my_project.plain@1"


def test_transforms_go_to_other_processes_and_come_back():
    bare = transform(name="other")(transforms.plain)
    for each in (transforms.tiles, bare):
        found = pickle.loads(pickle.dumps(each))
        assert (found.key, found.parameters, found.function) == (each.key, each.parameters, each.function)


# ---------------------------------------------------------------------------------------------- values


RNG = np.random.default_rng(3)
PICTURE = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "text",
    ["flip", "flip:axis=vertical", "rotate90", "rotate90:quarters=2", "rotate90:quarters=3", "rotate90:quarters=4",
     "crop:left=3,top=2,width=9,height=7", "crop:left=15,width=9", "grey"],
)  # fmt: skip
def test_the_affine_map_says_where_each_pixel_went(text):
    (made,) = chain(text).made(PICTURE)
    a, b, c, d, e, f = made.affine
    expected = np.asarray(made.value)
    reference = expected if text == "grey" else PICTURE
    seen = 0
    for y in range(PICTURE.shape[0]):
        for x in range(PICTURE.shape[1]):
            to_x, to_y = a * x + b * y + c, d * x + e * y + f
            if 0 <= to_x < expected.shape[1] and 0 <= to_y < expected.shape[0]:
                assert (expected[int(to_y), int(to_x)] == reference[y, x]).all()
                seen += 1
    assert seen == expected.shape[0] * expected.shape[1]


def test_resizing_moves_centres_of_pixels():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[20:24, 30:36] = 255
    (made,) = chain("resize:height=20,width=30").made(picture)
    rows, columns = np.nonzero(made.value[..., 0])
    a, _, c, _, e, f = made.affine
    assert (a * 32.5 + c, e * 21.5 + f) == pytest.approx((columns.mean(), rows.mean()))


def test_a_chain_composes_its_maps():
    (together,) = chain("flip", "crop:left=2,top=1,width=5,height=4", "rotate90").made(PICTURE)
    one = np.rot90(PICTURE[:, ::-1][1:5, 2:7])
    assert np.array_equal(together.value, one)
    a, b, c, d, e, f = together.affine
    x, y = 15, 3
    assert (together.value[int(d * x + e * y + f), int(a * x + b * y + c)] == PICTURE[y, x]).all()


def test_values_are_stored_without_loss():
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encoded(PICTURE)))), PICTURE)
    sound = RNG.standard_normal((500, 2)).astype(np.float32) / 4
    samples, rate = sound_samples(encoded(Sound(sound, 8000)))
    assert (rate, samples.shape) == (8000, (500, 2))
    assert np.array_equal(samples, sound)
    assert np.array_equal(soundfile.read(io.BytesIO(encoded(Sound(sound, 8000))), dtype="float32")[0], sound)
    array = RNG.standard_normal((3, 4))
    assert np.array_equal(np.load(io.BytesIO(encoded(array))), array)
    assert np.load(io.BytesIO(encoded(np.array(7, np.int16)))).shape == ()
    assert encoded("naïve") == "naïve".encode()
    for wrong in ({"a": 1}, np.array([object()]), np.array(["text"])):
        with pytest.raises(TypeError):
            encoded(wrong)


def test_the_spectrogram_has_a_peak_where_the_tone_is():
    rate, hertz = 8000, 1000.0
    tone = np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)[:, None]
    (made,) = chain("spectrogram:window=400,step=100").made(Sound(tone, rate))
    assert (made.value.dtype, made.value.shape) == (np.float32, (77, 201))
    assert (made.value.argmax(axis=1) == round(hertz * 400 / rate)).all()
    assert made.value.max() == pytest.approx(0.0, abs=0.01)
    with pytest.raises(ValueError, match="more than arrays that are read have"):
        chain("spectrogram:window=10000000000").made(Sound(tone, rate))
    assert chain("spectrogram").made(Sound(np.zeros((10, 1), np.float32), rate))[0].value.shape == (1, 513)


# ---------------------------------------------------------------------------------------------- the step


def test_children_know_their_parents_and_a_second_run_makes_nothing(landed):
    asked = chain("resize:height=8,width=10", "flip")
    receipt = derive(landed, asked)
    assert receipt.counts == {
        "seen": PICTURES, "parents": PICTURES, "of_nothing": 0, "rejected": 0, "made": PICTURES,
        "new_entities": PICTURES,
    }  # fmt: skip
    rows = derivations(landed)
    assert {row["parent_id"] for row in rows} == set(pictures(landed))
    for row in rows:
        expected = asked.made(pixels_of(landed, row["parent_id"]))[0]
        assert np.array_equal(pixels_of(landed, row["entity_id"]), expected.value)
        assert row["affine"] == pytest.approx(expected.affine)
    children = fetch(landed, "select * from silver.entities where parent_id is not null")
    parents = {row["entity_id"]: row for row in fetch(landed, "select * from silver.entities")}
    assert {row["operation"] for row in children} == {"resize@1|flip@1"}
    assert {row["origin"] for row in children} == {"augmented"}
    assert all(row["group_keys"] == parents[row["parent_id"]]["group_keys"] != [] for row in children)
    assert json.loads(children[0]["parameters_json"]) == [{"height": 8, "width": 10}, {"axis": "horizontal"}]
    # What was left at its default and what was said are one; another value is another thing.
    again = derive(landed, chain("resize:width=10,height=8", "flip:axis=horizontal"))
    assert (again.counts["seen"], again.rows_new) == (0, 0)
    assert derive(landed, chain("resize:height=9,width=10", "flip")).counts["made"] == PICTURES
    # Children are measured like anything else.
    assert lh.dimensions(landed).counts["rejected"] == 0


def test_one_gives_several_or_none(landed):
    receipt = derive(landed, chain(f"{HERE}:tiles:side=10"))
    rows = derivations(landed)
    assert receipt.counts["made"] == len(rows)
    for parent in pictures(landed):
        height, width = pixels_of(landed, parent).shape[:2]
        places = [row["place"] for row in rows if row["parent_id"] == parent]
        assert places == list(range(1, (height // 10) * (width // 10) + 1))
    none = derive(landed, chain(f"{HERE}:nothing"))
    assert (none.counts["of_nothing"], none.counts["made"]) == (PICTURES, 0)
    assert derive(landed, chain(f"{HERE}:nothing")).counts["seen"] == 0


def test_what_fails_is_rejected_once_and_the_rest_is_made(landed):
    receipt = derive(landed, chain(f"{HERE}:fails"))
    assert receipt.counts["rejected"] > 0
    assert receipt.counts["parents"] + receipt.counts["rejected"] == PICTURES
    rows = fetch(landed, "select rule, reason from silver.rejected where step = 'derive'")
    assert {row["rule"] for row in rows} == {"transform_error"}
    assert {row["reason"] for row in rows} == {f"{HERE}.fails@1: ValueError: too bright at 0x..."}
    assert derive(landed, chain(f"{HERE}:fails")).counts["seen"] == 0
    assert derive(landed, chain(f"{HERE}:wrong")).counts["rejected"] == PICTURES


def test_what_changes_nothing_makes_no_entity(landed):
    before = fetch(landed, "select * from silver.entities order by entity_id")
    receipt = derive(landed, chain(f"{HERE}:same"))
    assert (receipt.counts["made"], receipt.counts["new_entities"]) == (PICTURES, 0)
    assert {row["entity_id"] for row in derivations(landed)} == set(pictures(landed))
    assert fetch(landed, "select * from silver.entities order by entity_id") == before


def test_texts_and_numbers(landed):
    receipt = derive(landed, chain(f"{HERE}:words:least=3"))
    found = {read_bytes(landed.home, f"objects/{row['entity_id'][:2]}/{row['entity_id']}")
             for row in derivations(landed)}  # fmt: skip
    assert (receipt.counts["made"], found) == (3, {b"bee", b"and", b"cat"})
    derive(landed, chain(f"{HERE}:mean"))
    types = fetch(landed, "select distinct media_type from silver.entities where ends_with(operation, '.mean@1')")
    assert [row["media_type"] for row in types] == ["application/x-npy"]


def test_a_condition_chooses_parents_and_children_can_be_some(landed):
    derive(landed, chain("flip"))
    some = derive(landed, chain("grey"), where="media_type = 'image/jpeg'")
    assert 0 < some.counts["seen"] < PICTURES
    assert derive(landed, chain("rotate90"), where="operation = 'flip@1'").counts["seen"] == PICTURES
    with pytest.raises(QueryRefusedError):
        derive(landed, chain("flip"), where="1 = 1) union select * from read_text('/etc/passwd') where (1 = 1")


def test_a_run_that_was_killed_goes_on_after_its_last_chunk(landed, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4)
    written = module.insert_outputs

    def dies(lake, outputs, tables, *, step):
        if len(derivations(lake)) == 4:
            raise KeyboardInterrupt
        return written(lake, outputs, tables, step=step)

    monkeypatch.setattr(module, "insert_outputs", dies)
    with pytest.raises(KeyboardInterrupt):
        derive(landed, chain("flip"))
    monkeypatch.setattr(module, "insert_outputs", written)
    assert derive(landed, chain("flip")).counts["seen"] == PICTURES - 4
    assert len({row["parent_id"] for row in derivations(landed)}) == PICTURES


def test_erasing_a_parent_erases_what_was_made_of_it(landed):
    from lakehouse.care.erase import erase

    derive(landed, chain("flip"))
    gone = next(iter(pictures(landed)))
    children = [row["entity_id"] for row in derivations(landed) if row["parent_id"] == gone]
    erase(landed, entities=[gone], reason="asked")
    assert gone not in {row["parent_id"] for row in derivations(landed)}
    left = {row["entity_id"] for row in fetch(landed, "select entity_id from silver.entities")}
    assert not left & {gone, *children}


def test_parent_and_children_are_on_one_side_of_a_split(landed, tmp_path):
    derive(landed, chain("flip"))
    derive(landed, chain("rotate90"), where="parent_id is not null")
    (tmp_path / "all.toml").write_text(
        "name = 'all'\n[select]\nsql = \"select entity_id from entities where media_type like 'image/%'\"\n"
        "[split]\nratios = { train = 0.5, test = 0.5 }\n"
    )
    lh.build(landed, lh.load_recipe(tmp_path / "all.toml"))
    split = {row["entity_id"]: row["split"] for row in fetch(landed, "select entity_id, split from members")}
    assert len(split) == 3 * PICTURES
    for row in derivations(landed):
        assert split[row["entity_id"]] == split[row["parent_id"]]
    assert len(set(split.values())) == 2


def test_what_was_erased_is_not_made_again(landed):
    from lakehouse.care.erase import erase

    derive(landed, chain("flip"))
    gone = derivations(landed)[0]["entity_id"]
    erase(landed, entities=[gone], reason="asked")
    again = derive(landed, chain("flip"))
    assert (again.counts["seen"], again.counts["rejected"], again.counts["made"]) == (1, 1, 0)
    assert [note.rule for note in again.notes] == ["erased"]
    assert gone not in {row["entity_id"] for row in fetch(landed, "select entity_id from silver.entities")}
    assert not (landed.home.folder / "objects" / gone[:2] / gone).exists()
    assert derive(landed, chain("flip")).counts["seen"] == 0


def test_what_is_erased_while_it_is_made_does_not_come_back(landed, monkeypatch):
    from lakehouse.care.erase import erase

    gone = sorted(pictures(landed))[0]
    map_batches = type(landed.engine).map_batches

    def erased_meanwhile(self, *given, **named):
        made = map_batches(self, *given, **named)
        made = landed.engine.from_arrow(landed.engine.arrow(made))
        monkeypatch.undo()
        erase(landed, entities=[gone], reason="asked")
        return made

    monkeypatch.setattr(type(landed.engine), "map_batches", erased_meanwhile)
    with pytest.raises(IngestError, match="erased meanwhile"):
        derive(landed, chain("flip"))
    assert derive(landed, chain("flip")).counts["made"] == PICTURES - 1
    assert gone not in {row["parent_id"] for row in derivations(landed)}


def test_a_transform_that_never_ends_or_makes_nothing_at_all_is_rejected(landed):
    receipt = derive(landed, chain(f"{HERE}:forever"))
    assert receipt.counts["rejected"] == PICTURES
    assert derive(landed, chain(f"{HERE}:emptied")).counts["rejected"] == 1
    assert derive(landed, chain("resize:height=1000000,width=1000000")).counts["rejected"] == PICTURES
    reasons = [row["reason"] for row in fetch(landed, "select reason from silver.rejected where step = 'derive'")]
    for said in ("makes more than 10,000 things", "None where it makes nothing", "are more than the"):
        assert any(said in each for each in reasons)


def test_a_text_in_utf_16_is_a_text(landed, tmp_path):
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide" / "wide.txt").write_text("a bée", encoding="utf-16")
    lh.land(landed, lh.Source(name="wide", folder=str(tmp_path / "wide"), include=("*.txt",)))
    lh.entities(landed)
    assert derive(landed, chain(f"{HERE}:shouted")).counts["made"] == 2
    found = [read_bytes(landed.home, f"objects/{row['entity_id'][:2]}/{row['entity_id']}").decode()
             for row in derivations(landed)]  # fmt: skip
    assert "A BÉE" in found


@pytest.mark.parametrize(
    ("other", "text"),
    [(lambda picture: RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8), "crop:width=4,height=4"),
     (lambda picture: picture[:, ::-1], "flip")],
    ids=["two pictures give one", "what is made was landed"],
)  # fmt: skip
def test_all_parents_of_what_is_made_are_on_one_side_of_a_split(lake, tmp_path, other, text):
    (tmp_path / "drop").mkdir()
    for number in range(12):
        one = RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        two = other(one).copy()
        if text.startswith("crop"):
            two[:4, :4] = one[:4, :4]
        for name, pixels in (("one", one), ("two", two)):
            (tmp_path / "drop" / f"{number}_{name}.png").write_bytes(encoded(pixels))
    lh.land(lake, lh.Source(name="things", folder=str(tmp_path / "drop")))
    lh.entities(lake)
    (tmp_path / "all.toml").write_text(
        "name = 'all'\n[select]\nsql = \"select entity_id from entities\"\n"
        "[split]\nratios = { train = 0.5, test = 0.5 }\n"
    )
    assert "silver.derivations" not in pin(lake, lh.load_recipe(tmp_path / "all.toml"))
    derive(lake, chain(text))
    lh.build(lake, lh.load_recipe(tmp_path / "all.toml"))
    split = {row["entity_id"]: row["split"] for row in fetch(lake, "select entity_id, split from members")}
    assert len(set(split.values())) == 2
    assert [row for row in derivations(lake) if split[row["entity_id"]] != split[row["parent_id"]]] == []


# ---------------------------------------------------------------------------------------------- while reading


def test_while_reading_the_same_transform_gives_the_same_pixels(landed):
    asked = chain("resize:height=8,width=10", "flip")
    derive(landed, asked)
    parents = sorted(pictures(landed))
    batch = {"image": [pixels_of(landed, each) for each in parents], "n": np.arange(len(parents))}
    live = over_batches(asked)(batch)
    assert live["image"].shape == (PICTURES, 8, 10, 3)
    stored = {row["parent_id"]: row["entity_id"] for row in derivations(landed)}
    for parent, pixels in zip(parents, live["image"], strict=True):
        assert pixels.tobytes() == pixels_of(landed, stored[parent]).tobytes()
    assert live["n"] is batch["n"]
    with pytest.raises(ValueError, match="makes 0 of a value"):
        over_batches(chain(f"{HERE}:nothing"))(batch)


# ---------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("flipp", "no transform `flipp`; did you mean `flip`"),
        ("flip:axes=vertical", "no parameter `axes`; did you mean `axis`"),
        ("resize:height=tall", "height: expected int, found 'tall'"),
        ("resize:height=8,width", "expected NAME:PARAMETER=VALUE"),
        ("no.such:THING", "no.such:THING: ModuleNotFoundError"),
        (f"{HERE}:np", "expected an Transform, found module"),
        ("resize:height=8,height=9", "`height` is stated twice"),
        (f"{HERE}:shouted:scale=nan", "scale: expected float, found nan"),
    ],
)
def test_what_there_is_not_is_an_error(text, match):
    with pytest.raises(ConfigError, match=match):
        chain(text)


@pytest.mark.parametrize("affine", [(float("nan"), 0, 0, 0, 1, 0), (1, 2), (0, 0, 0, 0, 1, 0), "abcdef"])
def test_a_map_of_pixels_that_is_none_is_an_error_of_its_parent(affine):
    with pytest.raises(ValueError, match=r"affine: expected six|unpack|could not convert"):
        Made(PICTURE, affine)


def test_a_parameter_has_a_type_and_a_default():
    with pytest.raises(ConfigError, match="parameter `axis`: expected a keyword argument"):
        transform(lambda pixels, axis: pixels)
    with pytest.raises(TypeError, match="words takes text, found ndarray"):
        chain("flip", f"{HERE}:words").made(PICTURE)
    assert transforms.tiles.key == f"{HERE}.tiles@3"


def test_the_command(landed, capsys):
    root = str(landed.home.folder)
    assert petrel(["derive", "--lake", root, "--transform", "flip"]) == 0
    assert f"{PICTURES} seen, {PICTURES} parents" in capsys.readouterr().out
    assert petrel(["derive", "--lake", f"{root}/of/nobody", "--transforms"]) == 0
    assert "spectrogram@1" in capsys.readouterr().out
    assert petrel(["derive", "--lake", root]) == 1
    assert "name at least one" in capsys.readouterr().err
