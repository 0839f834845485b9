"""Read it as tensors."""

import sys

import petastorm.pytorch as petastorm_torch
from petastorm import make_reader
from petastorm.pytorch import DataLoader


def read(dataset_url):
    with DataLoader(make_reader(dataset_url)) as train_loader:
        sample = next(iter(train_loader))
        print(f"one at a time: {sample['id'].shape}")
    with petastorm_torch.DataLoader(make_reader(dataset_url, num_epochs=3), batch_size=4) as train_loader:
        for batch in train_loader:
            print(tuple(batch["image1"].shape), batch["image1"].dtype)


if __name__ == "__main__":
    read(sys.argv[1])
