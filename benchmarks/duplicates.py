"""Near-duplicates among a million pictures: CPU seconds and memory of clustering their hashes.

    python -m benchmarks.duplicates [--pictures 1000000] [--near phash|dhash] [--distance 8]

Hashes are random bits, with 1 % of the pictures planted as near-duplicates (up to 3 bits of one view differ). Beside it
stands what comparing all with all would take, from a slice of it in the same run. Every planted pair must be found.
"""

from __future__ import annotations

import argparse
import logging
import resource
import time

import numpy as np

from lakehouse.datasets.likeness.clusters import clusters_by_dhash, clusters_by_phash
from lakehouse.extractors.image_likeness import VIEWS

SLICE = 20_000
logger = logging.getLogger("benchmarks.duplicates")


def hashes(count: int, views: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return random hashes: uint8, shape (count, views, size), the last hundredth nearly those of the first."""
    found = rng.integers(0, 256, (count, views, size), dtype=np.uint8)
    planted = count // 100
    if planted:
        found[-planted:] = found[:planted]
        for _ in range(3):
            places = rng.integers(0, size, planted)
            found[np.arange(count - planted, count), 0, places] ^= np.uint8(1) << rng.integers(
                0, 8, planted, dtype=np.uint8
            )
    return found


def texts(found: np.ndarray) -> list[str]:
    """Return hashes as dimensions have them: hex."""
    return [row.tobytes().hex() for row in found]


def main() -> None:
    """Measure and print."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--near", choices=("phash", "dhash"), default="phash")
    parser.add_argument("--distance", type=int)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    views = VIEWS if args.near == "phash" else 1
    distance = args.distance if args.distance is not None else {"phash": 8, "dhash": 4}[args.near]
    mine = texts(hashes(args.pictures, views, 8, rng))
    edges = texts(hashes(args.pictures, views, 18, rng)) if args.near == "phash" else []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = clusters_by_phash(mine, edges, distance) if edges else clusters_by_dhash(mine, distance)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    planted = args.pictures // 100
    hits = int((found.of[-planted:] == np.arange(planted)).sum())
    logger.info(
        "%s within %d, %s pictures: %.1f CPU s, %.0f MB more than before (%.0f MB in all), %d of %d planted "
        "found, %d pairs",
        args.near,
        distance,
        f"{args.pictures:,}",
        seconds,
        (peak - before) / 1024,
        peak / 1024,
        hits,
        planted,
        found.pairs,
    )
    some = np.frombuffer(bytes.fromhex("".join(mine[:SLICE])), ">u8").reshape(min(SLICE, args.pictures), -1)
    one, other = some[:1000, 0].astype(np.uint64), some.reshape(-1).astype(np.uint64)
    start = time.process_time()
    for each in one:
        np.nonzero(np.bitwise_count(other ^ each) <= distance)
    alone = (time.process_time() - start) / (len(one) * len(other)) * args.pictures * args.pictures * views
    logger.info("all with all would take %.0f CPU s: %.0f times as long", alone, alone / seconds)


if __name__ == "__main__":
    main()
