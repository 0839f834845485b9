"""Ranks that are about to read different things say so before the first batch, each of them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loaders.agreement import check_agreement, through_folder
from loaders.errors import DeadlineError, FormatError, RankMismatchError
from tests.lanes import BUSY_S

ROOT = Path(__file__).parents[2]
MINE = {
    "version": 1, "contract": "petrel-lanes-1", "fingerprint": "ab" * 32, "seed": 7, "epoch": 2, "step": 10,
    "lanes": 8, "window": 4, "global_batch": 64, "tail": "pad", "columns": ["image", "label"],
}  # fmt: skip


@dataclass
class Table:
    """A collective call of `size` threads; `exchanges` counts what rank 0 asked."""

    size: int
    exchanges: int = 0
    _slots: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._barrier = threading.Barrier(self.size)

    def seat(self, place: int) -> Callable[[bytes], Sequence[bytes]]:
        def exchange(payload: bytes) -> Sequence[bytes]:
            self._slots[place] = payload
            self._barrier.wait(5)
            answers = [self._slots[at] for at in range(self.size)]
            self._barrier.wait(5)
            self.exchanges += place == 0
            return answers

        return exchange


def outcomes(calls: Sequence[Callable[[], object]]) -> list[BaseException | None]:
    """Run calls side by side; return what each raised."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.exception(timeout=20) for future in [pool.submit(call) for call in calls]]


def compare(
    *ranks: dict[str, object], table: Table | None = None, deadline_s: float = 1.0
) -> list[BaseException | None]:
    """Let ranks compare; each is its differences from MINE, and `rank` and `world` where they are wrong."""
    table = table or Table(len(ranks))

    def call(place: int, given: dict[str, object]) -> Callable[[], object]:
        mine = {**MINE, **{name: value for name, value in given.items() if name not in ("rank", "world")}}
        rank, world = int(str(given.get("rank", place))), int(str(given.get("world", len(ranks))))
        return lambda: check_agreement(mine, rank=rank, world=world, exchange=table.seat(place), deadline_s=deadline_s)

    return outcomes([call(place, given) for place, given in enumerate(ranks)])


def test_equal_ranks_agree_in_one_exchange():
    table = Table(3)
    assert compare({}, {}, {}, table=table) == [None, None, None]
    assert table.exchanges == 1


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("seed", 8, "seed is 7 on ranks 0, 2, 8 on rank 1 (pass the same Shuffle(seed=...)"),
        ("seed", None, "seed is 7 on ranks 0, 2, None on rank 1"),
        ("fingerprint", "cd" * 32, "on rank 1 (open the same dataset version"),
        ("global_batch", 48, "global_batch is 64 on ranks 0, 2, 48 on rank 1 (pass the same batch_size"),
        ("lanes", 4, "lanes is 8 on ranks 0, 2, 4 on rank 1"),
        ("window", 2, "window is 4 on ranks 0, 2, 2 on rank 1"),
        ("tail", "drop", "tail is 'pad' on ranks 0, 2, 'drop' on rank 1"),
        ("step", 0, "step is 10 on ranks 0, 2, 0 on rank 1 (load the same state on every rank"),
        ("epoch", 0, "epoch is 2 on ranks 0, 2, 0 on rank 1 (load the same state on every rank"),
        ("columns", ["image"], "columns is ['image', 'label'] on ranks 0, 2, ['image'] on rank 1"),
        ("world", 4, "world is 3 on ranks 0, 2, 4 on rank 1 (start every rank with"),
    ],
)
def test_every_rank_says_which_rank_differs_in_what(name, value, said):
    started = time.monotonic()
    errors = compare({}, {name: value}, {})
    assert time.monotonic() - started < 1.0 + BUSY_S
    for error in errors:
        assert isinstance(error, RankMismatchError)
        assert said in str(error)
        assert list(error.values) == [name]
        assert error.values[name][1] == value
    assert len({str(error) for error in errors}) == 1


def test_all_differences_are_named_at_once():
    error = compare({}, {"seed": 8, "step": 0})[0]
    assert isinstance(error, RankMismatchError)
    assert error.values == {"seed": (7, 8), "step": (10, 0)}


def test_a_rank_number_that_is_taken_twice_is_refused_everywhere():
    for error in compare({}, {"rank": 0}, {}):
        assert isinstance(error, RankMismatchError)
        assert "rank 0 exists more than once" in str(error)


def test_ranks_that_all_expect_more_of_them_are_refused():
    for error in compare({"world": 4}, {"world": 4}):
        assert isinstance(error, RankMismatchError)
        assert "2 ranks take part: 0-1, each was started with world=4" in str(error)


