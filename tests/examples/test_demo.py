"""The whole demo on a few digits, embedded, twice: files to verdict, then nothing to do."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from examples.demo import flow
from examples.demo.card import Settings, find_card, key_of
from examples.demo.flow import run_demo, say_agreement
from examples.demo.plan import Plan
from examples.demo.prepare import prepare_digits
from jobs import sql
from lakehouse.sql.session import connect
from lakehouse.steps.receipts import Receipt

pytest.importorskip("sklearn")
pytest.importorskip("torch")

pytestmark = [pytest.mark.torch, pytest.mark.slow]

NOW = datetime(2024, 5, 1, tzinfo=UTC)
IMAGES = 240
SETTINGS = Settings(epochs=15, batch_size=16, width=16)
GATES = ("accuracy>=0.5", "log_loss<=0")
"""One that such a model passes, and one that no model does."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the demo: its exit code and what it printed."""

    code: int
    text: str


@dataclasses.dataclass(frozen=True)
class Demo:
    """A demo that ran twice."""

    plan: Plan
    lake: Path
    first: Run
    second: Run

    @property
    def dataset_id(self) -> str:
        found = re.search(r"Dataset digits version ([0-9a-f]{32})", self.first.text)
        assert found is not None, self.first.text
        return found[1]


def ask(lake: Path, text: str) -> list[tuple[object, ...]]:
    with connect(lake) as connection:
        return connection.execute(text).fetchall()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    home = tmp_path_factory.mktemp("demo") / "digits"
    plan = dataclasses.replace(prepare_digits(home, limit=IMAGES), settings=SETTINGS, gates=GATES)
    return Demo(plan, home / "lake", run(plan), run(plan))


def run(plan: Plan, **others: Path) -> Run:
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", _Lines(said.append))
        code = run_demo(plan, {"embedded": plan.home / "lake"} | others, started=time.monotonic())
    return Run(code, "".join(said))


class _Lines:
    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write

    def flush(self) -> None:
        pass


def test_every_input_is_an_entity_a_duplicate_or_rejected_with_a_reason(demo: Demo) -> None:
    assert ask(demo.lake, "select count(*) from bronze.landed_files") == [(IMAGES + 4,)]
    assert ask(demo.lake, "select count(*) from silver.entities") == [(IMAGES,)]
    assert ask(demo.lake, "select count(*) from silver.entity_sources") == [(IMAGES + 1,)]
    rules = ask(demo.lake, "select rule from silver.rejected order by rule")
    assert rules == [("empty",), ("extension_mismatch",), ("truncated",)]
    assert "Rejected: 3" in demo.first.text


def test_all_kinds_of_sources_have_answered(demo: Demo) -> None:
    actors = ask(demo.lake, "select actor_id from silver.actors order by actor_id")
    people = ["human:ann", "human:bob", "human:cem", "human:dora"]
    assert [row[0] for row in actors] == [*people, "import:uci", "model:cnn@1", "pool:crowd"]
    assert ask(demo.lake, "select count(*) > 0 from silver.opinions where op = 'abstain'") == [(True,)]


def test_the_accuracy_that_is_printed_is_the_one_in_the_lake(demo: Demo) -> None:
    stored = ask(demo.lake, "select value, support from gold.evaluations where metric = 'accuracy' and slice = 'all'")
    ((value, support),) = stored
    assert f"Gate accuracy >= 0.5: pass ({value:.4f} of {support} images)" in demo.first.text


def test_the_accuracy_in_the_lake_is_that_of_the_recorded_predictions(demo: Demo) -> None:
    counted = ask(
        demo.lake,
        "select count(*) filter (where o.label = m.label) / count(*), count(*) from members m "
        "join current_opinions o on o.subject_id = m.entity_id and o.actor_id = 'model:cnn@1' where m.split = 'test'",
    )
    stored = ask(demo.lake, "select value, support from gold.evaluations where metric = 'accuracy' and slice = 'all'")
    assert stored == counted


