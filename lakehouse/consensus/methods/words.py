"""Words that methods choose among; help of commands needs them before NumPy is loaded."""

from __future__ import annotations

TIES = ("lowest", "highest", "shared", "abstain")
MATCHINGS = ("greedy", "hungarian")

METHODS = {
    "majority": "the label with most votes",
    "weighted": "votes weigh as their actors agree with the majority (Wawa)",
    "dawid-skene": "EM over a confusion matrix of each actor",
    "one-coin": "EM over one accuracy of each actor",
    "weak-supervision": "one-coin over rules, which may abstain",
    "mean": "mean of numbers",
    "median": "median of numbers",
    "trimmed-mean": "mean of numbers without the ends",
    "circular-mean": "mean direction of angles",
    "multi-label": "a vote on each of several labels",
    "medoid": "the text nearest to all others",
    "borda": "one order by points for places",
    "bradley-terry": "one order by strengths that explain who stands before whom",
    "boxes": "boxes matched by class and overlap, then averaged",
    "turned-boxes": "turned boxes matched by class and overlap, then centre, sides and angle averaged",
    "keypoints": "objects matched by class and similarity (OKS), then a vote and the median of each keypoint",
    "tracks": "tracks matched by class and overlap over all frames, then averaged frame by frame",
    "masks": "polygons and masks matched by class and overlap, then a vote at every pixel",
    "intervals": "a vote of each label at every instant",
    "spans": "a vote of each label at every character",
}
"""Name -> what it gives; `lakehouse.consensus.registry` has what each of them does."""
