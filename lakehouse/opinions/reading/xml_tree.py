"""XML from outside: no document type, no entities, bounded in size and depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.reading.xml_text import xml_text

MAX_BYTES = 16 << 20
MAX_DEPTH = 64


@dataclass(slots=True)
class Element:
    """One element: its tag, its own text, its attributes and the elements in it, in order."""

    tag: str
    text: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)

    def find(self, tag: str) -> Element | None:
        """Return the child of that tag.

        Raises:
            RejectedInputError: repeated_element, if there are several: nobody could say which one is meant.
        """
        found = self.all(tag)
        if len(found) > 1:
            raise RejectedInputError("repeated_element", f"has {len(found)} <{tag}> in one <{self.tag[:80]}>")
        return found[0] if found else None

    def all(self, tag: str) -> list[Element]:
        """Return the children of that tag."""
        return [child for child in self.children if child.tag == tag]

    def value(self, tag: str) -> str | None:
        """Return the stripped text of the child of that tag; None if there is none or it is empty.

        Raises:
            RejectedInputError: repeated_element, if there are several.
        """
        child = self.find(tag)
        return (child.text.strip() or None) if child else None


def read_xml(data: bytes, *, max_bytes: int = MAX_BYTES) -> Element:
    """Parse a document into a tree.

    Args:
        data: The document.
        max_bytes: Longer ones are refused.

    Raises:
        RejectedInputError: With rule xml_dtd (any document type, so no entity is ever expanded and nothing
            external read), too_long, too_deep, wrong_encoding or malformed.
    """
    if len(data) > max_bytes:
        raise RejectedInputError("too_long", f"has {len(data):,} bytes, at most {max_bytes:,} are read")
    root = Element("")
    open_elements = [root]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(open_elements) > MAX_DEPTH:
            raise RejectedInputError("too_deep", f"nests deeper than {MAX_DEPTH} levels")
        element = Element(tag, attributes=attributes)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_tag: str) -> None:
        open_elements.pop()

    def text(data: str) -> None:
        open_elements[-1].text += data

    def refuse(*_: object) -> int:
        raise RejectedInputError("xml_dtd", "has a document type declaration; entities are not expanded")

    # The text is decoded already: expat knows five encodings and would believe the declaration.
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ExternalEntityRefHandler = refuse
    try:
        parser.Parse(xml_text(data).encode(), True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, RejectedInputError):
            raise
        raise RejectedInputError("malformed", f"is not XML: {error}") from error
    return root.children[0]