def test_a_rank_that_does_not_come_is_waited_for_until_the_deadline():
    never = threading.Event()

    def exchange(payload: bytes) -> Sequence[bytes]:
        never.wait()
        return [payload]

    try:
        started = time.monotonic()
        with pytest.raises(DeadlineError, match="not all there within 0.2 s"):
            check_agreement(MINE, rank=0, world=2, exchange=exchange, deadline_s=0.2)
        assert time.monotonic() - started < 1.2 + BUSY_S
    finally:
        never.set()


def test_an_exchange_that_raises_keeps_its_error_and_says_where_it_was():
    def exchange(payload: bytes) -> Sequence[bytes]:
        raise ConnectionResetError("peer is gone")

    with pytest.raises(ConnectionResetError, match="peer is gone") as caught:
        check_agreement(MINE, rank=0, world=2, exchange=exchange, deadline_s=1)
    assert "while the ranks compared" in caught.value.__notes__[0]


@pytest.mark.parametrize("answers", [[], [b"short"], [b"x" * 40, b"y" * 40]])
def test_an_exchange_that_gives_something_else_is_refused(answers):
    with pytest.raises(FormatError, match="exchange must return the bytes of every rank"):
        check_agreement(MINE, rank=0, world=2, exchange=lambda _: answers, deadline_s=1)


def in_folder(folder: Path, *ranks: tuple[int, int, int], deadline_s: float = 5.0) -> list[BaseException | None]:
    """Let ranks, each (rank, world, seed), compare through a folder."""

    def call(rank: int, world: int, seed: int) -> Callable[[], object]:
        exchange = through_folder(folder, rank, world, "run", deadline_s=deadline_s)
        mine = {**MINE, "seed": seed}
        return lambda: check_agreement(mine, rank=rank, world=world, exchange=exchange, deadline_s=deadline_s + 5)

    return outcomes([call(*each) for each in ranks])


def test_a_folder_serves_as_exchange(tmp_path):
    assert in_folder(tmp_path / "new", (0, 3, 7), (1, 3, 7), (2, 3, 7)) == [None, None, None]
    errors = in_folder(tmp_path / "new", (0, 3, 7), (1, 3, 8), (2, 3, 7))
    assert [str(error).partition(" (")[0] for error in errors] == [
        "the ranks are about to read different things: seed is 7 on ranks 0, 2, 8 on rank 1"
    ] * 3


def test_a_folder_finds_wrong_ranks_and_worlds(tmp_path):
    for error in in_folder(tmp_path, (0, 2, 7), (0, 2, 7)):
        assert "rank 0 exists more than once" in str(error)
    for error in in_folder(tmp_path, (0, 2, 7), (1, 4, 7)):
        assert "world is 2 on rank 0, 4 on rank 1" in str(error)


def test_files_of_an_earlier_run_are_never_taken_for_answers(tmp_path):
    assert in_folder(tmp_path, (0, 2, 7), (1, 2, 7)) == [None, None]
    assert len(list(tmp_path.glob("*.json"))) == 2
    (error,) = in_folder(tmp_path, (0, 2, 7), deadline_s=0.3)
    assert isinstance(error, DeadlineError)
    assert "rank 1 of 2 did not come" in str(error)


def test_a_folder_serves_several_readers_and_runs_and_keeps_one_file_for_each_rank(tmp_path):
    exchanges = [through_folder(tmp_path, rank, 2, "a", deadline_s=5) for rank in (0, 1)]
    for seed in (1, 2, 3):
        mine = {**MINE, "seed": seed}
        calls = [
            lambda rank=rank, mine=mine: check_agreement(
                mine, rank=rank, world=2, exchange=exchanges[rank], deadline_s=10
            )
            for rank in (0, 1)
        ]
        assert outcomes(calls) == [None, None]
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / "note.json").write_text("not ours")
    assert in_folder(tmp_path, (0, 2, 7), (1, 2, 7)) == [None, None]


def test_processes_meet_in_a_folder(tmp_path):
    code = (
        "import sys; from loaders.agreement import *;"
        "rank, seed = int(sys.argv[1]), int(sys.argv[2]);"
        f"e = through_folder({str(tmp_path)!r}, rank, 2, 'run', deadline_s=20);"
        "check_agreement({'seed': seed}, rank=rank, world=2, exchange=e, deadline_s=30)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, *given], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for given in (("0", "7"), ("1", "8"))
    ]
    for process in started:
        _, said = process.communicate(timeout=40)
        assert process.returncode == 1
        assert "seed is 7 on rank 0, 8 on rank 1" in said
