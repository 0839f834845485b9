"""What an XML file of Pascal VOC may hold: what we read, what may stand beside it, and what we must not overlook.

An element that we do not read is noted. One that holds geometry, or stands where objects were expected, is no detail:
the file is rejected, because "nothing there" would be another answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.reading.xml_tree import Element

BOX = ("xmin", "ymin", "xmax", "ymax")

READ = {
    "annotation": {"folder", "filename", "size", "object"},
    "size": {"width", "height", "depth"},
    "object": {"name", "pose", "truncated", "difficult", "occluded", "bndbox", "part", "attributes"},
    "part": {"name", "pose", "truncated", "difficult", "occluded", "bndbox", "attributes"},
    "bndbox": set(BOX),
}
"""Element -> the children that are read."""

BESIDE = {"path", "source", "owner", "segmented", "verified"}
"""Children of the root that VOC and its tools write and that say nothing about the picture's content."""

GEOMETRY = {
    "object", "objects", "bndbox", "bndboxes", "box", "boxes", "bbox", "xmin", "ymin", "xmax", "ymax", "polygon",
    "polyline", "polygons", "robndbox", "rbox", "mask", "rle", "segmentation", "points", "point", "keypoints",
    "ellipse", "cuboid", "track", "tracks", "shape", "shapes", "regions", "region", "part",
}
"""Tags, in lower case and without prefix, of elements that say where something is."""

MAX_SHOWN = 5


def check_layout(root: Element) -> dict[str, str]:
    """Return the notes on what stands in a file and is not read.

    Raises:
        RejectedInputError: not_voc, if it is another kind of file; unknown_layout, if geometry stands where we do
            not read it.
    """
    if root.tag != "annotation":
        raise RejectedInputError("not_voc", f"root element is <{root.tag[:80]}>, expected <annotation>{_kind_of(root)}")
    unread = sorted({f"<{tag[:80]}>" for tag in _unread(root)})
    if not unread:
        return {}
    more = f" and {len(unread) - MAX_SHOWN} more" if len(unread) > MAX_SHOWN else ""
    return {"elements_not_read": f"has {', '.join(unread[:MAX_SHOWN])}{more}, which are not read"}


def _unread(root: Element) -> Iterator[str]:
    empty = not root.all("object")
    for child in root.children:
        known = child.tag in READ["annotation"]
        if not known and (_holds_geometry(child) or (empty and child.children and not _beside(child))):
            raise RejectedInputError(
                "unknown_layout",
                f"has <{child.tag[:80]}>, which is not the layout of Pascal VOC (<object> with <bndbox>): "
                "convert the file; it is not taken for an empty one",
            )
        if not known and not _beside(child):
            yield child.tag
    for element in (*root.all("size"), *root.all("object")):
        yield from _unread_in(element)
    if root.attributes.get("filename"):
        raise RejectedInputError("unknown_layout", "states its image as an attribute; Pascal VOC has <filename>")


def _unread_in(element: Element) -> Iterator[str]:
    known = READ[element.tag]
    for name in element.attributes:
        if _plain(name) in {"name", "label", "class", *BOX, "width", "height"}:
            raise RejectedInputError(
                "unknown_layout", f"states {name[:80]} as an attribute of <{element.tag}>; Pascal VOC has elements"
            )
    for child in element.children:
        if child.tag in known:
            if child.tag in READ:
                yield from _unread_in(child)
        elif _plain(child.tag) in known:
            raise RejectedInputError(
                "unknown_layout", f"has <{child.tag[:80]}> in <{element.tag}>; Pascal VOC writes <{_plain(child.tag)}>"
            )
        else:
            yield child.tag


def _holds_geometry(element: Element) -> bool:
    return _plain(element.tag) in GEOMETRY or any(map(_holds_geometry, element.children))


def _beside(element: Element) -> bool:
    return element.tag in BESIDE


def _plain(tag: str) -> str:
    """Return a tag without prefix and case."""
    return tag.rpartition(":")[2].lower()


def _kind_of(root: Element) -> str:
    inside = {child.tag for child in root.children}
    if root.tag == "annotations" and inside & {"image", "track", "meta", "version"}:
        return "; it looks like CVAT's, which is not read: export it as Pascal VOC"
    if root.tag == "annotations" and "annotation" in inside:
        return "; it holds several annotations: give each a file of its own"
    if _plain(root.tag) == "annotation":
        return ": tags are read as Pascal VOC writes them, in lower case and without prefix"
    return ""