def test_every_member_has_a_prediction_with_probabilities_that_add_up(demo: Demo) -> None:
    found = ask(
        demo.lake,
        "select count(*), max(abs(list_sum(map_values(o.probs)) - 1)) from members m "
        "join current_opinions o on o.subject_id = m.entity_id and o.actor_id = 'model:cnn@1'",
    )
    members = ask(demo.lake, "select count(*) from members")
    assert [row[:1] for row in found] == members
    assert isinstance(found[0][1], float)
    assert found[0][1] < 1e-4


def test_a_gate_that_failed_is_the_exit_code_3(demo: Demo) -> None:
    assert ask(demo.lake, "select metric, verdict from gold.evaluations where operator is not null order by 1") == [
        ("accuracy", "pass"),
        ("log_loss", "fail"),
    ]
    assert demo.first.code == 3
    assert "Gate log_loss <= 0: fail" in demo.first.text


def test_second_run_adds_nothing_and_says_so(demo: Demo) -> None:
    assert (
        "Nothing was new: 0 new rows in every table, 0 objects written, the same dataset version " + demo.dataset_id
        in demo.second.text
    )
    assert "Nothing was new" not in demo.first.text
    assert demo.second.code == demo.first.code


def test_second_run_trains_nothing(demo: Demo) -> None:
    assert "train: model:cnn@1, 15 epochs" in demo.first.text
    assert "train: model:cnn@1 was trained on this dataset version" in demo.second.text
    card = find_card(demo.plan.home / "models", key_of(demo.dataset_id, SETTINGS))
    assert card is not None
    assert card.actor == "model:cnn@1"


def test_other_settings_are_another_model(demo: Demo) -> None:
    other = dataclasses.replace(SETTINGS, epochs=16)
    assert find_card(demo.plan.home / "models", key_of(demo.dataset_id, other)) is None


def test_the_three_queries_work_as_they_are_printed(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.strip() for line in demo.first.text.splitlines() if line.strip().startswith("petrel sql")]
    assert len(lines) == 3
    for line in lines:
        assert sql.main(shlex.split(line)[2:]) == 0
        assert " rows)" in capsys.readouterr().out


def test_the_contact_sheet_shows_labels_disputes_and_predictions(demo: Demo) -> None:
    page = (demo.plan.home / "report/contact_sheet.html").read_text(encoding="utf-8")
    assert "Dataset by label" in page
    assert "Worst predictions of model:cnn@1" in page
    assert (demo.plan.home / "report/contact_sheet.png").stat().st_size > 10_000


def test_gates_that_all_hold_are_the_exit_code_0(demo: Demo) -> None:
    again = run(dataclasses.replace(demo.plan, gates=GATES[:1]))
    assert again.code == 0
    assert "Nothing was new" not in again.text


def test_the_report_comes_before_the_second_engine_which_must_agree(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(flow.RUNNERS, "spark", flow.run_embedded)
    other = Path(shutil.copytree(demo.lake, tmp_path / "other"))
    text = run(demo.plan, spark=other).text
    said = ["embedded engine", "on the test split", "Wall time", f"spark engine, lake {other}", "The engines agree",
            "0 new rows in every table of 2 lakes", "Wall time of all engines"]  # fmt: skip
    places = [text.find(each) for each in said]
    assert -1 not in places
    assert places == sorted(places)


def test_engines_that_built_different_datasets_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    def built(dataset_id: str, digest: str) -> Receipt:
        details = {"dataset_id": dataset_id, "members_digest": digest}
        return Receipt("build", "embedded", NOW, 0.0, details=details)

    assert say_agreement({"spark": built("a", "1"), "embedded": built("a", "1")})
    assert "The engines agree: dataset a, members 1" in capsys.readouterr().out
    assert not say_agreement({"spark": built("a", "1"), "embedded": built("a", "2")})
    assert "DISAGREE" in capsys.readouterr().out
