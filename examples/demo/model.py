"""The demo's network: three blocks of convolutions, small enough for two cores.

Names carry the axes: B batch, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from examples.demo.card import Card


class SmallCnn(nn.Module):
    """Convolutions, two poolings and one linear layer; input of any square side from 8 px on."""

    def __init__(self, *, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(channels, width),
            *_block(width, width),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            *_block(2 * width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 4 * width),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.25),
        )
        self.head = nn.Linear(4 * width * 4, classes)

    def forward(self, images_BCHW: torch.Tensor) -> torch.Tensor:
        """Return logits_BK of float images."""
        logits: torch.Tensor = self.head(self.body(images_BCHW))
        return logits


def as_input(images_BCHW: torch.Tensor) -> torch.Tensor:
    """Return uint8 images as float, -1 to 1."""
    return images_BCHW.float().div_(127.5).sub_(1)


def save_weights(model: SmallCnn, path: Path) -> None:
    """Write every parameter and buffer by name."""
    np.savez(path, **{name: value.numpy() for name, value in model.state_dict().items()})


def load_model(card: Card, path: Path) -> SmallCnn:
    """Read what `save_weights` wrote, ready to predict."""
    width = card.settings["width"]
    if not isinstance(width, int):
        raise TypeError(f"{path}: settings.width of the card must be a whole number, found {width!r}")
    model = SmallCnn(channels=card.channels, classes=len(card.classes), width=width)
    with np.load(path, allow_pickle=False) as arrays:
        model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return model.eval()


def _block(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False), nn.BatchNorm2d(channels_out), nn.ReLU()
