"""Encoded videos into frames, by FFmpeg (PyAV): which frames there are, when they are shown, and their pixels.

    with open_video(raw) as video:
        len(video), video.times                             # 250, float64 (250,), seconds from the first frame
        video.decode(range(0, 250, 10), size=(112, 112))    # uint8 (25, 112, 112, 3)

Frames are counted from 0 in the order in which they are shown, and are the same whichever way they are reached: frame 7
alone has the pixels that it has in a run from 0 to 9. They stand upright: turned as the file's display matrix says.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from loaders.axes import Array, Floats, Ints, Octets
from loaders.decoding.limits import MAX_PIXELS, MAX_VIDEO_BYTES, MAX_VIDEO_FRAMES
from loaders.decoding.video_layout import container_of, is_cut
from loaders.errors import DecodeError, FormatError

DECODERS = frozenset((
    "av1", "ffv1", "h264", "hevc", "libdav1d", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "prores", "rawvideo",
    "vp8", "vp9",
))  # fmt: skip
"""FFmpeg's decoders that are used; no other one is ever reached."""

_DEMUXERS = {"mp4": "mov", "mov": "mov", "matroska": "matroska", "webm": "matroska", "avi": "avi"}
_VP8_SHOWN = 0x10
_DISPLAY_MATRIX = "DISPLAYMATRIX"


