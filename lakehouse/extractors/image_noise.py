"""image_noise: how much a picture is grained, apart from what it shows.

Immerkær's estimate (Fast noise variance estimation, CVIU 1996) over luma Y of `ImageView.picture`: with the mask
1 -2 1 / -2 4 -2 / 1 -2 1, which is blind to planes and to straight edges,

    noise = sqrt(pi / 2) / 6 * mean(|mask * Y|) / 255

Pictures of more than 512 px are reduced first, which takes noise away: compare pictures of like size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.view import ImageView


def measure_noise(view: ImageView) -> Mapping[str, Value]:
    """Return the values of `IMAGE_NOISE` for one image.

    Raises:
        RejectedInputError: truncated or undecodable.
    """
    luma = view.luma.astype(np.int32)
    if min(luma.shape) < 3:
        return {}
    down = luma[:-2] - 2 * luma[1:-1] + luma[2:]  # the mask is the product of 1 -2 1 with itself
    found = np.abs(down[:, :-2] - 2 * down[:, 1:-1] + down[:, 2:])
    return {"noise": math.sqrt(math.pi / 2) / 6 * int(found.sum(dtype=np.int64)) / found.size / 255}


IMAGE_NOISE = Extractor(
    name="image_noise",
    version=1,
    media_types=("image/",),
    function=measure_noise,
    dimensions=(
        Dimension(
            "noise",
            "number",
            "Standard deviation of the noise of Y / 255, by Immerkær (1996): 0 none, 0.01 "
            "little, 0.05 much. No value: narrower than 3 px.",
            "1",
        ),
    ),
)
"""Version 1."""
