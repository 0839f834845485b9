"""text_statistics: how long a text is and what it is made of, whatever its language.

Characters are code points of the text without its mark. Words are runs of letters, digits and underscores (of any
script). Lines are what ends of lines cut it into, a last line without an end among them. Shares are of all characters.
The script of a letter is the first word of its Unicode name: LATIN, CYRILLIC, CJK, HIRAGANA ...

    entropy       Shannon entropy of the characters, bits for each
    compression   bytes that bzip2 makes of the first MiB of the text in UTF-8, by bytes: small means repetitive
"""

from __future__ import annotations

import bz2
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from lakehouse.extractors.extractor import Dimension, Extractor, Value
from lakehouse.media.plain_views import TextView

_WORD = re.compile(r"\w+")
_SAMPLE_BYTES = 1 << 20


def measure_text(view: TextView) -> Mapping[str, Value]:
    """Return the values of `TEXT_STATISTICS` for one text.

    Raises:
        RejectedInputError: If it cannot be read, or is beyond the limits.
    """
    text = view.text
    words = [len(word.group()) for word in _WORD.finditer(text)]
    found: dict[str, Value] = {
        "text_coding": view.coding,
        "text_characters": len(text),
        "text_words": len(words),
        "text_lines": len(text.splitlines()),
    }
    if not text:
        return found
    # Each character is looked at once, however often it stands there.
    counts = Counter(text)
    letters = {each: count for each, count in counts.items() if each.isalpha()}
    sample = text[:_SAMPLE_BYTES].encode()[:_SAMPLE_BYTES]
    found |= {
        "text_letter_share": _share(counts, str.isalpha, len(text)),
        "text_digit_share": _share(counts, str.isdigit, len(text)),
        "text_space_share": _share(counts, str.isspace, len(text)),
        "text_upper_share": _share(counts, str.isupper, len(text)),
        "text_non_ascii_share": _share(counts, lambda each: not each.isascii(), len(text)),
        "text_entropy": _entropy(counts),
        "text_compression": len(bz2.compress(sample)) / len(sample),
    }
    if words:
        found["text_word_length"] = sum(words) / len(words)
    if letters:
        scripts: Counter[str] = Counter()
        for each, count in letters.items():
            scripts[unicodedata.name(each, "UNKNOWN").partition(" ")[0]] += count
        name, most = min(scripts.items(), key=lambda item: (-item[1], item[0]))
        found |= {"text_script": name, "text_script_share": most / sum(letters.values())}
    return found


def _share(counts: Counter[str], fits: Callable[[str], bool], length: int) -> float:
    return sum(count for each, count in counts.items() if fits(each)) / length


def _entropy(counts: Counter[str]) -> float:
    shares = np.array(sorted(counts.values()), dtype=np.float64)
    shares /= shares.sum()
    # Rounded, because the last digit of a logarithm differs between processors.
    return abs(round(float(shares @ np.log2(shares)), 9))


TEXT_STATISTICS = Extractor(
    name="text_statistics",
    version=1,
    media_types=("text/",),
    function=measure_text,
    dimensions=(
        Dimension("text_coding", "text", "What its bytes are in: utf-8, utf-16-le or utf-16-be."),
        Dimension("text_characters", "integer", "Code points, the mark of its coding left out.", "1"),
        Dimension("text_words", "integer", "Runs of letters, digits and underscores.", "1"),
        Dimension("text_lines", "integer", "Lines, a last one without an end among them.", "1"),
        Dimension("text_letter_share", "number", "Share of letters, 0 to 1. No value: no characters.", "1"),
        Dimension("text_digit_share", "number", "Share of digits. No value: no characters.", "1"),
        Dimension("text_space_share", "number", "Share of white space. No value: no characters.", "1"),
        Dimension("text_upper_share", "number", "Share of capital letters. No value: no characters.", "1"),
        Dimension("text_non_ascii_share", "number", "Share of characters beyond ASCII. No value: no characters.", "1"),
        Dimension("text_entropy", "number", "Shannon entropy of the characters: 0 for one character repeated, about "
                  "4.2 for English. No value: no characters.", "bits"),
        Dimension("text_compression", "number", "Size of the first MiB after bzip2, by its size; small for repetitive "
                  "text, above 1 for a few words. No value: no characters.", "1"),
        Dimension("text_word_length", "number", "Mean length of a word, characters. No value: no words.", "1"),
        Dimension("text_script", "text", "Script of most letters, by Unicode's names: LATIN, CYRILLIC, CJK ... No "
                  "value: no letters."),
        Dimension("text_script_share", "number", "Share of the letters that are of this script. No value: no letters.",
                  "1"),
    ),
)
"""Version 1."""
