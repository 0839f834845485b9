"""HF datasets: ImageFolder -> Parquet. Run by a Python that has `datasets` and Pillow.

    python hf.py INPUT OUTPUT PROCESSES

It lists the folder, writes an Arrow cache of paths, and Parquet with the bytes in it. Nothing is hashed, decoded,
checked, measured or synced to disk; the same bytes twice are two rows.
"""

import json
import os
import sys
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

import datasets

folder, out, processes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
datasets.disable_progress_bars()
out.mkdir(parents=True)
found = datasets.load_dataset(
    "imagefolder", data_dir=str(folder), split="train", cache_dir=str(out / "cache"), drop_labels=True,
    num_proc=processes,
)  # fmt: skip
found.to_parquet(str(out / "images.parquet"))
written = (out / "images.parquet").stat().st_size
sys.stdout.write(json.dumps({"files": found.num_rows, "written": written, "version": datasets.__version__}) + "\n")
