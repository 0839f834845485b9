"""Every notebook runs from top to bottom, and is stored without outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))

nbformat = pytest.importorskip("nbformat")


def test_there_is_a_notebook() -> None:
    assert [path.name for path in NOTEBOOKS] == ["branches.ipynb", "explore_demo_lake.ipynb", "tensors.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def executed(name: str, lake: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Outputs of a notebook that ran on a lake."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("PETREL_LAKE", str(lake))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    notebook = nbformat.read(REPOSITORY / "notebooks" / f"{name}.ipynb", as_version=4)
    resources = {"metadata": {"path": str(REPOSITORY / "notebooks")}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.slow
def test_a_campaign_on_a_branch_ends_with_a_merge(small_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = executed("branches", small_lake, monkeypatch)
    texts = [str(output["data"].get("text/plain", "")) for output in outputs if "data" in output]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 1
    assert "['opinion'], {'come':" in texts[-2].replace("\n", "").replace("(", "")
    assert texts[-1].replace("\n", "").startswith("(['main'], [(")


@pytest.mark.slow
def test_the_exploration_runs_on_a_small_lake_and_draws_its_plots(
    small_lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = executed("explore_demo_lake", small_lake, monkeypatch)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    texts = "".join(str(output.get("data", {}).get("text/plain", "")) for output in outputs)
    assert len(pictures) == 6
    assert "truncated" in texts
    assert "human:dora" in texts
    pages = [output.get("data", {}).get("text/html", "") for output in outputs]
    (frame,) = [page for page in pages if "<iframe" in page]
    assert 'sandbox="allow-scripts"' in frame
    assert "window.PETREL" in frame
    assert not [output for output in outputs if output.output_type == "stream"], "a warning or a message"


@pytest.mark.slow
def test_arrays_go_from_a_question_to_a_batch(small_lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = executed("tensors", small_lake, monkeypatch)
    texts = [str(output["data"].get("text/plain", "")).replace("\n", "") for output in outputs if "data" in output]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 1
    assert texts[-1].count("(8, ") == 4
    assert not [output for output in outputs if output.output_type == "stream"], "a warning or a message"
