"""Train a small network on it: rows become tensors in the reader's workers."""

import argparse

import torch
from petastorm import TransformSpec, make_reader
from petastorm.pytorch import DataLoader, InMemBatchedDataLoader
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, kernel_size=5)
        self.full = nn.Linear(4 * 12 * 12, 10)

    def forward(self, x):
        x = functional.relu(functional.max_pool2d(self.conv(x), 2))
        return functional.log_softmax(self.full(x.flatten(1)), dim=1)


def transform_row(mnist_row):
    image = torch.from_numpy(mnist_row["image"]).float().div(255).sub(0.1307).div(0.3081)
    return {"image": image.reshape(1, 28, 28), "digit": mnist_row["digit"]}


def train(model, device, train_loader, optimizer):
    model.train()
    for row in train_loader:
        data, target = row["image"].to(device), row["digit"].to(device)
        optimizer.zero_grad()
        functional.nll_loss(model(data), target).backward()
        optimizer.step()


def test(model, device, test_loader):
    model.eval()
    correct = count = 0
    with torch.no_grad():
        for row in test_loader:
            data, target = row["image"].to(device), row["digit"].to(device)
            correct += model(data).argmax(1).eq(target).sum().item()
            count += data.shape[0]
    print(f"Test set: Accuracy: {correct}/{count}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset-url", required=True)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--all-epochs", action="store_true", help="test once, after all epochs")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    device = torch.device("cpu")
    model = Net().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.5)
    loop_epochs, reader_epochs = (1, args.epochs) if args.all_epochs else (args.epochs, 1)
    transform = TransformSpec(transform_row, removed_fields=["idx"])
    for _ in range(loop_epochs):
        reader = make_reader(f"{args.dataset_url}/train", num_epochs=reader_epochs, transform_spec=transform,
                             seed=args.seed, shuffle_rows=True)  # fmt: skip
        with DataLoader(reader, batch_size=args.batch_size) as train_loader:
            train(model, device, train_loader, optimizer)
        reader = make_reader(f"{args.dataset_url}/test", num_epochs=reader_epochs, transform_spec=transform)
        with DataLoader(reader, batch_size=1000) as test_loader:
            test(model, device, test_loader)

    reader = make_reader(f"{args.dataset_url}/test", schema_fields=["image", "digit"])
    in_memory = InMemBatchedDataLoader(reader, batch_size=16, num_epochs=2, rows_capacity=64, shuffle=True, seed=1)
    print(f"in memory: {sum(len(batch['digit']) for batch in in_memory)}")


if __name__ == "__main__":
    main()
