"""image_pixels: how an image looks. One decode serves every dimension.

All are measured on `ImageView.picture`: the first frame in 8-bit RGB, as stored (no EXIF turn), reduced so that its
longer side is at most 512 px. Y is luma, 0.299 R + 0.587 G + 0.114 B, 0 to 255. Sums are sums of integers, hence exact:
the same pixels give the same digits on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.view import ImageView

_LEVELS = np.arange(256, dtype=np.int64)
_DHASH_SIZE = (9, 8)


def measure_pixels(view: ImageView) -> Mapping[str, Value]:
    """Return the values of `IMAGE_PIXELS` for one image.

    Raises:
        RejectedInputError: truncated or undecodable.
    """
    histogram = view.luma_histogram
    count = int(histogram.sum())
    mean, variance = _mean_variance(int(histogram @ _LEVELS), int(histogram @ _LEVELS**2), count)
    return {
        "brightness": mean / 255,
        "contrast": math.sqrt(variance) / 255,
        "sharpness": sharpness(view.luma),
        "colourfulness": colourfulness(view.pixels),
        "entropy": entropy(histogram),
        "dhash": dhash(view.luma_picture),
    }


def sharpness(luma_HW: npt.NDArray[np.uint8]) -> float | None:
    """Return the variance of the 4-neighbour Laplacian of luma (Pech-Pacheco et al., ICPR 2000).

    Returns:
        0 (flat or linear) to about 1e6 (checkerboard); None for a picture without an inner pixel.
    """
    if min(luma_HW.shape) < 3:
        return None
    y = luma_HW.astype(np.int16)
    laplacian = y[1:-1, :-2] + y[1:-1, 2:]
    laplacian += y[:-2, 1:-1]
    laplacian += y[2:, 1:-1]
    laplacian -= y[1:-1, 1:-1] << 2
    return _mean_variance(*_sums(laplacian), laplacian.size)[1]


def colourfulness(pixels_HWC: npt.NDArray[np.uint8]) -> float:
    """Return Hasler and Süsstrunk's metric M3 (Measuring colourfulness in natural images, SPIE 2003).

    With rg = R - G and yb = (R + G) / 2 - B: `sqrt(var rg + var yb) + 0.3 sqrt(mean rg ** 2 + mean yb ** 2)`.

    Returns:
        0 (grey) over about 33 (moderately) to 109 (extremely colourful) and more.
    """
    red, green, blue = (pixels_HWC[..., band].astype(np.int16) for band in range(3))
    rg = red - green
    red += green
    blue <<= 1
    red -= blue  # twice yb, so that it stays an integer
    rg_mean, rg_variance = _mean_variance(*_sums(rg), rg.size)
    yb_mean, yb_variance = _mean_variance(*_sums(red), red.size)
    return math.sqrt(rg_variance + yb_variance / 4) + 0.3 * math.sqrt(rg_mean**2 + yb_mean**2 / 4)


def entropy(histogram: npt.NDArray[np.int64]) -> float:
    """Return the Shannon entropy of a histogram, in bits, to nine decimals."""
    shares = histogram[histogram > 0] / histogram.sum()
    # Rounded, because the last digit of a logarithm differs between processors.
    return abs(round(float(shares @ np.log2(shares)), 9))


def dhash(luma: Image.Image) -> str:
    """Return the difference hash: is each of 8 x 8 places darker than its right neighbour?

    The picture is shrunk to 9 x 8 by box means; bits are taken row by row, the first one highest.

    Returns:
        64 bits as 16 hex digits. Pictures that look alike differ in few bits.
    """
    small_HW = np.asarray(luma.resize(_DHASH_SIZE, Image.Resampling.BOX))
    return np.packbits(small_HW[:, :-1] < small_HW[:, 1:]).tobytes().hex()


def _sums(values: npt.NDArray[np.int16]) -> tuple[int, int]:
    wide = values.astype(np.int32)
    return int(wide.sum(dtype=np.int64)), int((wide * wide).sum(dtype=np.int64))


def _mean_variance(total: int, squares: int, count: int) -> tuple[float, float]:
    return total / count, (count * squares - total * total) / count**2


IMAGE_PIXELS = Extractor(
    name="image_pixels",
    version=1,
    media_types=("image/",),
    function=measure_pixels,
    dimensions=(
        Dimension("brightness", "number", "Mean of Y / 255: 0 black to 1 white.", "1"),
        Dimension("contrast", "number", "Standard deviation of Y / 255 (RMS contrast): 0 flat to 0.5.", "1"),
        Dimension("sharpness", "number", "Variance of the 4-neighbour Laplacian of Y (Pech-Pacheco et al. 2000): "
                  "0 flat; below about 100 a photo is blurred. Compare pictures of like size. "
                  "No value: narrower than 3 px.", "1"),
        Dimension("colourfulness", "number", "M3 of Hasler and Süsstrunk (2003): 0 grey, 33 moderately, "
                  "109 extremely colourful.", "1"),
        Dimension("entropy", "number", "Shannon entropy of the histogram of Y: 0 flat to 8.", "bits"),
        Dimension("dhash", "text", "Difference hash of Y at 9 x 8: 64 bits as 16 hex digits; near-duplicates "
                  "differ in few bits."),
    ),
)
"""Version 1."""
