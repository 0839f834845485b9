"""How predicted tracks are scored: boxes frame by frame, and who is followed under which name.

In every frame boxes of one label are paired at an overlap of 0.5 or more. `mota` (CLEAR MOT, Bernardin and
Stiefelhagen 2008) is 1 - (missed + false + switches) / boxes: pairs of the frame before are kept where they still
overlap, the others are those with most overlap in all; a switch is a true track that goes to another predicted one than
the last it had. `idf1` (Ristani et al. 2016) pairs whole tracks so that most frames are right: 2 right / (true + said
boxes). Videos are added up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lakehouse.consensus.methods.assignment import assign
from lakehouse.datasets.policies.box_scores import overlaps_of
from lakehouse.datasets.policies.hits import Ints, by_class, shares_of
from lakehouse.datasets.policies.kind import BY_CLASS, Measure, Score, Scored
from lakehouse.errors import ConfigError

OVERLAP = 0.5
HITS, SAID, WANTED = range(3)
MEASURES = (
    *(Measure(name) for name in ("frame_f1", "frame_precision", "frame_recall")),
    # Below 0 where more is wrong than there is.
    Measure("mota", is_share=False),
    Measure("idf1"),
    Measure("switches", is_share=False),
    *BY_CLASS,
)

Box = Mapping[str, Any]
Frames = Callable[[Sequence[Box]], Sequence[Box]]


@dataclass(slots=True)
class _Video:
    """What comes of one video: hits, said and wanted boxes of each label, switches, boxes under the right name."""

    boxes: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0, 0]))
    switches: int = 0
    followed: int = 0


def weigh_tracks(rows: Sequence[Scored], *, frames_of: Frames) -> Callable[[Ints], Iterator[Score]]:
    """Return what scores tracks, from how often each row counts.

    `frame_f1`, `frame_precision`, `frame_recall`, `mota`, `idf1`, `switches`, and by class `precision`, `recall` and
    `f1` of boxes in frames, with their means `macro_*` over the classes of the truth.

    Args:
        rows: Truth and answer: shapes of tracks. No answer is one without tracks.
        frames_of: From shapes to one box for each track and frame.

    Raises:
        ConfigError: If a prediction has a region that is no box of a track.
    """
    videos = []
    for row in rows:
        for each in row.answer or ():
            if None in (each["label"], each["track"], each["first"], each["last"], each["x"], each["w"]):
                raise ConfigError(f"the prediction about {row.entity_id} has what is no box of a track: {each}")
        try:
            videos.append(_video(frames_of(row.truth), frames_of(row.answer or ())))
        except ValueError as error:
            raise ConfigError(f"the prediction about {row.entity_id}: {error}") from error
    labels = sorted({label for video in videos for label in video.boxes})
    by_label = {
        label: np.array([video.boxes.get(label, [0, 0, 0]) for video in videos], np.int64) for label in labels
    }
    # (rows, 2)
    names = np.array([(video.switches, video.followed) for video in videos], np.int64).reshape(-1, 2)
    return lambda counts: _scores(by_label, names, counts)


def _scores(by_label: Mapping[str, Ints], names: Ints, counts: Ints) -> Iterator[Score]:
    found = {label: (counts @ each).tolist() for label, each in by_label.items()}
    hits, said, wanted = (sum(each[place] for each in found.values()) for place in range(3))
    switches, followed = (counts @ names).tolist()
    precision, recall, f1 = shares_of(hits, said, wanted)
    yield Score("frame_f1", None, f1, wanted)
    yield Score("frame_precision", None, precision, wanted)
    yield Score("frame_recall", None, recall, wanted)
    wrong = (wanted - hits) + (said - hits) + switches
    yield Score("mota", None, 1 - wrong / wanted if wanted else None, wanted)
    yield Score("idf1", None, 2 * followed / (wanted + said) if wanted + said else None, wanted)
    yield Score("switches", None, float(switches), wanted)
    yield from by_class(found)


def _video(truth: Sequence[Box], said: Sequence[Box]) -> _Video:
    video = _Video()
    frames: dict[int, tuple[list[Box], list[Box]]] = defaultdict(lambda: ([], []))
    for side, boxes in enumerate((truth, said)):
        for box in boxes:
            frames[box["frame"]][side].append(box)
            video.boxes[box["label"]][SAID if side else WANTED] += 1
    last: dict[int, int] = {}
    together: Counter[tuple[int, int]] = Counter()
    for frame in sorted(frames):
        there, mine = frames[frame]
        overlaps = _overlaps(there, mine)
        together.update(
            (there[row]["track"], mine[column]["track"])
            for row, column in zip(*np.nonzero(overlaps >= OVERLAP), strict=True)
        )
        for row, column in _pairs(there, mine, overlaps, last):
            track, theirs = there[row]["track"], mine[column]["track"]
            video.boxes[there[row]["label"]][HITS] += 1
            video.switches += last.get(track, theirs) != theirs
            last[track] = theirs
    if together:
        right = np.zeros((max(one for one, _ in together) + 1, max(other for _, other in together) + 1))
        for (one, other), number in together.items():
            right[one, other] = number
        video.followed = round(sum(right[pair] for pair in assign(right)))
    return video


def _overlaps(there: Sequence[Box], mine: Sequence[Box]) -> npt.NDArray[np.float64]:
    """Return the overlap of boxes of one label, else 0; (true, said)."""
    same = np.array([[one["label"] == other["label"] for other in mine] for one in there], bool)
    found = overlaps_of(mine, there, np.zeros(len(there), bool)).T
    return np.where(same.reshape(found.shape), found, 0.0)


def _pairs(
    there: Sequence[Box], mine: Sequence[Box], overlaps: npt.NDArray[np.float64], last: Mapping[int, int]
) -> list[tuple[int, int]]:
    columns = {box["track"]: column for column, box in enumerate(mine)}
    kept = [
        (row, columns[last[box["track"]]]) for row, box in enumerate(there)
        if last.get(box["track"]) in columns and overlaps[row, columns[last[box["track"]]]] >= OVERLAP
    ]  # fmt: skip
    # Two true tracks may have had one predicted track last: the first keeps it.
    kept = list({column: (row, column) for row, column in reversed(kept)}.values())
    free = overlaps.copy()
    for row, column in kept:
        free[row, :] = free[:, column] = 0
    free[free < OVERLAP] = 0
    return kept + [pair for pair in assign(free) if free[pair] > 0]
