"""What a storage's client says of a failure, as our errors and without its secrets.

A client's own text quotes the request: its URL may hold a signature, a token or a password. Only the status, the
server's code and the cause in the operating system's words are taken from it.
"""

from __future__ import annotations

import re

from loaders.errors import CorruptionError, ForbiddenError, LoaderError, StorageError

_USER = re.compile(r"(?<=://)[^/@\s'\"]*@")
_QUERY = re.compile(r"(?<=[^\s])\?[^\s'\"<>]*")
_KEYS = re.compile(r"(?i)\b((?:[\w-]*(?:key|token|secret|signature|password|credential)[\w-]*)\s*[=:]\s*)[^\s,;&]+")

_STATUS = re.compile(r"non-2xx status code: ([0-9]{3})(?: ([A-Za-z -]{1,40}))?")
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_REGION = re.compile(r"<Region>([a-z0-9-]{1,32})</Region>")
_SYSTEM = re.compile(r'Os \{\s*code: [0-9]+,\s*kind: \w+,\s*message: "([A-Za-z ]{1,80})"')
_OF_OURS = re.compile(r"(TransientError|StorageError): ([^\n\"]{1,300})")
_SHORT = re.compile(r"Requested ([0-9.]+), got ([0-9.]+)")
_ROLE = re.compile(r"/latest/(?:api/token|meta-data/)")
_NO_KEYS = " where a role of this machine was asked for; is there neither a key in the environment nor a profile?"
_DENIED = ("AccessDenied", "AuthorizationPermissionMismatch")
"""Codes of S3 and Google, and of Azure, that are about one object; others are about the keys."""
_PASSING = {
    "TimedOut": "the server fell silent",
    "Timeout": "the server fell silent",
    "IncompleteBody": "the answer ended early",
    "HttpError": "the connection broke",
    "Got invalid": "the answer was cut, or is not the store's",
}
"""Words of obstore's for what may pass, and ours."""


class TransientError(Exception):
    """A request failed in a way that may pass: 5xx, 429, a timeout, a cut answer. The message holds no secret."""


def without_secrets(text: str) -> str:
    """Return a message or URL without users, queries and what is called a key."""
    return _KEYS.sub(r"\1...", _QUERY.sub("", _USER.sub("", text)))


def failure(error: Exception, place: str) -> Exception:
    """Return what to raise for an error of obstore's that concerns a file.

    Args:
        error: What obstore raised.
        place: The file, for messages.
    """
    text = str(error)
    if isinstance(error, LoaderError | TransientError):
        return error
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"there is no {place}")
    if (ours := _OF_OURS.search(text)) is not None:  # raised by what looks up the keys
        return TransientError(ours[2]) if ours[1] == "TransientError" else StorageError(f"{place}: {ours[2]}")
    if (stated := _STATUS.search(text)) is not None:
        return _answered(int(stated[1]), stated[2] or "", text, place)
    if (short := _SHORT.search(text)) is not None:
        return TransientError(f"the answer was short: bytes {short[2]} came for {short[1]}")
    if type(error).__name__ in ("PanicException", "RustPanic"):
        return StorageError(f"{place}: obstore failed, as it does when a role's endpoint gives no name of a role")
    if "UnknownIssuer" in text or "InvalidCertificate" in text or "invalid peer certificate" in text:
        return StorageError(f"{place}: the certificate of the server is not trusted")
    hint = _NO_KEYS if _ROLE.search(text) else ""
    if (cause := _SYSTEM.search(text)) is not None:
        return TransientError(cause[1] + hint)
    for mark, said in _PASSING.items():
        if mark in text:
            return TransientError(said + hint)
    if "NotPartial" in text or "did not return a partial" in text.lower():
        return StorageError(f"{place}: the server answers a range with the whole file; it does not serve ranges")
    return StorageError(f"{place}: {type(error).__name__}: {without_secrets(text.splitlines()[0] if text else '')}")


def _answered(status: int, reason: str, text: str, place: str) -> Exception:
    code = _CODE.search(text)
    said = f"the server answered {status} {code[1] if code else reason}".rstrip()
    if _ROLE.search(text):
        kind = TransientError if status >= 500 else StorageError
        return kind(f"{place}: {said}{_NO_KEYS}")
    if code is not None and code[1] == "NoSuchBucket":
        return StorageError(f"{place}: there is no such bucket; is its name right, and the endpoint?")
    if status == 404:  # not of the file, which is a FileNotFoundError of obstore's
        return StorageError(f"{place}: there are no keys: whoever was asked for those of a role answered 404")
    if status == 416:
        return CorruptionError(f"{place} is shorter than was published; publish it again", file=place)
    if status in (408, 425, 429) or status >= 500:
        return TransientError(said)
    if (region := _REGION.search(text)) is not None:
        said += f"; the bucket lies in region {region[1]}"
    elif status in (401, 403):
        said += "; are the keys of the environment, profile or role right, and may they do this?"
    elif status // 100 == 3:
        said += "; the folder has moved, give its new address"
    denied = status == 403 and code is not None and code[1] in _DENIED
    return (ForbiddenError if denied else StorageError)(f"{place}: {said}")
