"""Streams of queries: the query's order, bytes of the lake, ranks, restarts, pins, and what goes wrong."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

import lakehouse as lh
from lakehouse.engines.tree import whole_tree, written
from lakehouse.errors import ConfigError, PetrelError, QueryFailedError, QueryRefusedError, RecipeError
from lakehouse.sql.ordered import in_total_order
from lakehouse.sql.saving import save_view
from lakehouse.streaming.stream import StreamOptions, stream_pins
from loaders import CenterCrop, Shard
from loaders.errors import DecodeError, FormatError, RankMismatchError, StateMismatchError, TransformError
from loaders.testing import assert_resumes_exactly
from tests.conftest import small_lake
from tests.ingestion.files import png, put, source
from tests.sql.test_gate import corpus

COUNT = 23
SCORED = "select entity_id, petrel_bucket(entity_id, 'x') % 4 as score, size_bytes from entities order by score desc"


def filled(lake, folder, numbers):
    for number in numbers:
        put(folder, f"{number:03d}.png", png(number))
    lh.land(lake, source(folder))
    lh.entities(lake)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streaming")
    with small_lake(folder / "lake") as lake:
        filled(lake, folder / "drop", range(COUNT))
        yield lake


def ids_of(stream):
    return [each for batch in stream for each, pad in zip(batch["entity_id"], batch["is_pad"], strict=True) if not pad]


def test_rows_come_in_the_order_of_the_query_with_their_pictures(shared):
    with shared.stream(SCORED, batch_size=5) as stream:
        assert (len(stream), stream.rows, stream.steps_per_epoch) == (5, COUNT, 5)
        assert [field.name for field in stream.fields] == ["entity_id", "score", "size_bytes", "image"]
        batches = list(stream)
    assert batches[0]["score"].dtype == np.int64
    scores = [int(each) for batch in batches for each in batch["score"][~batch["is_pad"]]]
    assert scores == sorted(scores, reverse=True)
    assert [batch["is_pad"].sum() for batch in batches] == [0, 0, 0, 0, 2]
    again = lh.user_query(shared.home, SCORED + ", entity_id")
    assert [each for batch in batches for each in batch["entity_id"]][:COUNT] == again["entity_id"].to_pylist()
    seen = set()
    for batch in batches:
        for entity, image in zip(batch["entity_id"], batch["image"], strict=True):
            assert image.shape == (4, 4, 3)
            assert shared.read_object(entity) == png(int(image[0, 0, 0]))
            seen.add(int(image[0, 0, 0]))
    assert seen == set(range(COUNT))


def test_ranks_share_each_step_and_restarts_go_on_anywhere(shared):
    def numbers(batch):
        return [int(image[0, 0, 0]) for image in batch["image"]]

    with shared.stream(SCORED, batch_size=8) as whole:
        wanted = [numbers(batch) for batch in whole]
        whole.set_epoch(0)
        next(whole)
        state = json.loads(json.dumps(whole.state_dict()))
    assert len(json.dumps(state)) < 1024
    with pytest.raises(FormatError, match=r"rank 1 of 2: .* pins=stream_pins"):
        shared.stream(SCORED, batch_size=4, shard=Shard(1, 2))
    pins = stream_pins(shared, SCORED)
    with pytest.raises(FormatError, match=r"here of silver\.entities;"):
        shared.stream(SCORED, batch_size=4, shard=Shard(1, 2), pins={"silver.opinions": 0})
    for world in (2,):
        for rank in range(world):
            with shared.stream(SCORED, batch_size=8 // world, shard=Shard(rank, world), pins=pins) as one:
                one.load_state_dict(state)
                assert [numbers(batch) for batch in one] == [step[rank::world] for step in wanted[1:]]
    options = StreamOptions(workers=2, ahead=2)
    assert_resumes_exactly(lambda: shared.stream(SCORED, batch_size=12, columns=["entity_id"], options=options))


def test_ranks_find_the_text_of_a_saved_view_that_their_pins_say(lake, tmp_path):
    filled(lake, tmp_path / "drop", range(4))
    save_view(lake, "chosen", "select entity_id from entities order by entity_id limit 2")
    pins = stream_pins(lake, "select * from chosen")
    save_view(lake, "chosen", "select entity_id from entities")
    with lake.stream("select * from chosen", batch_size=1, shard=Shard(0, 2), pins=pins) as stream:
        assert stream.rows == 2


def test_a_state_brings_its_versions_along(lake, tmp_path):
    filled(lake, tmp_path / "drop", range(6))
    with lake.stream("select entity_id from entities", batch_size=2) as stream:
        wanted = [batch["entity_id"] for batch in stream]
        stream.set_epoch(0)
        next(stream)
        state = stream.state_dict()
    filled(lake, tmp_path / "later", range(100, 130))
    with lake.stream("select entity_id from silver.entities@HEAD~1", batch_size=2, columns=["entity_id"]) as before:
        assert [batch["entity_id"] for batch in before] == wanted
    with lake.stream("select entity_id from entities", batch_size=2) as later:
        assert later.rows == 36
        later.load_state_dict(state)
        assert (later.rows, later.pins) == (6, state["pins"])
        assert [batch["entity_id"] for batch in later] == wanted[1:]
        assert [batch["entity_id"] for batch in later] == wanted, "the next epoch"


def test_a_state_of_something_else_is_refused(shared):
    with shared.stream(SCORED, batch_size=4) as stream:
        state = stream.state_dict()
    other = SCORED.replace("score desc", "score")
    for query, more in ((other, {}), (SCORED, {"batch_size": 8, "seed": 3})):
        with shared.stream(query, **{"batch_size": 4, **more}) as stream:
            before = stream.state_dict()
            with pytest.raises(StateMismatchError):
                stream.load_state_dict(state)
            assert stream.state_dict() == before
    with shared.stream(SCORED, batch_size=4) as stream:
        for wrong in ({**state, "order": "0" * 64}, {**state, "step": 99}, {**state, "step": -1}, {"version": 1}, None):
            with pytest.raises(StateMismatchError):
                stream.load_state_dict(wrong)


def test_a_state_rests_on_functions_and_on_what_a_commit_is_called(lake, tmp_path):
    def write(version):
        @lh.sql_function(gives="number", version=version, deterministic=version < 3)
        def weighed(x):
            return x[:, 0] * version

    filled(lake, tmp_path / "drop", range(2))
    write(1)
    queries = ["select entity_id, weighed([1]) as w from entities", "select entity_id from silver.entities@main"]
    with lake.stream(queries[0], batch_size=1) as one, lake.stream(queries[1], batch_size=1) as other:
        states = [one.state_dict(), other.state_dict()]
    write(2)
    filled(lake, tmp_path / "later", range(5, 6))
    for query, state in zip(queries, states, strict=True):
        with lake.stream(query, batch_size=1) as stream, pytest.raises(StateMismatchError, match="version of a func"):
            stream.load_state_dict(state)
    write(3)
    with pytest.raises(FormatError, match="weighed is not deterministic"):
        lake.stream(queries[0], batch_size=1, shard=Shard(0, 2))


def test_columns_transform_decoders_and_tails(shared):
    with shared.stream(SCORED, batch_size=10, columns=["score"], options=StreamOptions(tail="drop")) as stream:
        assert [sorted(batch) for batch in stream] == [["score"]] * 2
    with shared.stream(SCORED, batch_size=10, columns=["image"], decoders={"image": CenterCrop(2)},
                       transform=lambda batch: {"mean": batch["image"].mean(axis=(1, 2, 3))},
                       options=StreamOptions(tail="ragged")) as stream:  # fmt: skip
        assert [batch["mean"].shape for batch in stream] == [(10,), (10,), (3,)]
    few = (
        "select entity_id, [1, 2] as pair, null::double as none, date '2024-01-02' as day, 'x' as word "
        "from entities limit 2"
    )
    with shared.stream(few, batch_size=2, columns=["pair", "none", "day", "word"]) as stream:
        batch = next(stream)
    assert [each.tolist() for each in batch["pair"]] == [[1, 2], [1, 2]]
    assert batch["none"].mask.tolist() == [True, True]
    assert batch["day"].astype(str).tolist() == ["2024-01-02"] * 2
    assert batch["word"] == ["x", "x"]


def test_the_same_entity_in_several_rows(shared):
    text = "select e.entity_id, n from entities e, (select unnest([0, 1, 2]) as n) where $low <= n order by n desc"
    with shared.stream(text, batch_size=2 * COUNT, params={"low": 1}) as stream:
        batch = next(stream)
    assert batch["n"].tolist() == [2] * COUNT + [1] * COUNT
    assert batch["entity_id"][:COUNT] == sorted(batch["entity_id"][:COUNT]) == batch["entity_id"][COUNT:]


@pytest.mark.parametrize(("text", "error", "words"), [
    ("select * from read_csv('/etc/passwd')", QueryRefusedError, "read_csv"),
    ("select size_bytes from entities", ConfigError, "must return entity_id"),
    ("select entity_id from entities where false", ConfigError, "gives no row"),
    ("select repeat('0', 64) as entity_id", ConfigError, "is no entity of this lake"),
    ("select entity_id, 1 as a, 2 as a from entities", ConfigError, "twice"),
    ("select entity_id, 1 as image from entities", ConfigError, "rename it"),
    ("select entity_id, {'a': 1} as s from entities", RecipeError, "select its parts"),
    ("select entity_id from entities where size_bytes > $least", QueryFailedError, "least"),
])  # fmt: skip
def test_what_is_no_query_of_entities_is_refused(shared, text, error, words):
    with pytest.raises(error, match=words):
        shared.stream(text, batch_size=4)


def test_wrong_arguments_are_refused(shared):
    for more, words in [
        ({"batch_size": 0}, "batch_size"), ({"columns": ["scor"]}, "no column 'scor'.*score"), ({"seed": -1}, "seed"),
        ({"decoders": {"score": CenterCrop(2)}}, "decoders names 'score'"),
        ({"shard": Shard(0, 2), "options": StreamOptions(tail="ragged")}, "one rank"),
        ({"pins": {"silver.entitie": 1}}, "no table `silver.entitie`.*silver.entities"),
        ({"batch_size": 50, "options": StreamOptions(tail="drop")}, "no whole batch"),
    ]:  # fmt: skip
        with pytest.raises((FormatError, PetrelError), match=words):
            shared.stream(SCORED, **{"batch_size": 4, **more})


def test_what_fails_names_its_row_and_is_tried_again(lake, tmp_path):
    filled(lake, tmp_path / "drop", range(4))
    query = "select entity_id from entities"
    calls = []

    def once(batch):
        calls.append(1)
        if len(calls) == 2:
            raise ValueError("no")
        return batch

    with lake.stream(query, batch_size=2, transform=once, options=StreamOptions(workers=1, ahead=1)) as stream:
        first = next(stream)
        with pytest.raises(TransformError, match="batch 1 of epoch 0: no"):
            next(stream)
        assert stream.state_dict()["step"] == 1
        assert len({*first["entity_id"], *next(stream)["entity_id"]}) == 4
    with lake.stream(query, batch_size=2) as stream:
        victim = sorted(path for path in (lake.root / "objects").rglob("*") if path.is_file())[3]
        victim.chmod(0o644)
        victim.write_bytes(victim.read_bytes()[:-1] + b"?")
        next(stream)
        with pytest.raises(PetrelError, match=victim.name[:12]):
            next(stream)
    with pytest.raises(RuntimeError, match="closed"):
        next(stream)


def test_bytes_that_do_not_decode_name_their_entity(lake, tmp_path):
    put(tmp_path / "drop", "a.png", png(1))
    lh.land(lake, source(tmp_path / "drop"))
    lh.entities(lake)

    class Broken:
        shape, dtype = (1,), np.dtype("uint8")

        def into(self, raw, out, *, seed, max_pixels):
            raise DecodeError("cut off")

    with lake.stream("select entity_id from entities", batch_size=1, decoders={"image": Broken()}) as stream, \
            pytest.raises(DecodeError, match="row 0 of the query, entity [0-9a-f]{64}: cut off"):  # fmt: skip
        next(stream)


def test_memory_holds_a_window_of_batches(shared):
    made, most = [0], [0]
    lock = threading.Lock()

    def counted(batch):
        with lock:
            made[0] += 1
            most[0] = max(most[0], made[0])
        return batch

    options = StreamOptions(ahead=3, workers=2)
    with shared.stream(SCORED, batch_size=1, transform=counted, options=options) as stream:
        for at, _ in enumerate(stream):
            with lock:
                assert made[0] <= at + 1 + options.ahead


def test_ranks_that_ask_something_else_are_told(shared):
    answers: dict[int, bytes] = {}
    barrier = threading.Barrier(2)

    def exchange(rank):
        def swap(mine):
            answers[rank] = mine
            barrier.wait(60)
            both = [answers[0], answers[1]]
            barrier.wait(60)
            return both
        return swap

    errors = []

    def run(stream):
        try:
            next(stream)
        except RankMismatchError as error:
            errors.append(str(error))

    # A lake is for one thread, which opens both.
    streams = [
        shared.stream(text, batch_size=4, columns=["entity_id"], shard=Shard(rank, 2, exchange(rank)))
        for rank, text in enumerate([SCORED, SCORED + ", 1"])
    ]
    threads = [threading.Thread(target=run, args=(stream,)) for stream in streams]
    for each in threads:
        each.start()
    for each in threads:
        each.join(120)
    for stream in streams:
        stream.close()
    assert len(errors) == 2
    assert "query" in errors[0]


def test_torch_takes_it_as_it_takes_a_reader(shared):
    torch = pytest.importorskip("torch")
    from loaders.torch import tensors

    stream = shared.stream(SCORED, batch_size=6, decoders={"image": CenterCrop(2)})
    with tensors(stream, channels_first=["image"]) as read:
        loader = torch.utils.data.DataLoader(read, batch_size=None, num_workers=0)
        batches = list(loader)
        assert (read.state_dict()["epoch"], read.state_dict()["step"]) == (1, 0)
    assert [tuple(batch["image"].shape) for batch in batches] == [(6, 3, 2, 2)] * 4
    assert batches[0]["score"].dtype == torch.int64


MORE = [
    "select e.* exclude (a) replace (b + 1 as b) from entities e",
    "select {'a': 1, 'b': [1, 2]} as s, x[1:2], s.a, map {'k': 1}, [x for x in l if x > 1] from t",
    "select try_cast(b as double), interval 3 day, -a ** 2, a // 2, 'it''s' || \"we ird\", 1.50, x'ab'::blob from t",
    "select sum(a) over (partition by b order by c desc nulls last rows between 2 preceding and current row) from t",
    "select count(distinct a) filter (where b), mode() within group (order by x) from t group by rollup (c, d)",
    "with recursive r as (select 1 as n union all select n + 1 from r where n < 5) select * from r",
    "from t select a, b order by a nulls first limit 5 offset 2",
    "select a from t intersect select a from u except all select a from w order by a desc",
    "select distinct on (a) a, b from t asof join u on t.a >= u.a order by a, b",
    "select a /* b */ from t semi join u using (id) where a is distinct from b and exists (select 1) -- c",
]


@pytest.mark.parametrize("text", [*corpus("legitimate.sql"), *MORE])
def test_a_query_that_is_written_back_is_the_same(text):
    tree = whole_tree(text)
    again = _without_places(whole_tree(written(tree)))
    # `(values ...) t(x, y)` comes back as a subquery of its own, which has the same rows.
    assert "values" in text or again == _without_places(tree)


def _without_places(tree):
    if isinstance(tree, dict):
        return {name: _without_places(each) for name, each in tree.items() if name != "query_location"}
    return [_without_places(each) for each in tree] if isinstance(tree, list) else tree


def test_a_query_that_cannot_be_written_back_is_refused():
    with pytest.raises(QueryRefusedError, match="written back"):
        in_total_order("select entity_id, 1e400 as a from t", ["entity_id", "a"])


@pytest.mark.parametrize(("text", "found"), [
    ("select entity_id, a from t", "ORDER BY entity_id, a"),
    ("select entity_id, a from t order by b desc limit 3", "ORDER BY b DESC, entity_id, a LIMIT 3"),
    ("select distinct entity_id, a from t limit 10%", "ORDER BY entity_id, a LIMIT (10) %"),
    ("select entity_id, a from t union all select entity_id, a from u order by 2", "ORDER BY 2, entity_id, a"),
    ("with c as (select * from t order by x) select * from c", "ORDER BY entity_id, a"),
    ("from t select entity_id, a -- the end", "ORDER BY entity_id, a"),
    ("select * from t order by all", "order by all"),
])  # fmt: skip
def test_an_order_is_completed(text, found):
    assert in_total_order(text, ["entity_id", "a"]).endswith(found)
