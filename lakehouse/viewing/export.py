"""The same pages as a folder of files: no server, nothing from a network, opened from disk or put into a bucket."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lakehouse.errors import ConfigError, EntityNotFoundError, one_line
from lakehouse.lake import Lake
from lakehouse.progress import progress
from lakehouse.viewing import pages
from lakehouse.viewing.answers import answers_of
from lakehouse.viewing.built import FRONT, POLICY
from lakehouse.viewing.places import Places
from lakehouse.viewing.previews import Preview, Previews
from lakehouse.viewing.selections import Selections

MOST_ROWS = 20_000
"""Samples of one export: the page holds all of their rows in memory."""
MOST_IN_ONE_FILE = 1_000
MOST_STORIES = 500
"""Samples that have their whole story: it is a dozen questions each, and an export of all would take an hour."""
AT_ONCE = 500

ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}


def export_pages(lake: Lake, folder: Path, *, sql: str = "") -> str:
    """Write a folder that shows the rows of a question: index.html, data, and a small picture of each; or one file.

    It is whole or not there. The pages show facts about the lake (ids, sources, answers and who gave them) to
    whoever gets the folder.

    Args:
        lake: An opened lake.
        folder: A folder that does not exist yet; a name that ends with .html: one file with everything in it.
        sql: One SELECT with a column entity_id; "": everything.

    Returns:
        What was written, in a sentence; also how many rows are left out since their entity was erased, or never was.

    Raises:
        ConfigError: If the folder exists, or there are no rows or too many, or none of them is of an entity that is
            there.
        QueryRefusedError, QueryFailedError: As `Selections.of`.
    """
    if folder.exists():
        raise ConfigError(f"{folder} is there already; give a name that is free")
    rows = Selections(lake).of(sql)
    total = rows.count()
    if not 0 < total <= MOST_ROWS:
        raise ConfigError(f"{total:,} rows: static pages hold 1 to {MOST_ROWS:,}; narrow --sql, or add a limit")
    is_file = folder.suffix == ".html"
    if is_file and total > MOST_IN_ONE_FILE:
        raise ConfigError(
            f"{total:,} rows: one file holds {MOST_IN_ONE_FILE:,} at most; give a folder: {folder.with_suffix('')}"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        made = Path(beside) / folder.name
        data = _Writer(lake, made).write(rows.page(limit=total), rows.kinds)
        if is_file:
            made = _one_file(made, data)
        else:
            for name in ("app.js", "app.css"):
                shutil.copyfile(FRONT / name, made / name)
            (made / "index.html").write_text(_index((FRONT / "index.html").read_text()))
            (made / "data.js").write_text(f"window.PETREL={_script_safe(data)};\n")
        size = sum(each.stat().st_size for each in [made, *made.rglob("*")] if each.is_file())
        made.rename(folder)
    problems = sum(bool(each["problem"]) for each in data["previews"].values())
    unseen = f"; {problems:,} of them cannot be shown, and say why" if problems else ""
    opened = folder if is_file else folder / "index.html"
    told = "".join(f"; {note}" for note in data["about"]["notes"])
    return f"{folder}: {len(data['rows']):,} samples, {size / 1e6:,.1f} MB, open {opened}{unseen}{told}"


def page_of(lake: Lake, *, sql: str = "") -> str:
    """Return the pages of a question as one HTML text that needs nothing else: what a notebook shows.

    Raises:
        ConfigError, QueryRefusedError, QueryFailedError: As `export_pages`.
    """
    with tempfile.TemporaryDirectory(dir=lake.scratch) as beside:
        file = Path(beside) / "page.html"
        export_pages(lake, file, sql=sql)
        return file.read_text()


class _Writer:
    def __init__(self, lake: Lake, folder: Path) -> None:
        lock = threading.Lock()
        self._lake, self._lock, self._folder = lake, lock, folder
        self._previews = Previews(lake.config, Places(lake, lock), lake.scratch / "previews")

    def write(self, rows: list[dict[str, Any]], kinds: dict[str, str]) -> dict[str, Any]:
        """Write the pictures and return what the page is told."""
        (self._folder / "media").mkdir(parents=True)
        previews: dict[str, dict[str, Any]] = {}
        missing: dict[str, str] = {}
        files: dict[str, str] = {}
        answers: dict[str, Any] = {}
        entities: dict[str, Any] = {}
        ids = list(dict.fromkeys(str(row["entity_id"]) for row in rows))
        with progress("pages", total=len(ids), unit="samples") as advance:
            for start in range(0, len(ids), AT_ONCE):
                some = ids[start : start + AT_ONCE]
                answers |= answers_of(self._lake, self._lock, some)
                for entity_id in some:
                    try:
                        preview, picture = self._previews.of(entity_id)
                    except EntityNotFoundError as error:
                        missing[entity_id] = one_line(error, limit=160)
                        del answers[entity_id]
                        continue
                    previews[entity_id] = asdict(preview)
                    if picture:
                        files[entity_id] = self._keep(entity_id, preview, picture)
                    if len(entities) < MOST_STORIES:
                        with self._lock:
                            entities[entity_id] = pages.entity_page(self._lake, entity_id)
                    advance(1)
        kept = [row for row in rows if str(row["entity_id"]) in previews]
        notes = [f"{len(rows) - len(kept):,} rows left out: {next(iter(missing.values()))}"] if missing else []
        without = len(previews) - len(entities)
        if without:
            notes.append(f"{without:,} samples after the first {MOST_STORIES:,} have no story: narrow --sql")
        if not kept:
            raise ConfigError(f"nothing to show: {notes[0]}")
        nothing: dict[str, Any] = {"annotate": None, "words": [], "saved": []}
        about = pages.about(self._lake) | nothing | {"is_static": True, "notes": notes}
        slim = [{name: value for name, value in row.items() if value is not None} for row in kept]
        used = {name for row in slim for name in row}
        return {
            "about": about, "columns": {name: kind for name, kind in kinds.items() if name in used}, "rows": slim,
            "previews": previews, "files": files, "answers": answers, "entities": entities, "pages": {},
        }

    def _keep(self, entity_id: str, preview: Preview, picture: bytes) -> str:
        name = f"media/{entity_id}.{ENDINGS[preview.picture_type]}"
        (self._folder / name).write_bytes(picture)
        return name


def _one_file(folder: Path, data: dict[str, Any]) -> Path:
    """Put pictures, scripts and sheet into the page itself; nothing else runs than these scripts, by their hashes."""
    data["files"] = {
        name: f"data:image/{'png' if file.endswith('png') else 'jpeg'};base64,"
        f"{base64.b64encode((folder / file).read_bytes()).decode()}"
        for name, file in data["files"].items()
    }
    scripts = [f"window.PETREL={_script_safe(data)};", (FRONT / "app.js").read_text().replace("</script", "<\\/script")]
    sheet = (FRONT / "app.css").read_text()
    allowed = f"script-src {' '.join(map(_hash_of, scripts))}; style-src {_hash_of(sheet)}"
    policy = f"default-src 'none'; img-src data:; {allowed}; base-uri 'none'; form-action 'none'"
    file = folder.parent / f"{folder.name}.made"
    file.write_text(
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8" />'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}" />'
        '<meta name="viewport" content="width=device-width, initial-scale=1" /><title>Petrel</title>'
        f'<style>{sheet}</style></head><body><div id="app"></div>'
        f"{''.join(f'<script>{each}</script>' for each in scripts)}</body></html>\n"
    )
    return file


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _index(page: str) -> str:
    # A folder has no headers: the page itself says what it may load.
    policy = POLICY.replace("; frame-ancestors 'none'", "")
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}" />'
    page = page.replace('<meta charset="utf-8" />', f'<meta charset="utf-8" />\n    {head}', 1)
    return page.replace('<script src="app.js"', '<script src="data.js" defer></script>\n    <script src="app.js"', 1)


def _script_safe(data: object) -> str:
    # `</script>` and the two line ends that JSON allows and scripts did not, as escapes.
    text = json.dumps(data, ensure_ascii=False)
    for sign, escaped in (("<", "\\u003c"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(sign, escaped)
    return text
