"""LitData: `optimize`, files -> chunks of 64 MB. Run by a Python that has `litdata`.

    python litdata.py INPUT OUTPUT PROCESSES

It reads each file and writes its bytes and its name into chunks. Nothing is hashed, decoded, checked, measured or
synced to disk; the same bytes twice are two samples.
"""

import json
import os
import sys
from pathlib import Path

# This file is called like the library.
sys.path[:] = [each for each in sys.path if Path(each or ".").resolve() != Path(__file__).resolve().parent]

import litdata  # noqa: E402 - the line above


def sample(path: str) -> dict[str, object]:
    """Return the bytes of a file, and its name."""
    return {"name": os.path.basename(path), "image": Path(path).read_bytes()}


def main() -> None:
    """Run as a program."""
    folder, out, processes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    litdata.optimize(fn=sample, inputs=files, output_dir=str(out), chunk_bytes="64MB", num_workers=processes)
    chunks = list(out.glob("*.bin"))
    written = sum(path.stat().st_size for path in chunks)
    report = {"files": len(files), "written": written, "version": litdata.__version__}
    sys.stdout.write("\n" + json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
