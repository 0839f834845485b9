"""Embeddings: every entity gets one vector of a model, and the nearest are those that NumPy finds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import lakehouse as lh
from jobs.cli import main as petrel
from lakehouse.embedding import step as module
from lakehouse.embedding.descriptor import DESCRIPTOR, LENGTH, described
from lakehouse.embedding.nearest import nearest, vector_of_file
from lakehouse.embedding.registry import embedder_named
from lakehouse.embedding.step import embed
from lakehouse.errors import (
    ConfigError,
    EntityNotFoundError,
    IngestError,
    PetrelError,
    QueryFailedError,
    QueryRefusedError,
    RejectedInputError,
)
from lakehouse.query import fetch
from tests.corpus import good_images
from tests.embedding import embedders
from tests.making import small_lake

PICTURES = 30
COLOUR = "tests.embedding.embedders.colour@1"


@pytest.fixture(scope="module")
def landed(tmp_path_factory):
    """A lake with pictures and a text, measured; read-only."""
    root = tmp_path_factory.mktemp("landed")
    good_images(root / "drop", PICTURES)
    with small_lake(root / "lake") as lake:
        lh.land(lake, lh.Source(name="things", folder=str(root / "drop")))
        lh.entities(lake)
        lh.dimensions(lake)
        embed(lake, DESCRIPTOR)
        yield lake


@pytest.fixture
def fresh(lake, tmp_path):
    """A lake with nine pictures, which a test may change."""
    good_images(tmp_path / "drop", 9)
    lh.land(lake, lh.Source(name="things", folder=str(tmp_path / "drop")))
    lh.entities(lake)
    embedders.CALLS.clear()
    return lake


def vectors_of(lake, model):
    rows = fetch(
        lake, "select entity_id, vector from silver.embeddings where model = $m order by 1", params={"m": model}
    )
    return [row["entity_id"] for row in rows], np.array([row["vector"] for row in rows], np.float64)


def test_every_picture_has_one_vector_and_a_second_run_reads_nothing(landed):
    ids, vectors = vectors_of(landed, "descriptor@1")
    assert (len(ids), vectors.shape[1]) == (PICTURES, LENGTH)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.sqrt(2), abs=1e-6)
    again = embed(landed, DESCRIPTOR)
    assert (again.counts, again.rows_new) == ({"seen": 0, "embedded": 0, "rejected": 0}, 0)


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
def test_the_nearest_are_those_that_numpy_finds(landed, metric):
    ids, vectors = vectors_of(landed, "descriptor@1")
    for place in (0, 7, 29):
        wanted = vectors[place]
        distances = {
            "cosine": 1 - vectors @ wanted / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(wanted)),
            "l2": np.linalg.norm(vectors - wanted, axis=1),
            "dot": -(vectors @ wanted),
        }[metric]
        expected = sorted(range(len(ids)), key=lambda each: (distances[each], ids[each]))[:10]
        found = nearest(landed, wanted, model="descriptor@1", metric=metric)
        assert [row["entity_id"] for row in found] == [ids[each] for each in expected]
        assert [row["distance"] for row in found] == pytest.approx(distances[expected])
        assert found[0]["name"].startswith("things/")


def test_a_condition_comes_before_the_distance(landed):
    _, vectors = vectors_of(landed, "descriptor@1")
    small = {row["entity_id"] for row in fetch(landed, "select entity_id from entities where media_type = 'image/png'")}
    assert 0 < len(small) < PICTURES
    found = nearest(landed, vectors[0], model="descriptor@1", k=50, where="media_type = 'image/png' -- all of them")
    assert {row["entity_id"] for row in found} == small


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("nope = 1", QueryFailedError),
        ("1 = 1) union select content from read_text('/etc/passwd') where (1 = 1", QueryRefusedError),
        ("exists (select * from glob('/*'))", QueryRefusedError),
        ("1 = 1; drop table silver.embeddings", QueryRefusedError),
    ],
)
def test_a_condition_is_gated(landed, where, error):
    with pytest.raises(error):
        nearest(landed, np.zeros(LENGTH), model="descriptor@1", where=where)


def test_a_changed_picture_is_nearest_to_itself(landed, tmp_path):
    ids, _ = vectors_of(landed, "descriptor@1")
    name = f"objects/{ids[3][:2]}/{ids[3]}"
    Image.open(landed.home.folder / name).convert("RGB").resize((90, 70)).save(tmp_path / "again.jpg", quality=80)
    vector = vector_of_file(landed, tmp_path / "again.jpg", DESCRIPTOR)
    assert nearest(landed, vector, model="descriptor@1", k=1)[0]["entity_id"] == ids[3]


def test_the_descriptor_is_the_same_numbers_everywhere():
    rng = np.random.default_rng(5)
    pictures = rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    pictures[2] = 0
    found = described(pictures)
    assert (found.dtype, found.shape) == (np.float32, (3, LENGTH))
    assert (found[2] == 0).all()
    assert np.array_equal(described(pictures[1:2])[0], found[1])
    # A ramp to the right has edges in one direction alone: dx > 0, dy = 0.
    ramp = np.broadcast_to((np.arange(64, dtype=np.uint8) * 3)[None, None, :, None], (1, 64, 64, 3))
    cells = described(ramp)[0, 48:].reshape(16, 8)
    assert (cells[:, 0] > 0).all()
    assert (cells[:, 1:] == 0).all()


def test_batches_device_and_weights_reach_the_model(fresh, tmp_path):
    receipt = embed(fresh, embedders.COLOUR, device="cuda:7")
    assert receipt.counts == {"seen": 9, "embedded": 9, "rejected": 0}
    assert embedders.CALLS == [(4, "cuda:7"), (4, "cuda:7"), (1, "cuda:7")]
    with pytest.raises(ConfigError, match="needs a file of weights"):
        embed(fresh, embedders.WEIGHTED)
    with pytest.raises(ConfigError, match="cannot be read"):
        embed(fresh, embedders.WEIGHTED, weights=tmp_path / "none")
    keys = set()
    for scale in ("1", "2"):
        (tmp_path / "weights").write_text(scale)
        keys.add(embed(fresh, embedders.WEIGHTED, weights=tmp_path / "weights").details["model"])
    assert len(keys) == 2
    assert all(key.startswith("tests.embedding.embedders.weighted@2+") for key in keys)
    one, two = (vectors_of(fresh, key)[1] for key in keys)
    assert np.allclose(np.maximum(one, two), 2 * np.minimum(one, two))


def test_what_cannot_be_prepared_is_rejected_once(fresh):
    receipt = embed(fresh, embedders.DARK)
    assert receipt.counts["rejected"] > 0
    assert receipt.counts["embedded"] + receipt.counts["rejected"] == 9
    rows = fetch(fresh, "select rule, reason, location from silver.rejected where step = 'embed'")
    assert len(rows) == receipt.counts["rejected"]
    assert rows[0]["rule"] == "embedder_error"
    assert rows[0]["reason"] == "embedder tests.embedding.embedders.dark@1: ValueError: dark at 0x..."
    assert embed(fresh, embedders.DARK).counts["seen"] == 0


@pytest.mark.parametrize(
    ("embedder", "match"),
    [
        (embedders.WRONG, r"shape \(9,\)"),
        (embedders.INFINITE, "not finite"),
        (embedders.SCALAR, r"shape \(\), expected \(9, d\)"),
        (embedders.EMPTY, r"shape \(9, 0\)"),
        (embedders.COMPLEX, "returned complex64, expected numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_model_that_returns_something_else_is_an_error(fresh, embedder, match):
    with pytest.raises(ConfigError, match=match):
        embed(fresh, embedder)
    assert fetch(fresh, "select * from silver.embeddings") == []


def test_a_run_that_was_killed_goes_on_after_its_last_chunk(fresh, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4)
    insert = module.insert

    def dies(lake, table, rows, *, step):
        if len(vectors_of(lake, COLOUR)[0]) == 4:
            raise KeyboardInterrupt
        return insert(lake, table, rows, step=step)

    monkeypatch.setattr(module, "insert", dies)
    with pytest.raises(KeyboardInterrupt):
        embed(fresh, embedders.COLOUR)
    monkeypatch.setattr(module, "insert", insert)
    assert embed(fresh, embedders.COLOUR).counts == {"seen": 5, "embedded": 5, "rejected": 0}
    assert len(vectors_of(fresh, COLOUR)[0]) == 9


def test_erased_entities_leave_no_vector(fresh):
    from lakehouse.care.erase import erase

    embed(fresh, embedders.COLOUR)
    gone = vectors_of(fresh, COLOUR)[0][0]
    erase(fresh, entities=[gone], reason="asked")
    assert gone not in vectors_of(fresh, COLOUR)[0]


@pytest.mark.parametrize("name", ["descriptr", "no.such:MODULE", "tests.embedding.embedders:NOTHING"])
def test_an_embedder_that_is_none_is_an_error(name):
    with pytest.raises(ConfigError):
        embedder_named(name)


def test_models_and_entities_without_vectors_are_errors(landed):
    with pytest.raises(ConfigError, match=r"no embedding by clip@1; there are embeddings by descriptor@1"):
        nearest(landed, np.zeros(3), model="clip@1")
    with pytest.raises(ConfigError, match="have 176 numbers"):
        nearest(landed, np.zeros(3), model="descriptor@1")
    assert issubclass(EntityNotFoundError, PetrelError)


def test_the_commands(landed, tmp_path, capsys):
    root = str(landed.home.folder)
    ids, _ = vectors_of(landed, "descriptor@1")
    assert petrel(["embed", "--lake", root, "--embedder", "tests.embedding.embedders:COLOUR", "--device", "cpu"]) == 0
    assert "30 seen, 30 embedded" in capsys.readouterr().out
    assert petrel(["similar", "--lake", root, ids[0]]) == 1
    assert "embeddings are by descriptor@1, tests.embedding.embedders.colour@1" in capsys.readouterr().err
    assert petrel(["similar", "--lake", root, ids[0], "--model", COLOUR, "--k", "3", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (len(rows), rows[0]["entity_id"], rows[0]["distance"]) == (3, ids[0], pytest.approx(0, abs=1e-9))
    file = next((tmp_path.parent).glob("landed*/drop/*/*.png"), None) or next(
        path for path in (landed.home.folder.parent / "drop").rglob("*.png")
    )
    assert petrel(["similar", "--lake", root, "--file", str(file), "--k", "1"]) == 0
    assert "0.0000" in capsys.readouterr().out


def test_vectors_of_one_model_have_one_length(fresh, tmp_path):
    embed(fresh, embedders.COLOUR)
    good_images(tmp_path / "more", 12)
    lh.land(fresh, lh.Source(name="more", folder=str(tmp_path / "more")))
    lh.entities(fresh)
    with pytest.raises(ConfigError, match="vectors of 2 numbers, those that there are have 3; raise its version"):
        embed(fresh, embedders.SHORTER)
    assert embed(fresh, embedders.COLOUR).counts["embedded"] > 0


def test_weights_that_change_while_they_are_loaded_name_no_vectors(fresh, tmp_path):
    (tmp_path / "weights").write_text("1.0")
    with pytest.raises(ConfigError, match="the file changed while it was loaded"):
        embed(fresh, embedders.REWRITTEN, weights=tmp_path / "weights")
    assert vectors_of(fresh, embedders.REWRITTEN.key(tmp_path / "weights"))[0] == []


def test_inputs_that_are_no_numbers_are_rejected(fresh, tmp_path):
    assert embed(fresh, embedders.OBJECTS).counts == {"seen": 9, "embedded": 0, "rejected": 9}
    file = next((tmp_path / "drop").rglob("*.png"))
    with pytest.raises(RejectedInputError, match="`prepare` returned object"):
        vector_of_file(fresh, file, embedders.OBJECTS)


def test_what_is_erased_while_it_is_embedded_gets_no_vector(fresh, monkeypatch):
    from lakehouse.care.erase import erase

    gone = min(row["entity_id"] for row in fetch(fresh, "select entity_id from silver.entities"))
    vectors = module._vectors

    def erased_meanwhile(*given):
        found = vectors(*given)
        monkeypatch.undo()
        erase(fresh, entities=[gone], reason="asked")
        return found

    monkeypatch.setattr(module, "_vectors", erased_meanwhile)
    with pytest.raises(IngestError, match="erased meanwhile"):
        embed(fresh, DESCRIPTOR)
    assert embed(fresh, DESCRIPTOR).counts["embedded"] == 8
    assert gone not in vectors_of(fresh, "descriptor@1")[0]


def test_models_are_not_mixed(landed, tmp_path, capsys):
    too = embedder_named("tests.embedding.embedders:DESCRIPTOR_TOO")
    assert (too.key(), DESCRIPTOR.key()) == ("tests.embedding.embedders.descriptor@1", "descriptor@1")
    with pytest.raises(ConfigError, match="`mixed` is of lakehouse.* and tests.embedding.embedders: .*name with a dot"):
        replace(too, name="mixed", load=DESCRIPTOR.load).key()
    assert replace(too, name="team.mixed", load=DESCRIPTOR.load).key() == "team.mixed@1"
    with pytest.raises(ConfigError, match="expected finite numbers"):
        nearest(landed, np.full(LENGTH, np.nan), model="descriptor@1")
    (file,) = good_images(tmp_path, 1)
    root = str(landed.home.folder)
    assert petrel(["similar", "--lake", root, "--file", str(file), "--model", "clip@1"]) == 1
    assert "vectors of two models say nothing of each other" in capsys.readouterr().err


def test_the_descriptor_takes_no_other_device(fresh):
    with pytest.raises(ConfigError, match=r"descriptor@1 cannot be loaded on cuda:0: .*leave --device out"):
        embed(fresh, DESCRIPTOR, device="cuda:0")
