"""The process that draws an SVG: once its library is loaded it opens no file and no connection, and ends soon.

The renderer itself reads files that a drawing refers to. A limit of no open file at all keeps it from that, whatever
the drawing says and however it says it; the price is fonts, which are files.
"""

from __future__ import annotations

import resource
import sys

_MIB = 1 << 20


def main() -> None:
    """Read an SVG from stdin and write its PNG to stdout; the reason to stderr, and exit code 1, where it has none."""
    seconds, memory_mb = map(int, sys.argv[1:])
    data = sys.stdin.buffer.read()
    import resvg_py

    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, seconds)
    _lower(resource.RLIMIT_DATA, memory_mb * _MIB)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, 0)
    try:
        picture = resvg_py.svg_to_bytes(svg_string=data.decode(), skip_system_fonts=True)
    except (ValueError, MemoryError) as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    sys.stdout.buffer.write(picture)


def _lower(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (most, most))
