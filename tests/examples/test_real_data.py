"""`--data` on real folders: votes that are counted, boxes that are kept as they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from examples.demo.prepare import prepare_folder
from examples.demo.steps import run_embedded
from lakehouse.sql.session import connect

pytestmark = pytest.mark.slow

RealData = Callable[[str], Path]


def lake_of(data: Path, home: Path) -> Path:
    plan = prepare_folder(data, home, name=data.name)
    run_embedded(plan, home / "lake", say=lambda _: None)
    return home / "lake"


def test_cifar10_votes_are_all_counted_and_outvote_the_folder_names(real_data: RealData, tmp_path: Path) -> None:
    with connect(lake_of(real_data("cifar10"), tmp_path)) as sql:
        assert sql.execute("select count(*) from entities").fetchall() == [(3000,)]
        votes = "select sum(votes) from current_opinions where actor_id = 'pool:cifar10'"
        assert sql.execute(votes).fetchall() == [(153_155,)]
        agreeing = (
            "select round(avg(case when m.label = o.label then 1 else 0 end), 4) from members m "
            "join current_opinions o on o.subject_id = m.entity_id and o.actor_id = 'import:cifar10-folders'"
        )
        assert sql.execute(agreeing).fetchall() == [(0.994,)]
        index = (real_data("cifar10") / "index.csv").read_text(encoding="utf-8").splitlines()
        path = next(line.split(",")[0] for line in index if line.split(",")[1] == "2405")
        of_2405 = (
            "select m.label from members m join silver.entity_sources s on s.entity_id = m.entity_id where s.path = ?"
        )
        assert sql.execute(of_2405, [path]).fetchall() == [("frog",)]


def test_bccd_boxes_are_kept_the_single_pixels_too(real_data: RealData, tmp_path: Path) -> None:
    with connect(lake_of(real_data("bccd"), tmp_path)) as sql:
        sizes = "select width, height, count(*) from entities_wide group by all"
        assert sql.execute(sizes).fetchall() == [(640, 480, 364)]
        boxes = (
            "(select s.name, unnest(o.regions) as box from current_opinions o "
            "join silver.entity_sources s on s.entity_id = o.subject_id)"
        )
        assert sql.execute(f"select count(*) from {boxes}").fetchall() == [(4888,)]
        of_first = "name = 'BloodImage_00000.jpg' and box.label = 'WBC'"
        first = f"select box.x, box.y, box.w, box.h from {boxes} where {of_first}"
        assert sql.execute(first).fetchall() == [(259, 176, 232, 200)]
        assert sql.execute(f"select count(*) from {boxes} where box.w = 1 and box.h = 1").fetchall() == [(2,)]