class Video:
    """A video that is open: see `open_video`.

    Attributes:
        container: mp4, mov, matroska, webm or avi.
        opened: PyAV's container.
        stream: PyAV's stream of pictures in it.
        times: When each frame is shown, s from the first; float64, (frames,).
        keys: Frames that can be decoded without others, increasing; int64.
    """

    def __init__(self, opened: Any, stream: Any, container: str, *, max_pixels: int, max_frames: int) -> None:
        self.container, self.opened, self.stream = container, opened, stream
        self._context, self._max_pixels = stream.codec_context, max_pixels
        self._packets = _packets(opened, stream, max_frames)
        shown = [at for at, packet in enumerate(self._packets) if _is_shown(packet, self._context.name)]
        if not shown:
            raise DecodeError("the video has no frame")
        # What has no times of showing, AVI with frames that were moved among them, is counted as it comes out.
        self._is_counted = (container == "avi" and self._context.has_b_frames) or any(
            self._packets[at].pts is None for at in shown
        )
        order = shown if self._is_counted else sorted(shown, key=lambda at: int(self._packets[at].pts))
        self._order = order
        self._pts = list(range(len(order))) if self._is_counted else [int(self._packets[at].pts) for at in order]
        unit = _frame_s(stream) if self._is_counted else float(stream.time_base)
        self.times: Floats = (np.array(self._pts, dtype=np.float64) - self._pts[0]) * unit
        self.keys: Ints = np.flatnonzero([self._packets[at].is_keyframe for at in order])

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._order)

    @property
    def last_s(self) -> float:
        """How long the last frame is shown, s; 0 where nothing tells."""
        ticks = 0 if self._is_counted else self._packets[self._order[-1]].duration
        return float(ticks * self.stream.time_base) if ticks else _frame_s(self.stream)

    @cached_property
    def first(self) -> Any:
        """PyAV's first frame: it tells what the header may leave out.

        Raises:
            DecodeError: If it cannot be decoded.
        """
        return next(self._decoded([0]))[1]

    def check_end(self) -> None:
        """Decode the last frame, and what it needs.

        Raises:
            DecodeError: If it cannot be decoded.
        """
        for _, frame in self._decoded([len(self) - 1]):
            self._check_size(frame)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame as it is shown."""
        sides = self.first.height, self.first.width
        return sides[::-1] if _turn(self.first)[0] else sides

    def decode(self, frames: Sequence[int], *, size: tuple[int, int] | None = None) -> Octets:
        """Return frames, upright, as RGB; uint8, (n, height, width, 3).

        Colours are by the matrix that the stream states, BT.601 where it states none; samples of more than 8 bits are
        reduced to 8. A resized frame is made from the stored one in one step, bicubic.

        Args:
            frames: Numbers of frames, in any order, also more than once.
            size: Height and width; None: those of the first frame, `Video.size`.

        Raises:
            DecodeError: If a frame is damaged, or there is no such frame.
        """
        wanted = [int(each) for each in frames]
        if wanted and not 0 <= min(wanted) <= max(wanted) < len(self):
            raise DecodeError(f"frames {min(wanted)} to {max(wanted)} are asked of a video of {len(self)}")
        height, width = self.size if size is None else size
        if height * width * 3 * len(wanted) > MAX_VIDEO_BYTES:
            raise DecodeError(
                f"{len(wanted):,} frames of {height} x {width} are more than {MAX_VIDEO_BYTES:,} bytes; take fewer or "
                "smaller ones: decoders={...: VideoClip(...)} or VideoFrames(...)",
                rule="too_long",
            )
        out = np.empty((len(wanted), height, width, 3), np.uint8)
        places: dict[int, list[int]] = {}
        for place, number in enumerate(wanted):
            places.setdefault(number, []).append(place)
        for number, frame in self._decoded(sorted(places)):
            out[places[number]] = self._pixels(frame, height, width)
        return out

    def _decoded(self, wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Yield (number, frame) of these frames; runs between two keys that hold none of them are not decoded.

        Raises:
            DecodeError: If one of them does not come out.
        """
        keys = [0] if self._is_counted or not len(self.keys) else self.keys.tolist()
        runs: dict[int, set[int]] = {}
        for number in wanted:
            runs.setdefault(max(0, bisect_right(keys, number) - 1), set()).add(number)
        for place, missing in runs.items():
            yield from self._run(keys[place], missing)
            # A key of a stream that is refreshed bit by bit is not whole before later frames: go further back.
            while missing and place:
                place //= 2
                yield from self._run(keys[place] if place else 0, missing)
            if missing:
                raise DecodeError(f"frame {min(missing)} of {len(self)} cannot be decoded: the video is damaged")

    def _run(self, start: int, missing: set[int]) -> Iterator[tuple[int, Any]]:
        """Yield those of the missing frames that come out when decoding begins here, and take them out of the set."""
        counted = 0
        self._context.flush_buffers()
        # Frames that stand before a key and after it in the file belong to the run of the key before.
        for packet in (*self._packets[self._order[start] if start else 0 :], None):
            for frame in self._outcome(packet):
                number = counted if self._is_counted else self._number(frame.pts)
                counted += 1
                if number in missing and not frame.is_corrupt:
                    missing.remove(number)
                    yield number, frame
            if not missing:
                return

    def _outcome(self, packet: Any) -> list[Any]:
        with _ffmpeg_errors():
            found: list[Any] = self._context.decode(packet)
            return found

    def _number(self, pts: int | None) -> int:
        place = -1 if pts is None else bisect_right(self._pts, pts) - 1
        return place if place >= 0 and self._pts[place] == pts else -1

    def _pixels(self, frame: Any, height: int, width: int) -> Array:
        self._check_size(frame)
        is_swapped, is_mirrored, is_upturned = _turn(frame)
        stored = (width, height) if is_swapped else (height, width)
        with _ffmpeg_errors():
            pixels: Array = frame.to_ndarray(
                format="rgb24", width=stored[1], height=stored[0], interpolation="BICUBIC", threads=1
            )
        upright = pixels.transpose(1, 0, 2) if is_swapped else pixels
        return upright[:: -1 if is_upturned else 1, :: -1 if is_mirrored else 1]

    def _check_size(self, frame: Any) -> None:
        if frame.width * frame.height > self._max_pixels:
            raise DecodeError(f"a frame of {frame.width} x {frame.height} pixels", rule="too_many_pixels")


@contextmanager
def open_video(
    raw: bytes | memoryview, *, max_pixels: int = MAX_PIXELS, max_frames: int = MAX_VIDEO_FRAMES
) -> Iterator[Video]:
    """Open a video; its packets are read, no frame is decoded yet.

    Args:
        raw: The file: MP4, MOV, Matroska, WebM or AVI.
        max_pixels: A video with larger frames is refused.
        max_frames: A video with more frames is refused.

    Raises:
        DecodeError: If it is no video, cut off (`truncated`), of a coding that is not read (`unsupported_codec`),
            without a picture (`no_video`) or too large (`too_many_pixels`, `too_many_frames`).
        FormatError: If PyAV is not installed.
    """
    av = _library()
    container = container_of(raw)
    if container is None:
        raise DecodeError("no video: its first bytes are of no container that is read")
    if is_cut(raw, container):
        raise DecodeError("the video is cut off: its last part is missing", rule="truncated")
    # Files name others, by address or path; none is ever opened.
    options = {"max_pixels": str(max_pixels), "protocol_whitelist": "none", "err_detect": "explode", "threads": "1"}
    with _ffmpeg_errors():
        opened = av.open(io.BytesIO(raw), format=_DEMUXERS[container], options=options, metadata_errors="replace")
    with opened:
        with _ffmpeg_errors():
            stream = _stream(opened, max_pixels)
            video = Video(opened, stream, container, max_pixels=max_pixels, max_frames=max_frames)
        yield video


