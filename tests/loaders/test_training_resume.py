"""A real training that is killed and goes on with other workers sees the samples and pixels of an undisturbed one."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.slow]
torch = pytest.importorskip("torch")

from benchmarks.loaders.resume_training import (  # noqa: E402  after the check that torch is there
    Outcome,
    Step,
    compare,
    live,
    publish_pictures,
    read_log,
    train,
)


@pytest.fixture(autouse=True)
def _threads_of_torch():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_training_killed_in_two_epochs_takes_the_steps_of_one_that_was_not(real_data, tmp_path):
    split = publish_pictures(real_data("cifar10"), tmp_path / "pictures", limit=900)  # 15 steps in an epoch
    pace = {"epochs": 2, "save_every": 4}
    folders = [tmp_path / "undisturbed", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
    last_log, log = folders[1] / "life-02.jsonl", folders[0] / "life-00.jsonl"
    train(split, folders[0], workers="threads:2", log=log, **pace)
    lives = [
        live(split, folders[1], life=0, workers="processes:2", kill_at=6, **pace),
        live(split, folders[1], life=1, workers="threads:4", kill_at=21, **pace),
    ]
    train(split, folders[1], workers="inline:1", log=last_log, **pace)
    outcome = compare(Outcome(list(read_log(log)), [*lives, list(read_log(last_log))]))
    assert outcome.mismatches == []
    assert len(outcome.effective) == len(outcome.undisturbed) == 30
    assert [sorted(i for step in outcome.undisturbed[at : at + 15] for i in step.ids) for at in (0, 15)] == (
        [list(range(900))] * 2
    )
    starts = [life[0].step for life in outcome.lives]
    assert starts[0] == 0
    assert all(start > 0 and start % 4 == 0 for start in starts[1:]), "each later life begins at a checkpoint"
    pixels = [step.pixels for step in outcome.undisturbed]
    assert len({*pixels}) == 30, "another crop and noise in each epoch"


def test_the_comparison_finds_each_kind_of_difference():
    steps = [Step(number, (number, number + 1), f"p{number}", 0.5) for number in range(4)]
    assert compare(Outcome(steps, [steps[:3], steps[2:]])).mismatches == []
    for change, what in (
        ({"ids": (1, 0)}, "step 2: ids"), ({"pixels": "p"}, "step 2: pixels"), ({"loss": 0.6}, "step 2: loss"),
    ):  # fmt: skip
        changed = [*steps[:2], replace(steps[2], **change), steps[3]]
        # Also found where a later life took the step again, and rightly.
        assert compare(Outcome(steps, [changed[:3], steps[2:]])).mismatches == [f"life 0, {what}"]
    assert compare(Outcome(steps, [steps[:2], steps[3:]])).mismatches == ["step 2 was never taken"]
    beyond = compare(Outcome(steps, [[*steps, replace(steps[0], step=4)]]))
    assert beyond.mismatches == ["life 0, step 4: there is no such step"]
