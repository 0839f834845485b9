"""Read it as batches: of numpy arrays, of tensors, and with columns that a function adds to a frame."""

import sys

import numpy as np
from petastorm import TransformSpec, make_batch_reader
from petastorm.pytorch import BatchedDataLoader, DataLoader


def add_pair(frame):
    frame["pair"] = [np.array([number, number + 1]) for number in frame["id"]]
    return frame


def read(dataset_url):
    with make_batch_reader(dataset_url, schema_fields=["id", "value1", "value2"]) as reader:
        for view in reader:
            print(f"id: {view.id} value1: {view.value1} value2: {view.value2}")
    with DataLoader(make_batch_reader(dataset_url)) as loader:
        print(next(iter(loader))["id"].shape)
    spec = TransformSpec(add_pair, edit_fields=[("pair", np.int64, (2,), False)], removed_fields=["value2"])
    reader = make_batch_reader(dataset_url, reader_pool_type="dummy", transform_spec=spec)
    with BatchedDataLoader(reader, batch_size=4) as loader:
        for batch in loader:
            print(sorted(batch), tuple(batch["pair"].shape))


if __name__ == "__main__":
    read(sys.argv[1])
