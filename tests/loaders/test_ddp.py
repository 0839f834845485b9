"""Two processes with DistributedDataParallel: equal steps, every sample once, and one process may go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loaders import RankMismatchError, ReadOptions, Shuffle, make_reader
from tests.loaders.samples import numbers_of

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
LANES, STOP_AFTER = 4, 5
SETTINGS: dict[str, Any] = {
    "columns": ["number", "label_index", "soft"],
    "shuffle": Shuffle(seed=7, lanes=LANES, window=2),
    "options": ReadOptions(deadline_s=30),
}


@pytest.fixture(scope="module")
def told(train: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two ranks tell of their training, see `main`."""
    folder = tmp_path_factory.mktemp("ddp")
    pytest.importorskip("torch")
    settings = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.loaders.test_ddp", str(train), str(folder)]
    started = [
        subprocess.Popen([*command, str(rank)], cwd=ROOT, env={**os.environ, **settings}, stderr=subprocess.PIPE)
        for rank in (0, 1)
    ]
    try:
        for process in started:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said.decode()
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


def test_a_rank_with_another_seed_stops_both_before_the_first_batch(told):
    for each in told:
        assert "seed is 7 on rank 0, 8 on rank 1" in each["mismatch"]
        assert each["mismatch_s"] < 3


def test_ranks_take_equal_steps_and_read_every_sample_once(told):
    first, second = (each["numbers"] for each in told)
    assert [len(step) for step in first] == [len(step) for step in second] == [8] * 7
    real = [number for each in told for step in each["real"] for number in step]
    assert sorted(real) == list(range(101))
    assert told[0]["weights"] == told[1]["weights"]
    assert told[0]["state"] == told[1]["state"]


def test_steps_of_two_ranks_are_those_of_one(told, train):
    with make_reader(train, batch_size=16, **SETTINGS) as reader:
        wanted = [batch["number"].tolist() for batch in reader]
    assert merged(told) == wanted


def test_one_rank_goes_on_where_two_stopped(told, train):
    with make_reader(train, batch_size=16, **SETTINGS) as reader:
        reader.load_state_dict(told[0]["state"])
        rest = [batch["number"].tolist() for batch in reader]
    assert rest == merged(told)[STOP_AFTER:]


def test_a_group_of_ranks_shares_the_data_and_other_backends_get_a_gloo_group(told):
    assert [each["alone"] for each in told] == [[0, 1], [0, 1]]
    assert [each["beside"] for each in told] == [["zero", "one!"]] * 2


def merged(told: list[dict[str, Any]]) -> list[list[int]]:
    """Return the steps of all ranks as one: see "Batches, ranks" in ORDER.md."""
    # (steps, ranks, rows of a lane, lanes of a rank) to (steps, rows of a lane, ranks, lanes of a rank)
    numbers = np.array([each["numbers"] for each in told]).swapaxes(0, 1).reshape(7, 2, 16 // LANES, LANES // 2)
    merged: list[list[int]] = numbers.swapaxes(1, 2).reshape(7, 16).tolist()
    return merged


def main(train: str, folder: str, rank: int) -> None:
    """Be one of two ranks; write what happened to `<folder>/<rank>.json`."""
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    from loaders.torch import shard, tensors

    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    tell: dict[str, Any] = {}

    started = time.monotonic()
    with make_reader(train, batch_size=8, shard=shard(), **{**SETTINGS, "shuffle": Shuffle(seed=7 + rank)}) as reader:
        try:
            next(reader)
        except RankMismatchError as error:
            tell |= {"mismatch": str(error), "mismatch_s": time.monotonic() - started}

    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(3, 10))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    reader = make_reader(train, batch_size=8, shard=shard(), **SETTINGS)
    with tensors(reader) as batches:
        tell |= {"numbers": [], "real": []}
        for step, batch in enumerate(batches, start=1):
            loss = torch.nn.functional.cross_entropy(model(batch["soft"]), batch["label_index"])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            tell["numbers"].append(batch["number"].tolist())
            tell["real"].append(numbers_of(batch))
            if step == STOP_AFTER:
                tell["state"] = batches.state_dict()
    tell["weights"] = [weights.tolist() for weights in model.parameters()]

    alone = shard([dist.new_group([each]) for each in (0, 1)][rank])
    tell["alone"] = [alone.rank, alone.world]
    dist.get_backend = lambda group=None: "nccl"  # which has no tensors of the CPU
    exchange = shard().exchange
    assert exchange is not None
    tell["beside"] = [answer.decode() for answer in exchange([b"zero", b"one!"][rank])]
    (Path(folder) / f"{rank}.json").write_text(json.dumps(tell))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
