"""The pages inside a notebook: an HTML text in a frame of its own, which reaches neither the notebook nor a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from lakehouse.lake import Lake
from lakehouse.viewing.export import page_of

HEIGHT_PX = 640


@dataclass(frozen=True, slots=True)
class Page:
    """What `lake.view()` gives: a notebook shows it, and `html` can be written to a file."""

    html: str = field(repr=False)

    @classmethod
    def of(cls, lake: Lake, sql: str = "") -> Page:
        """Return the pages of a question; see `lakehouse.viewing.export.page_of`."""
        return cls(page_of(lake, sql=sql))

    def _repr_html_(self) -> str:
        # Scripts run, but as of no origin: they can read nothing of the notebook.
        return (
            f'<iframe sandbox="allow-scripts" width="100%" height="{HEIGHT_PX}" style="border: 0" title="Petrel" '
            f'srcdoc="{escape(self.html, quote=True)}"></iframe>'
        )
