"""Read it row by row."""

import sys

import petastorm
from petastorm import make_reader


def read(dataset_url):
    with make_reader(dataset_url) as reader:
        for sample in reader:
            print(f"{sample.id}: {sample.image1.shape} {sample.array_4d.shape}")
    with petastorm.make_reader(dataset_url, schema_fields=["id", "image.*"], num_epochs=2) as reader:
        print(sum(1 for _ in reader), next(iter(reader.schema.fields)))


if __name__ == "__main__":
    read(sys.argv[1])
