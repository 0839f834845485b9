"""The report as one HTML file: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from lakehouse.agreement.report import ActorFacts, Agreement
from lakehouse.pages.document import document, note, table
from lakehouse.pages.plots import bars, line, matrix


def page(found: Agreement) -> str:
    """Return the report as HTML."""
    parts = [_figures(found), *map(note, found.notes)]
    if found.labels:
        parts += ["<h2>Labels</h2>", bars({name: float(n) for name, n in found.labels.items()})]
    compared = note(f"Compared with: {found.reference}.")
    parts += ["<h2>Actors</h2>", compared, _actors(found.actors)]
    rated = {each.actor: each.accuracy for each in found.actors if each.accuracy is not None}
    if rated:
        best_first = dict(sorted(rated.items(), key=lambda each: -each[1]))
        parts += ["<h2>Accuracy</h2>", bars(best_first, most=1.0, form="{:.3f}")]
    if found.pairs:
        names = sorted({name for each in found.pairs for name in (each.one, each.other)})
        shares = {(each.one, each.other): each.agreed for each in found.pairs}
        parts += ["<h2>Pairs</h2>", note("Per cent of shared subjects on which two say the same."),
                  matrix(names, shares)]  # fmt: skip
    confused = [(each.actor, *row) for each in found.actors for row in each.confusion]
    if confused:
        confused.sort(key=lambda row: (-row[3], row[:3]))
        parts += ["<h2>Confusions</h2>", table(["actor", "compared with", "said", "times"], confused[:50])]
    if found.doubts:
        parts += ["<h2>Candidates for wrong labels</h2>",
                  table(["rule", "subject", "actor", "score", "what speaks against it"],
                         [(each.rule, each.item, each.actor, each.score, each.text) for each in found.doubts]),
                  ]  # fmt: skip
        parts += [note(f"and {n:,} more of {rule}") for rule, n in found.doubts_left_out.items()]
    return document(f"Agreement about {found.question}", parts)


def figures(found: Agreement) -> list[tuple[str, str]]:
    """Return the figures over all, as names and texts; those that do not apply are left out."""
    rows = [("subjects", f"{found.subjects:,}"), ("answers", f"{found.answers:,}"),
            ("share of unanimous subjects", _number(found.unanimous)),
            (f"Krippendorff's alpha ({found.level})", _number(found.alpha)),
            ("Fleiss' kappa", _number(found.fleiss) if found.fleiss is not None else f"none: {found.fleiss_reason}"),
            ("mean overlap of matched regions", _number(found.mean_iou)), ("F1 at overlap 0.5", _number(found.f1)),
            ("boundary error", _number(found.boundary_error)),
            ("Krippendorff's alpha (unitizing)", _number(found.unitizing))]  # fmt: skip
    return [row for row in rows if row[1]]


def _figures(found: Agreement) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in figures(found))
    return f"<table>{rows}</table>"


def _actors(actors: Sequence[ActorFacts]) -> str:
    head = ["actor", "answers", "abstained", "compared", "accuracy", "unanimous", "seconds", "cost", "over time"]
    lines = ["<tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    for each in actors:
        pace = "" if each.seconds is None else f"{each.seconds:.3g} ({each.seconds_from})"
        cells = [f"{each.answers:,}", f"{each.abstained:,}", f"{each.compared:,}", _number(each.accuracy),
                 _number(each.unanimous), pace, "" if each.cost is None else f"{each.cost:g}"]  # fmt: skip
        drift = line([share for _, _, share in each.drift])
        numbers = "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells)
        lines.append(f"<tr><td>{escape(each.actor)}</td>{numbers}<td>{drift}</td></tr>")
    return f"<table>{''.join(lines)}</table>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
