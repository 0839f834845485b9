"""A small network on mel spectrograms, trained on what `make_reader` gives.

Legend: N recordings of a batch, L their samples, T windows in time, M mel bands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from loaders import Shuffle, make_reader
from loaders.torch import tensors

WINDOW, STEP, BANDS, WINDOWS = 256, 80, 40, 96
RATE_HZ = 8000
COLUMNS = ("entity_id", "audio", "label_index")


class Features(nn.Module):
    """Log mel energies of recordings, scaled to mean 0 and deviation 1 each."""

    hann: torch.Tensor
    mel: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("hann", torch.hann_window(WINDOW))
        self.register_buffer("mel", _mel_bands())

    def forward(self, sound_NL: torch.Tensor) -> torch.Tensor:
        """Return (N, 1, M, T); recordings are cut or filled with silence to T windows."""
        wanted = STEP * (WINDOWS - 1)
        sound_NL = nn.functional.pad(sound_NL[:, :wanted], (0, max(0, wanted - sound_NL.shape[1])))
        power = torch.stft(sound_NL, WINDOW, STEP, window=self.hann, return_complex=True).abs() ** 2
        log_NMT = torch.log(self.mel @ power + 1e-6)
        mean, deviation = log_NMT.mean((1, 2), keepdim=True), log_NMT.std((1, 2), keepdim=True)
        scaled: torch.Tensor = (log_NMT - mean) / (deviation + 1e-3)
        return scaled[:, None]


def network(classes: int) -> nn.Module:
    """Return the network over features: four convolutions and a mean."""
    layers: list[nn.Module] = []
    for before, after in ((1, 24), (24, 32), (32, 48), (48, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(64, classes))


def fitted(split: Path, classes: int, *, epochs: int, seed: int) -> nn.Module:
    """Train on a split; the same split, epochs, seed and torch give the same weights."""
    torch.manual_seed(seed)
    features, model = Features(), network(classes)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        for batch in batches(split, shuffle=Shuffle(seed=seed + epoch)):
            shown = _masked(features(_moved(batch["audio"][..., 0])))
            loss = nn.functional.cross_entropy(model(shown), batch["label_index"], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
def answers(model: nn.Module, split: Path, classes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield what the model says of each recording of a split, as rows of `record_opinions`."""
    features = Features()
    for batch in batches(split):
        shares = torch.softmax(model(features(batch["audio"][..., 0])), dim=1)
        for entity_id, share, is_pad in zip(batch["entity_id"], shares, batch["is_pad"], strict=True):
            if not is_pad:
                best = int(share.argmax())
                yield {"entity_id": entity_id, "label": classes[best], "confidence": round(float(share[best]), 6)}


def batches(split: Path, *, shuffle: Shuffle | None = None) -> Iterator[dict[str, Any]]:
    """Yield batches of a split, recordings filled with silence to the longest of their batch."""
    with make_reader(split, batch_size=32, columns=COLUMNS, shuffle=shuffle) as reader:
        yield from tensors(reader, ragged={"audio": "pad"})


def _moved(sound_NL: torch.Tensor) -> torch.Tensor:
    """Move recordings in time by up to 50 ms, and change their loudness."""
    shift = int(torch.randint(-RATE_HZ // 20, RATE_HZ // 20 + 1, ()))
    return torch.roll(sound_NL, shift, dims=1) * (0.5 + torch.rand(len(sound_NL), 1))


def _masked(features_NCMT: torch.Tensor) -> torch.Tensor:
    """Hide a few bands and windows, other ones in each batch (SpecAugment, Park et al. 2019)."""
    shown = features_NCMT.clone()
    band, window = int(torch.randint(0, BANDS - 6, ())), int(torch.randint(0, WINDOWS - 12, ()))
    shown[:, :, band : band + 6] = 0
    shown[..., window : window + 12] = 0
    return shown


def _mel_bands() -> torch.Tensor:
    """Return triangles on the mel scale, (M, WINDOW / 2 + 1), from 100 Hz to half the rate."""
    edges = torch.linspace(_mel(100.0), _mel(RATE_HZ / 2), BANDS + 2)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    at = torch.linspace(0, RATE_HZ / 2, WINDOW // 2 + 1)
    low, middle, high = hertz[:-2, None], hertz[1:-1, None], hertz[2:, None]
    return torch.clamp(torch.minimum((at - low) / (middle - low), (high - at) / (high - middle)), min=0)


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)
