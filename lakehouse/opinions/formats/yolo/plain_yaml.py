"""The few forms of YAML that a data.yaml is written in: texts, numbers, lists and mappings, one level below the top.

Strict: what is none of them is an error where it is asked for. A whole YAML is a language, and a dependency.
"""

from __future__ import annotations

import json
import re

from lakehouse.errors import RejectedInputError

Scalar = str | int | float
Value = Scalar | list[Scalar] | dict[Scalar, Scalar] | None

_KEY = re.compile(r"([A-Za-z_][\w.-]*)\s*:(?:\s+(.*))?$")
_ITEM = re.compile(r"-\s+(.*)$")
_ENTRY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^:'"#]+?)\s*:\s+(.*)$""")
_TOKEN = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,:\[\]{}'"]+|[,:\[\]{}])""")
_COMMENT = re.compile(r"""^((?:[^"'#]|"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|(?<=\S)['"#])*?)(?:(?:^|\s)#.*)?$""")


def read_yaml(text: str, wanted: set[str]) -> dict[str, Value]:
    """Return the values of some top-level keys; others are passed over, whatever they hold.

    Raises:
        RejectedInputError: bad_yaml, if one of them is written in another form than these.
    """
    found: dict[str, Value] = {}
    lines = [_without_comment(line) for line in text.removeprefix("\ufeff").splitlines()]
    place = 0
    while place < len(lines):
        line = lines[place]
        place += 1
        match = None if line[:1] in (" ", "\t", "-") else _KEY.match(line)
        if match is None or match[1] not in wanted:
            continue
        block = []
        while place < len(lines) and (not lines[place].strip() or lines[place][0] in " \t-]}"):
            block.append(lines[place].strip())
            place += 1
        if match[1] in found:
            raise RejectedInputError("bad_yaml", f"{match[1]} is there twice")
        found[match[1]] = _value((match[2] or "").strip(), [each for each in block if each], match[1])
    return found


def _value(inline: str, block: list[str], key: str) -> Value:
    if inline.startswith(("[", "{")):
        return _flow(" ".join([inline, *block]), key)
    if inline:
        if block:
            raise RejectedInputError("bad_yaml", f"{key} has a form that is not read: {inline!a:.80}")
        return _scalar(inline, key)
    if not block:
        return None
    if block[0].startswith(("[", "{")):
        return _flow(" ".join(block), key)
    if all(_ITEM.match(each) for each in block):
        return [_scalar(each[1:].strip(), key) for each in block]
    pairs: dict[Scalar, Scalar] = {}
    for each in block:
        match = _ENTRY.match(each)
        if match is None:
            raise RejectedInputError("bad_yaml", f"{key} has a line that is not read: {each!a:.80}")
        _add(pairs, _scalar(match[1], key), _scalar(match[2].strip(), key), key)
    return pairs


def _flow(text: str, key: str) -> Value:
    tokens = [match[1].strip() for match in _TOKEN.finditer(text) if match[1].strip()]
    if "".join(tokens).replace(" ", "") != text.replace(" ", "").replace("\t", ""):
        raise RejectedInputError("bad_yaml", f"{key} has a form that is not read: {text!a:.80}")
    inner, closing = tokens[1:-1], {"[": "]", "{": "}"}[tokens[0]]
    if tokens[-1] != closing or any(each in "[]{}" for each in inner):
        raise RejectedInputError("bad_yaml", f"{key} must be one list or mapping, found {text!a:.80}")
    parts: list[list[str]] = [[]]
    for each in inner:
        parts.append([]) if each == "," else parts[-1].append(each)
    parts = parts[:-1] if not parts[-1] else parts
    if closing == "]":
        if any(len(part) != 1 for part in parts):
            raise RejectedInputError("bad_yaml", f"{key} must be a list of names, found {text!a:.80}")
        return [_scalar(part[0], key) for part in parts]
    pairs: dict[Scalar, Scalar] = {}
    for part in parts:
        if len(part) != 3 or part[1] != ":":
            raise RejectedInputError("bad_yaml", f"{key} must be a mapping, found {text!a:.80}")
        _add(pairs, _scalar(part[0], key), _scalar(part[2], key), key)
    return pairs


def _add(pairs: dict[Scalar, Scalar], name: Scalar, value: Scalar, key: str) -> None:
    if name in pairs:
        raise RejectedInputError("bad_yaml", f"{key} has {name} twice")
    pairs[name] = value


def _scalar(text: str, key: str) -> Scalar:
    if text.startswith('"'):
        try:
            return str(json.loads(text))
        except ValueError as error:
            raise RejectedInputError("bad_yaml", f"{key} has a text that is not read: {text!a:.80}") from error
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text[:1] in ("&", "*", "!", "|", ">", "%", "@", "`", "[", "{") or not text:
        raise RejectedInputError("bad_yaml", f"{key} has a form that is not read: {text!a:.80}")
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return int(text)
    if re.fullmatch(r"[+-]?[0-9]+\.[0-9]*", text):
        return float(text)
    return text


def _without_comment(line: str) -> str:
    match = _COMMENT.match(line)
    return (match[1] if match else line).rstrip()
