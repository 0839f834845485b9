"""The server's answers: pages and rows as JSON, pictures, parts of files, and the front end itself."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from lakehouse.errors import EntityNotFoundError, PetrelError, one_line
from lakehouse.lake import Lake
from lakehouse.sql.held_rows import Filter, HeldRows
from lakehouse.viewing import pages
from lakehouse.viewing.annotating import Annotator
from lakehouse.viewing.answers import REGIONS, REGIONS_OF_ONE, answers_of
from lakehouse.viewing.built import FRONT
from lakehouse.viewing.media import CHUNK_BYTES, LARGEST_RANGE, SHOWN, RangeError, moments, part_of, spectrogram
from lakehouse.viewing.pieces import piece_of
from lakehouse.viewing.places import Place, Places
from lakehouse.viewing.previews import Previews
from lakehouse.viewing.rejects import rejected_bytes
from lakehouse.viewing.saved import SavedViews
from lakehouse.viewing.selections import Selections

PAGE_ROWS = 500
"""Rows of one page at most."""
NOT_KEPT = {"cache-control": "no-store"}
"""Of what comes from the lake: what is erased there must not stay in the folders of a browser."""


def make_app(lake: Lake, folder: Path, *, actor: str = "", first: str | None = None) -> Starlette:
    """Return what answers the browser.

    `state.lock` is held by whoever asks the lake's engine.

    Args:
        lake: An opened lake.
        folder: Where small pictures are kept.
        actor: Who answers, with `--annotate`; "": nothing can be written.
        first: What will be asked first, which is asked at once, while the browser opens; None: nothing.
    """
    answers = _Answers(lake, folder, actor)
    if first is not None:
        threading.Thread(target=answers.ask_ahead, args=(first,), name="petrel-view-first", daemon=True).start()
    app = Starlette(routes=answers.routes(), exception_handlers={PetrelError: _told})
    app.state.lock = answers.lock
    return app


class _Answers:
    def __init__(self, lake: Lake, folder: Path, actor: str) -> None:
        self._lake, self.lock = lake, threading.Lock()
        self._places = Places(lake, self.lock)
        self._previews = Previews(lake.config, self._places, folder)
        self._selections = Selections(lake, self.lock)
        self._places.gone.tell(lambda _: self._selections.forget())
        self._views = SavedViews(str(lake.home))
        self._annotator = Annotator(lake, actor) if actor else None

    def ask_ahead(self, text: str) -> None:
        """Ask a question, and for what it takes long to get ready, before somebody waits for it."""
        # What is wrong with it is told to who asks it.
        with contextlib.suppress(PetrelError):
            if not text:
                self._first({})
            with self.lock:
                pages.about(self._lake)
            self._selections.of(text)

    def routes(self) -> list[Route]:
        """Return what is answered at which path."""
        asked: dict[str, Callable[[Mapping[str, Any]], object]] = {
            "/api/about": self._about, "/api/first": self._first, "/api/rows": self._rows,
            "/api/facets": self._facets,
            "/api/answers": self._said, "/api/entity": self._entity,
            "/api/datasets": self._of_lake(pages.datasets_page),
            "/api/dataset": self._of_lake(pages.dataset_page, "name"),
            "/api/evaluations": self._of_lake(pages.evaluations_page),
            "/api/evaluation": self._of_lake(pages.evaluation_page, "id"),
            "/api/diff": self._of_lake(pages.diff_page, "old", "new"),
            "/api/rejected": self._of_lake(pages.rejected_page), "/api/quality": self._of_lake(pages.quality_page),
            "/api/rejected_bytes": self._of_lake(rejected_bytes, "id"),
            "/api/disagreements": self._of_lake(pages.disagreements_page, "question"), "/api/views": self._views.answer,
            "/api/frames": self._frames, "/api/annotate": self._annotate, "/api/forget": self._forget,
        }  # fmt: skip
        return [
            *(Route(path, _answering(answer), methods=["POST"]) for path, answer in asked.items()),
            Route("/preview/{entity_id}", self._preview), Route("/media/{entity_id}", self._media),
            Route("/spectrogram/{entity_id}", self._spectrogram), Route("/", _front), Route("/{name}", _front),
        ]  # fmt: skip

    def _about(self, _: Mapping[str, Any]) -> object:
        with self.lock:
            found = pages.about(self._lake)
        return found | {"annotate": None if self._annotator is None else self._annotator.actor}

    def _first(self, _: Mapping[str, Any]) -> object:
        """Return how the rows of everything begin, long before the others and what was measured are there."""
        self._places.gone.erased()  # forgets it, if anything was
        total, rows = self._selections.begin()
        self._places.find([str(each["entity_id"]) for each in rows])
        return {"total": total, "columns": {}, "rows": [_slim(row) for row in rows]}

    def _rows(self, asked: Mapping[str, Any]) -> object:
        rows = self._held(asked)
        filters = _filters(asked)
        page = rows.page(
            filters, order=_text(asked, "column"), descending=bool(asked.get("descending")),
            offset=int(asked.get("offset") or 0), limit=min(PAGE_ROWS, int(asked.get("limit") or PAGE_ROWS)),
        )
        # Their pictures are asked for next, one by one, and a place costs as much as those of all of them.
        self._places.find([str(each["entity_id"]) for each in page])
        told = {"total": rows.count(filters), "columns": rows.kinds, "rows": [_slim(row) for row in page]}
        return told | ({"note": rows.note} if rows.note else {})

    def _facets(self, asked: Mapping[str, Any]) -> object:
        rows = self._held(asked)
        return [asdict(each) for each in rows.facets(_filters(asked), columns=asked.get("columns"))]

    def _held(self, asked: Mapping[str, Any]) -> HeldRows:
        self._places.gone.erased()  # forgets what is held, if anything was
        return self._selections.of(_text(asked, "sql"), _text(asked, "order"))

    def _said(self, asked: Mapping[str, Any]) -> object:
        erased = self._places.gone.erased()
        ids = [str(each) for each in asked.get("ids") or []][:PAGE_ROWS]
        most = REGIONS_OF_ONE if len(ids) == 1 else REGIONS
        return answers_of(self._lake, self.lock, [each for each in ids if each not in erased], most=most)

    def _frames(self, asked: Mapping[str, Any]) -> object:
        return moments(self._places, self._places.of(_text(asked, "id")), self._lake.config)

    def _entity(self, asked: Mapping[str, Any]) -> object:
        name = _text(asked, "id")
        if name in self._places.gone.erased():
            self._places.of(name)  # raises, and says that it was
        with self.lock:
            return pages.entity_page(self._lake, name)

    def _of_lake(self, page: Callable[..., object], *names: str) -> Callable[[Mapping[str, Any]], object]:
        def answer(asked: Mapping[str, Any]) -> object:
            with self.lock:
                return page(self._lake, *(_text(asked, name) for name in names))

        return answer

    def _annotate(self, asked: Mapping[str, Any]) -> object:
        if self._annotator is None:
            raise PetrelError("this server writes nothing; start it with --annotate --actor human:YOU")
        with self.lock:
            written = self._annotator.say(asked)
        self._selections.forget()
        return written

    def _forget(self, _: Mapping[str, Any]) -> object:
        self._selections.forget()
        return {}

    async def _preview(self, request: Request) -> Response:
        preview, picture = await run_in_threadpool(self._previews.of, request.path_params["entity_id"])
        told = asdict(preview)
        # JSON of ASCII alone is a header, but for one control character that JSON leaves as it is.
        said = json.dumps(told).replace("\x7f", "\\u007f")
        headers = {"x-petrel-preview": said} | NOT_KEPT
        return Response(picture, media_type=preview.picture_type or "application/octet-stream", headers=headers)

    async def _media(self, request: Request) -> Response:
        place = await run_in_threadpool(self._places.of, request.path_params["entity_id"])
        is_made = place.media_type.startswith("image/") and place.media_type not in SHOWN
        if place.is_stored and place.size_bytes > LARGEST_RANGE and "range" not in request.headers and not is_made:
            return self._streamed(place)
        part = await run_in_threadpool(part_of, self._lake, self._places, place, request.headers.get("range"))
        headers = {"accept-ranges": "bytes" if place.is_stored else "none"} | NOT_KEPT
        if part.media_type == "application/octet-stream":
            headers["content-disposition"] = "attachment"
        if not part.is_whole:
            last = part.start + len(part.data) - 1
            headers["content-range"] = f"bytes {part.start}-{last}/{part.size}"
        return Response(part.data, 200 if part.is_whole else 206, headers, part.media_type)

    def _streamed(self, place: Place) -> Response:
        """Return all bytes of a large file, of which a few are in memory at a time; they are compared with nothing."""
        uri, size = str(place.place).rpartition("#")[0], place.size_bytes
        headers = {"accept-ranges": "bytes", "content-length": str(size)} | NOT_KEPT
        if place.media_type not in SHOWN:
            headers["content-disposition"] = "attachment"
        pieces = (
            piece_of(self._lake.home, uri, start, min(CHUNK_BYTES, size - start))
            for start in range(0, size, CHUNK_BYTES)
        )
        media_type = place.media_type if place.media_type in SHOWN else "application/octet-stream"
        return StreamingResponse(pieces, headers=headers, media_type=media_type)

    async def _spectrogram(self, request: Request) -> Response:
        place = await run_in_threadpool(self._places.of, request.path_params["entity_id"])
        picture = await run_in_threadpool(spectrogram, self._places, place, self._lake.config)
        return Response(picture, media_type="image/png", headers=NOT_KEPT)


async def _front(request: Request) -> Response:
    # Names are compared with what is there, so none can lead out of the folder.
    name = request.path_params.get("name", "index.html")
    if name not in {each.name for each in FRONT.iterdir() if each.is_file()}:
        return Response("no such page", 404, media_type="text/plain")
    return FileResponse(FRONT / name, headers={"cache-control": "no-cache"})


async def _told(_: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, EntityNotFoundError) else 416 if isinstance(error, RangeError) else 400
    return Response(one_line(error, limit=1000), status, media_type="text/plain")


def _answering(answer: Callable[[Mapping[str, Any]], object]) -> Callable[[Request], Any]:
    async def respond(request: Request) -> Response:
        try:
            asked = json.loads(await request.body() or b"{}")
            if not isinstance(asked, dict):
                return JSONResponse({"error": "expected one JSON object"}, 400)
            _check_texts(asked)
            return JSONResponse(await run_in_threadpool(answer, asked), headers=NOT_KEPT)
        except (PetrelError, ValueError, TypeError, OverflowError, RecursionError) as error:
            status = 404 if isinstance(error, EntityNotFoundError) else 400
            return JSONResponse({"error": one_line(error, limit=1000), "kind": type(error).__name__}, status)

    return respond


def _check_texts(value: object) -> None:
    """Refuse texts that no table has and no answer could repeat: with NUL, or half of a pair of surrogates."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a text with NUL in it names nothing here")
        value.encode()
    elif isinstance(value, dict):
        for name, each in value.items():
            _check_texts(name)
            _check_texts(each)
    elif isinstance(value, list):
        for each in value:
            _check_texts(each)


def _slim(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _text(asked: Mapping[str, Any], name: str) -> str:
    value = asked.get(name, "")
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected text")
    return value


def _filters(asked: Mapping[str, Any]) -> dict[str, Filter]:
    given = asked.get("filters") or {}
    if not isinstance(given, dict):
        raise TypeError("filters: expected an object of columns")
    odd = [str(name) for name, each in given.items() if not isinstance(each, dict)]
    if odd:
        raise TypeError(f"filters: expected an object for column {odd[0]}")
    odd = [str(name) for name, each in given.items() if not isinstance(each.get("values") or [], list)]
    if odd:
        raise TypeError(f"filters: expected a list of values for column {odd[0]}")
    return {str(name): Filter(
        low=each.get("low"), high=each.get("high"), closed=bool(each.get("closed")),
        values=tuple(each.get("values") or ()),
    ) for name, each in given.items()}  # fmt: skip
