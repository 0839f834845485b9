"""From answers of one label (or yes and no) each to decisions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc

from lakehouse.consensus.decision import Decision, Inputs, Outcome, support
from lakehouse.consensus.methods.dawid_skene import dawid_skene
from lakehouse.consensus.methods.em import Fit, Rounds
from lakehouse.consensus.methods.majority import REASONS, choose
from lakehouse.consensus.methods.one_coin import one_coin
from lakehouse.consensus.methods.votes import MAX_CELLS, Floats, Votes, shares, votes_from
from lakehouse.consensus.methods.weighted import wawa
from lakehouse.consensus.settings import Settings
from lakehouse.consensus.sql_form import dawid_skene_sql
from lakehouse.errors import ConfigError

DECIMALS = 6
"""Of recorded probabilities: the last digits of a sum depend on the order of its terms."""

SHOWN = 5


def votes_of(inputs: Inputs) -> Votes:
    """Return the votes in answers of kind label or bool.

    Raises:
        ConfigError: If items and labels are too many for one table in memory.
    """
    rows = inputs.rows
    if inputs.asked.answer_kind == "bool":
        labels = ["true" if each == 1 else "false" for each in rows["number"].to_pylist()]
    else:
        labels = rows["label"].to_pylist()
    weights = pc.cast(rows["votes"], "float64").to_pylist()
    try:
        return votes_from(
            rows["subject_id"].to_pylist(), rows["actor_id"].to_pylist(), labels, weights, order=inputs.asked.labels
        )
    except ValueError as error:
        raise ConfigError(f"question {inputs.asked.question_id}: {error}") from error


def majority(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by most votes."""
    votes = votes_of(inputs)
    return Outcome(_decided(votes, votes.tally_IK, settings, inputs))


def weighted(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by votes that weigh as their actors agree with the majority."""
    votes = votes_of(inputs)
    score_IK, _ = wawa(votes)
    return Outcome(_decided(votes, score_IK, settings, inputs))


def full_model(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by the model of Dawid and Skene."""
    votes, rounds = votes_of(inputs), rounds_of(settings)
    in_sql = settings.form == "sql" or (settings.form == "auto" and cells(votes) > MAX_CELLS)
    try:
        fit = dawid_skene_sql(inputs.lake, votes, rounds) if in_sql else dawid_skene(votes, rounds)
    except ValueError as error:
        raise ConfigError(f"question {inputs.asked.question_id}: {error}; take --form sql") from error
    return fitted(votes, fit, settings, inputs)


def cells(votes: Votes) -> int:
    """Return how many numbers the arrays of Dawid-Skene have."""
    return max(len(votes.item), len(votes.actors) * len(votes.labels)) * len(votes.labels)


def coin_model(inputs: Inputs, settings: Settings) -> Outcome:
    """Decide by the model that knows one number of each actor."""
    votes = votes_of(inputs)
    return fitted(votes, one_coin(votes, rounds_of(settings)), settings, inputs)


def rounds_of(settings: Settings) -> Rounds:
    """Return when EM ends."""
    return Rounds(settings.rounds, settings.tolerance, settings.smoothing)


def fitted(votes: Votes, fit: Fit, settings: Settings, inputs: Inputs) -> Outcome:
    """Return decisions from probabilities."""
    notes = {}
    if not fit.converged:
        notes["not_converged"] = f"EM was stopped after {fit.rounds} rounds; state more with --rounds"
    details = {"rounds": f"{fit.rounds}"}
    return Outcome(_decided(votes, fit.posterior_IK, settings, inputs), details, notes)


def _decided(votes: Votes, score_IK: Floats, settings: Settings, inputs: Inputs) -> Iterator[Decision]:
    answers_I, tally_IK = votes.answers_I, votes.tally_IK
    choice = choose(score_IK, answers_I, ties=settings.ties, quorum=settings.quorum, margin=settings.margin)
    probs_IK = np.round(shares(score_IK), DECIMALS)
    names = votes.labels
    for place, subject in enumerate(votes.items):
        label, answers = int(choice.label[place]), float(answers_I[place])
        said = tally_IK[place]
        if label < 0:
            best = np.argsort(-said, kind="stable")[:SHOWN].tolist()
            told = ", ".join(f"{names[k]} {said[k]:g}" for k in best if said[k])
            yield Decision(subject, None, REASONS[choice.reason[place]], answers, told)
            continue
        probs = probs_IK[place]
        ext = support(float(said[label]), answers)
        tied = [names[k] for k in np.flatnonzero(choice.tied_IK[place]).tolist()]
        if len(tied) > 1:
            ext["tied"] = " | ".join(tied)
        confidence = float(min(probs[label], 1.0))
        if inputs.asked.answer_kind == "bool":
            yield Decision(subject, {"bool": names[label] == "true", "confidence": confidence, "ext": ext}, "", answers)
            continue
        if settings.ties == "shared" and len(tied) > 1:
            stated = {name: round(1 / len(tied), DECIMALS) for name in tied}
        else:
            stated = {names[k]: float(probs[k]) for k in np.flatnonzero(probs).tolist()} | {names[label]: confidence}
        yield Decision(
            subject, {"label": names[label], "probs": stated, "confidence": confidence, "ext": ext}, "", answers
        )