def decoder_of() -> str:
    """Return the versions of the libraries that pixels of frames hang on.

    Raises:
        FormatError: If PyAV is not installed.
    """
    found = _library().library_versions
    return ", ".join(f"{name} {'.'.join(map(str, found[name]))}" for name in ("libavcodec", "libswscale"))


def decode_video(raw: bytes | memoryview, *, max_pixels: int = MAX_PIXELS) -> Octets:
    """Return all frames of a video; uint8, (frames, height, width, 3).

    Raises:
        DecodeError, FormatError: As for `open_video` and `Video.decode`.
    """
    with open_video(raw, max_pixels=max_pixels) as video:
        return video.decode(range(len(video)))


def _stream(opened: Any, max_pixels: int) -> Any:
    """Return the stream of pictures, checked; a cover picture of a recording is none."""
    streams = [each for each in opened.streams.video if "ATTACHED_PIC" not in str(each.disposition).upper()]
    if not streams:
        raise DecodeError("the file holds no moving picture", rule="no_video")
    context = streams[0].codec_context
    if context is None or context.name not in DECODERS:
        name = "of no known name" if context is None else context.name
        raise DecodeError(f"the coding {name} is not one of {', '.join(sorted(DECODERS))}", rule="unsupported_codec")
    if context.width * context.height > max_pixels:
        text = f"{context.width}x{context.height} pixels are more than max_pixels={max_pixels:,}"
        raise DecodeError(text, rule="too_many_pixels")
    context.thread_count = 1  # the reader's threads are enough
    return streams[0]


def _packets(opened: Any, stream: Any, max_frames: int) -> list[Any]:
    found = []
    for packet in opened.demux(stream):
        if packet.size:
            found.append(packet)
        if len(found) > max_frames:
            raise DecodeError(f"the video has more than {max_frames:,} frames", rule="too_many_frames")
    return found


def _is_shown(packet: Any, decoder: str) -> bool:
    """Whether a packet becomes a frame: not what an edit list cuts off, nor a frame of VP8 that others refer to."""
    return not packet.is_discard and (decoder != "vp8" or bool(bytes(packet)[0] & _VP8_SHOWN))


def _frame_s(stream: Any) -> float:
    rate = stream.average_rate or stream.guessed_rate
    return float(1 / rate) if rate else 0.0


def _turn(frame: Any) -> tuple[bool, bool, bool]:
    """Return whether rows become columns, then left is right, then top is bottom, so that a frame stands upright.

    Other angles than quarter turns are not turned.
    """
    for data in frame.side_data:
        if data.type.name == _DISPLAY_MATRIX:
            # a b 0 / c d 0 / x y 1 as 16.16 numbers: (p, q) is shown at (a p + c q, b p + d q).
            a, b, _, c, d = np.frombuffer(bytes(data), "<i4", 5).tolist()
            if not (b or c):
                return False, a < 0, d < 0
            if not (a or d):
                return True, c < 0, b < 0
    return False, False, False


@contextmanager
def _ffmpeg_errors() -> Iterator[None]:
    """Run a block that calls FFmpeg: whatever it raises is a DecodeError."""
    try:
        yield
    except (DecodeError, FormatError):
        raise
    except Exception as error:  # of hostile bytes FFmpeg and its binding raise whatever they run into
        text = str(error) or type(error).__name__
        raise DecodeError(f"no video, or a damaged one: {text}") from error


def _library() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise FormatError("codec video needs PyAV; pip install 'petrel-lakehouse[video]'") from error
    av.logging.set_level(None)
    module: ModuleType = av
    return module
