"""From a file of COCO to one answer about each of its pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.errors import IngestError, RejectedInputError
from lakehouse.opinions.formats.coco.document import Category, Document, Record, integer_id, read_document, side
from lakehouse.opinions.formats.coco.options import CocoOptions
from lakehouse.opinions.formats.coco.panoptic import panoptic_regions, png_folder
from lakehouse.opinions.formats.coco.regions import READ, region_of
from lakehouse.opinions.formats.common import reject
from lakehouse.opinions.formats.format import WHOLE, Piece
from lakehouse.opinions.reading.answer import Answer, Frame, Item, Note, Region
from lakehouse.opinions.reading.values import check_text

MAX_SHOWN = 5


def read_coco(path: Path, part: str, options: CocoOptions) -> Iterator[Item]:
    """Give one answer (or reject) for each picture of a file, in its order, of captions one for each caption.

    Raises:
        IngestError: If the file cannot be read as COCO, or results name pictures that the ground truth lacks.
    """
    return read_coco_piece(path, part, options, WHOLE)


def read_coco_piece(path: Path, part: str, options: CocoOptions, piece: Piece) -> Iterator[Item]:
    """Give the items of some of the pictures of a file: every task parses all of it, which is the smaller work.

    Raises:
        IngestError: As `read_coco`.
    """
    file = path / part if part else path
    document = read_document(file)
    task = options.task or document.task()
    if document.is_list:
        truth = _ground_truth(file, options)
        _check_known(file, document, truth, options)
        document = Document(truth.images, document.annotations, truth.categories, is_list=True)
    yield from _Reader(file, document, task, options, piece).items()


@dataclass(slots=True)
class _Reader:
    file: Path
    document: Document
    task: str
    options: CocoOptions
    piece: Piece
    unread: set[str] = field(default_factory=set)
    unnamed: int = 0
    segments: int = 0
    listed: dict[int, Record] = field(default_factory=dict)
    named: dict[str, int] = field(default_factory=dict)
    again: int = 0

    def items(self) -> Iterator[Item]:
        by_image: dict[int, list[Record]] = {}
        for number, each in enumerate(self.document.annotations, start=1):
            try:
                by_image.setdefault(integer_id(each, "image_id"), []).append(each)
            except RejectedInputError as error:
                if self.piece.is_first:
                    yield reject(f"{self.file.name}: annotation {number}", error.rule, error.reason, json.dumps(each))
        mine = self.piece.share(len(self.document.images))
        for place, image in enumerate(self.document.images):
            # What comes before tells whether a picture is there again; and what nobody asks for is told at the end.
            yield from self._of_image(image, by_image, is_mine=place in mine)
        if not self.piece.is_last:
            return
        for image_id, others in by_image.items():
            for record in others:
                yield reject(
                    f"{self.file.name}: annotation {record.get('id')}", "unknown_image",
                    f"image_id {image_id} is in no `images`", json.dumps(record),
                )  # fmt: skip
        yield from self._notes()

    def _of_image(self, image: Record, by_image: dict[int, list[Record]], *, is_mine: bool) -> Iterator[Item]:
        where = f"{self.file.name}: image {image.get('id')}"
        raw = None
        try:
            number = integer_id(image, "id")
            if self.listed.get(number) == image:
                self.again += 1
                return
            records = by_image.pop(number, None)
            self._check_new(number, image, len(records or ()))
            if records is None and self.document.is_list and self.options.unlisted == "unknown":
                self.unnamed += 1
                return
            records = records or []
            self._look_over(records)
            if not is_mine:
                return
            if self.options.keep_raw:
                raw = json.dumps({"image": image, "annotations": records}, ensure_ascii=False)
            if self.task == "captions":
                yield from self._captions(image, records, where)
            else:
                yield self._answer(image, records, where, raw)
        except RejectedInputError as error:
            if is_mine:
                yield reject(where, error.rule, error.reason, raw or json.dumps(image))

    def _look_over(self, records: list[Record]) -> None:
        """Take note of what of these annotations is not read."""
        if self.task not in ("captions", "panoptic"):
            for record in records:
                self.unread.update(record.keys() - READ)
                with_points = self.task != "instances" and bool(record.get("keypoints"))
                self.segments += with_points and bool(record.get("segmentation"))

    def _check_new(self, number: int, image: Record, annotations: int) -> None:
        """Refuse a picture that is listed before: of two lists of what is in it neither corrects the other."""
        name = image.get("file_name")
        first = self.listed.get(number)
        if first is not None:
            reason = f"id {number} is that of {first.get('file_name')!a:.80} before; this entry is not read"
            raise RejectedInputError("duplicate_image", reason)
        self.listed[number] = image
        if isinstance(name, str) and self.named.setdefault(name, number) != number:
            reason = (
                f"{name!a:.80} is image {self.named[name]} before; this entry and its {annotations} annotations are "
                "not read: give each picture one id"
            )
            raise RejectedInputError("duplicate_image", reason)

    def _answer(self, image: Record, records: list[Record], where: str, raw: str | None) -> Answer:
        frame = Frame(side(image, "width"), side(image, "height"))
        notes: dict[str, str] = {}
        if self.task == "panoptic":
            folder = png_folder(self.file, self.options.png_folder)
            regions = panoptic_regions(records, folder, self.document.categories, notes)
        else:
            regions = self._regions(records, frame, notes)
        return self.options.answer(
            _name(image), tuple(regions), frame=frame, notes=notes, raw_json=raw, where=where
        )  # fmt: skip

    def _regions(self, records: list[Record], frame: Frame, notes: dict[str, str]) -> list[Region]:
        found = []
        for record in records:
            try:
                region = region_of(record, self.document.categories, frame, points=self.task != "instances")
            except RejectedInputError as error:
                raise RejectedInputError(error.rule, f"annotation {record.get('id')}: {error.reason}") from error
            found.append(region)
            if region.kind == "mask" and (region.mask_w, region.mask_h) != (frame.width, frame.height) and frame.width:
                notes["mask_of_other_size"] = (
                    f"a mask has {region.mask_w} x {region.mask_h} px, its picture {frame.width} x {frame.height} px"
                )
        return found

    def _captions(self, image: Record, records: list[Record], where: str) -> Iterator[Answer]:
        # Several captions of one picture stand beside one another, each in a slot of its own.
        for place, record in enumerate(records, start=1):
            text = record.get("caption")
            if not isinstance(text, str) or not text:
                raise RejectedInputError("no_value", f"annotation {record.get('id')} has no caption")
            slot = f"{self.options.slot}{place}"
            yield self.options.answer(
                _name(image), check_text(text, "caption"), value_kind="text", slot=slot, where=where
            )  # fmt: skip

    def _notes(self) -> Iterator[Note]:
        if self.again:
            yield Note(self.file.name, "listed_again", f"{self.again:,} `images` are there again, word for word")
        if self.unnamed:
            text = (
                f"{self.unnamed:,} pictures of the ground truth are in no result: whether the model saw them nobody "
                "knows; if it did and found nothing: --option unlisted=empty"
            )
            yield Note(self.file.name, "not_in_results", text)
        if self.segments:
            text = (
                f"{self.segments:,} annotations have a segmentation beside their keypoints, which is kept in raw_json "
                "alone; import it as another question: --option task=instances"
            )
            yield Note(self.file.name, "segmentation_not_read", text)
        if self.unread:
            keys = ", ".join(sorted(self.unread)[:MAX_SHOWN])
            yield Note(self.file.name, "keys_not_read", f"keys of annotations that are not read: {keys}")


def _name(image: Record) -> str:
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise RejectedInputError("no_filename", "names no file_name")
    return check_text(name, "file_name")


def _ground_truth(file: Path, options: CocoOptions) -> Document:
    if not options.ground_truth:
        raise IngestError(
            f"{file}: is a list of results, which names no pictures; give the file that does: --option "
            "ground_truth=instances.json"
        )
    return read_document(Path(options.ground_truth))


def _check_known(file: Path, results: Document, truth: Document, options: CocoOptions) -> None:
    for key, known in (("image_id", _ids(truth.images)), ("category_id", truth.categories)):
        if options.task == "captions" and key == "category_id":
            continue
        strange = {each.get(key) for each in results.annotations if _unknown(each.get(key), known)}
        if strange:
            shown = ", ".join(sorted(map(str, strange))[:MAX_SHOWN])
            raise IngestError(
                f"{file}: {len(strange):,} of its {key}s are not in {options.ground_truth}, such as {shown}: these are "
                "results for other pictures, or the ground truth was numbered anew"
            )


def _unknown(value: object, known: Mapping[int, Category] | set[int]) -> bool:
    return type(value) is not int or value not in known


def _ids(images: list[Record]) -> set[int]:
    return {each["id"] for each in images if type(each.get("id")) is int}
