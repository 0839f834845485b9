"""The process that opens videos for the lake: FFmpeg in it may crash, hang or eat memory, and harms nobody else.

It answers one request after the other, from stdin to stdout, and ends with stdin, or after a minute without a request.
A request is a head (JSON, its length in four bytes before it) and the bytes of a video; an answer is a head and the
pixels of the frames that were asked for.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import queue
import resource
import signal
import sys
import threading
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lakehouse.media.video_cut import frame_numbers, size_of
from loaders.decoding.verdict import DecodeError, open_video, video_header
from loaders.errors import FormatError

IDLE_S = 60.0
LENGTH = 4
LIBRARY, MEMORY = "needs_library", "too_much_memory"
_MIB = 1 << 20


def sampled_frames(frames: int, keys: npt.NDArray[np.int64], most: int) -> list[int]:
    """Return at most so many frames, increasing, evenly spread from the first on.

    Each is moved back to the last one before it that can be decoded without others, if that is none of those before.
    """
    count = min(most, frames)
    found: list[int] = []
    for number in (np.arange(count) * frames // count).tolist():
        place = int(np.searchsorted(keys, number, side="right")) - 1
        key = int(keys[place]) if place >= 0 else 0
        found.append(key if key > (found[-1] if found else -1) else number)
    return found


def reduced(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return height and width made smaller, in their proportions, so that no side is longer; never larger."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the head of the answer to a request, and the pixels: see `lakehouse.media.contained.look`."""
    try:
        with open_video(data, max_pixels=request["max_pixels"], max_frames=request["max_frames"]) as video:
            header = dataclasses.asdict(video_header(video))
            rate = header["frame_rate"]
            header["frame_rate"] = None if rate is None else [rate.numerator, rate.denominator]
            numbers: list[int] = []
            if request["want"] == "end":
                video.check_end()
            elif request["want"] == "middle":
                numbers = [len(video) // 2]
            elif request["want"] == "sample":
                numbers = sampled_frames(len(video), video.keys, request["most"])
            elif request["want"] == "times":
                return {"header": header, "times": video.times.tolist()}, b""
            elif request["want"] == "cut":
                numbers = frame_numbers(request["cut"], video.times, float(video.times[-1]) + video.last_s)
            if not numbers:
                return {"header": header}, b""
            size = size_of(request["cut"]) if request["want"] == "cut" else reduced(video.size, request["longest"])
            pixels = video.decode(numbers, size=size)
            return {"header": header, "times": video.times[numbers].tolist(), "shape": pixels.shape}, pixels.tobytes()
    except DecodeError as error:
        # Threads and buffers that could not be had are no fault of the file.
        is_short = getattr(error.__cause__, "errno", None) in (errno.EAGAIN, errno.ENOMEM)
        rule = MEMORY if is_short or isinstance(error.__cause__, MemoryError) else error.rule
        return {"rule": rule, "reason": str(error)}, b""
    except FormatError as error:
        return {"rule": LIBRARY, "reason": str(error)}, b""
    except MemoryError:
        return {"rule": MEMORY, "reason": "decoding it takes more memory than it may"}, b""


def main() -> None:
    """Answer requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What libraries print must not stand among the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _limit_memory(int(sys.argv[1]) * _MIB)
    requests: queue.Queue[tuple[dict[str, Any], bytes]] = queue.Queue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, requests), daemon=True).start()
    while True:
        try:
            request, data = requests.get(timeout=IDLE_S)
        except queue.Empty:
            os._exit(0)
        head, pixels = answer(request, data)
        text = json.dumps(head).encode()
        out.write(len(text).to_bytes(LENGTH, "big") + text)
        out.write(pixels)
        out.flush()


def _receive(source: BinaryIO, requests: queue.Queue[tuple[dict[str, Any], bytes]]) -> None:
    """Put requests into the queue; end the process where they end, whatever it does."""
    while True:
        length = source.read(LENGTH)
        if len(length) < LENGTH:
            os._exit(0)
        try:
            head = json.loads(source.read(int.from_bytes(length, "big")))
            requests.put((head, source.read(head["size"])))
        except MemoryError:
            requests.put(({"want": "nothing", "max_pixels": 1, "max_frames": 1}, b""))


def _limit_memory(most: int) -> None:
    """Let this process grow by so many bytes, beyond what the libraries take; only Linux says what that is."""
    with suppress(ImportError):
        import av  # noqa: F401
    if sys.platform != "linux":
        return
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[5]) * resource.getpagesize()
    # Of memory that is its own and may be written: room that allocators reserve for threads does not count.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = now + most
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
