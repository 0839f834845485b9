"""The report as one HTML file: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from lakehouse.agreement.plots import bars, line, matrix
from lakehouse.agreement.report import ActorFacts, Agreement

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1b2733; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top; }
th { border-bottom: 1px solid #9aa7b4; font-weight: 600; } 
td.n { text-align: right; font-variant-numeric: tabular-nums; }
svg { overflow: visible; } svg text { font: 12px system-ui, sans-serif; fill: #1b2733; } svg .small { font-size: 9px; }
.bar { fill: #3b82b8; } .line { fill: none; stroke: #3b82b8; stroke-width: 1.5; } .note { color: #5b6773; }
"""


def page(found: Agreement) -> str:
    """Return the report as HTML."""
    title = escape(f"Agreement about {found.question}")
    parts = [f"<h1>{title}</h1>", _figures(found)]
    parts += [f'<p class="note">{escape(each)}</p>' for each in found.notes]
    if found.labels:
        parts += ["<h2>Labels</h2>", bars({name: float(n) for name, n in found.labels.items()})]
    compared = f'<p class="note">Compared with: {escape(found.reference)}.</p>'
    parts += ["<h2>Actors</h2>", compared, _actors(found.actors)]
    rated = {each.actor: each.accuracy for each in found.actors if each.accuracy is not None}
    if rated:
        best_first = dict(sorted(rated.items(), key=lambda each: -each[1]))
        parts += ["<h2>Accuracy</h2>", bars(best_first, most=1.0, form="{:.3f}")]
    if found.pairs:
        names = sorted({name for each in found.pairs for name in (each.one, each.other)})
        shares = {(each.one, each.other): each.agreed for each in found.pairs}
        parts += ["<h2>Pairs</h2>", '<p class="note">Per cent of shared subjects on which two say the same.</p>',
                  matrix(names, shares)]  # fmt: skip
    confused = [(each.actor, *row) for each in found.actors for row in each.confusion]
    if confused:
        confused.sort(key=lambda row: (-row[3], row[:3]))
        parts += ["<h2>Confusions</h2>", _table(["actor", "compared with", "said", "times"], confused[:50])]
    if found.doubts:
        parts += ["<h2>Candidates for wrong labels</h2>",
                  _table(["rule", "subject", "actor", "score", "what speaks against it"],
                         [(each.rule, each.item, each.actor, each.score, each.text) for each in found.doubts]),
                  ]  # fmt: skip
        parts += [f'<p class="note">and {n:,} more of {escape(rule)}</p>' for rule, n in found.doubts_left_out.items()]
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def figures(found: Agreement) -> list[tuple[str, str]]:
    """Return the figures over all, as names and texts; those that do not apply are left out."""
    rows = [("subjects", f"{found.subjects:,}"), ("answers", f"{found.answers:,}"),
            ("share of unanimous subjects", _number(found.unanimous)),
            (f"Krippendorff's alpha ({found.level})", _number(found.alpha)),
            ("Fleiss' kappa", _number(found.fleiss) if found.fleiss is not None else f"none: {found.fleiss_reason}"),
            ("mean IoU of matched boxes", _number(found.mean_iou)), ("F1 at IoU 0.5", _number(found.f1))]  # fmt: skip
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


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>"]
    for row in rows:
        cells = (f"{each:.4g}" if isinstance(each, float) else str(each) for each in row)
        lines.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
