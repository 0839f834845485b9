"""Videos are opened in a process of their own, with a deadline and a limit of memory: what harms it is a rejection."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lakehouse.errors import RejectedInputError
from lakehouse.media.limits import VideoLimits
from lakehouse.media.video_cut import Cut
from lakehouse.media.video_process import LENGTH, LIBRARY
from loaders.decoding.verdict import VideoHeader

TIMED_OUT, CRASHED = "timed_out", "undecodable"
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); from lakehouse.media.video_process import main; main()"
)
_PIECE = 1 << 20

Want = Literal["end", "middle", "sample", "times", "cut", "nothing"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found in a video.

    Attributes:
        header: What it is.
        times: When each frame that was asked for is shown, s; float64, (n,).
        frames: These, upright RGB, reduced or resized; uint8, (n, H, W, 3); none where times alone were asked for.
    """

    header: VideoHeader
    times: npt.NDArray[np.float64]
    frames: npt.NDArray[np.uint8]


def look(
    data: bytes, limits: VideoLimits, *, want: Want, most: int = 1, longest: int = 256, cut: Cut | None = None
) -> Seen:
    """Open a video in another process.

    Args:
        data: The file.
        limits: What counts as hostile, `timeout_s` and `memory_mb` among it.
        want: `end`: decode the last frame and return none; `middle`: the frame in the middle; `sample`: frames that are
            evenly spread; `times`: when each frame is shown, and no frame; `cut`: frames of `cut`, as large as they are
            shown or as it says; `nothing`: the header alone, for which the first frame is decoded.
        most: Frames of a sample at most.
        longest: Longer side of frames in the middle, or of a sample, at most.
        cut: See `lakehouse.media.video_cut`.

    Raises:
        RejectedInputError: With one of the rules of `lakehouse.media.video`.
    """
    request = {
        "size": len(data), "want": want, "most": most, "longest": longest, "max_pixels": limits.max_pixels,
        "max_frames": limits.max_frames, "cut": None if cut is None else dict(cut),
    }  # fmt: skip
    with _LOCK:
        head, pixels = _opener(limits.memory_mb).ask(request, data, limits)
    if "rule" in head:
        reason = str(head["reason"])
        later = "; it is looked at again by the next run" if head["rule"] == LIBRARY else ""
        raise RejectedInputError(str(head["rule"]), reason + later)
    found = dict(head["header"])
    found["frame_rate"] = None if found["frame_rate"] is None else Fraction(*found["frame_rate"])
    shape = head.get("shape", (0, 1, 1, 3))
    return Seen(VideoHeader(**found), np.array(head.get("times", ())), np.frombuffer(pixels, np.uint8).reshape(shape))


class _Ended(Exception):
    """The process has ended as it should."""


class _Opener:
    """A process that opens videos, started when first asked and again when it is gone."""

    def __init__(self, memory_mb: int) -> None:
        self.memory_mb = memory_mb
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: Mapping[str, object], data: bytes, limits: VideoLimits) -> tuple[dict[str, Any], bytes]:
        """Return the head of the answer, and pixels.

        Raises:
            RejectedInputError: timed_out, or undecodable where the process died of it.
        """
        deadline = time.monotonic() + limits.timeout_s
        try:
            try:
                return self._answer(self._running(), request, data, deadline, limits)
            except _Ended:  # by itself, as nobody had asked for long
                return self._answer(self._running(), request, data, deadline, limits)
        except BaseException:
            # What it would still answer, to Ctrl-C or short memory here, is of this video, and not of the next.
            self.close()
            raise

    def _answer(
        self, process: subprocess.Popen[bytes], request: Mapping[str, object], data: bytes, deadline: float,
        limits: VideoLimits,
    ) -> tuple[dict[str, Any], bytes]:  # fmt: skip
        text = json.dumps(request).encode()
        assert process.stdin is not None
        try:
            process.stdin.write(len(text).to_bytes(LENGTH, "big") + text)
            process.stdin.write(data)
            process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer says how it ended
        length = int.from_bytes(self._read(process, LENGTH, deadline, limits), "big")
        head = json.loads(self._read(process, length, deadline, limits))
        count = int(np.prod(head.get("shape", (0,))))
        return head, self._read(process, count, deadline, limits)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._process is None:
            path = [each or os.getcwd() for each in sys.path if isinstance(each, str)]
            self._process = subprocess.Popen(
                [sys.executable, "-E", "-P", "-c", BOOT, str(self.memory_mb), json.dumps(path)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={**os.environ, "MALLOC_ARENA_MAX": "2"},
            )  # fmt: skip
        return self._process

    def _read(self, process: subprocess.Popen[bytes], count: int, deadline: float, limits: VideoLimits) -> bytes:
        assert process.stdout is not None
        descriptor, parts, missing = process.stdout.fileno(), [], count
        while missing:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                self.close()
                raise RejectedInputError(TIMED_OUT, f"it took more than {limits.timeout_s:g} s to look into")
            part = os.read(descriptor, min(missing, _PIECE))
            if not part:
                code = process.wait()
                self.close()
                if code == 0:
                    raise _Ended
                how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                raise RejectedInputError(CRASHED, f"the decoder crashed ({how})")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


_LOCK = threading.Lock()
_OPENERS: dict[int, _Opener] = {}
"""Limit of memory, MB -> this process's opener."""


def _forget() -> None:
    """In a process that was forked: the opener is its parent's."""
    global _LOCK
    _LOCK = threading.Lock()
    _OPENERS.clear()


def _opener(memory_mb: int) -> _Opener:
    """Return this process's opener; one of other limits ends."""
    for other in [each for each in _OPENERS if each != memory_mb]:
        _OPENERS.pop(other).close()
    if memory_mb not in _OPENERS:
        _OPENERS[memory_mb] = _Opener(memory_mb)
    return _OPENERS[memory_mb]


def close_openers() -> None:
    """End the process that opens videos for this one; it is started again when it is needed."""
    with _LOCK:
        while _OPENERS:
            _OPENERS.popitem()[1].close()


atexit.register(close_openers)
os.register_at_fork(after_in_child=_forget)
