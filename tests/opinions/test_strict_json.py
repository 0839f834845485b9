"""JSON from outside costs no more time than its length."""

from __future__ import annotations

import time

import pytest

from lakehouse.errors import RejectedInputError
from lakehouse.opinions.reading.strict_json import strict_loads


def test_a_text_that_nobody_closes_is_gone_through_once():
    began = time.process_time()
    with pytest.raises(RejectedInputError, match="is not JSON"):
        strict_loads("[" + "[]," * 70 + '"' + '\\"' * 200_000)
    assert time.process_time() - began < 2  # 0.02 s; tried from each quote it took minutes


def test_brackets_in_texts_are_no_depth_and_those_after_them_are():
    assert strict_loads('["' + '[\\"' * 70 + '"]') == ['["' * 70]
    with pytest.raises(RejectedInputError, match="deeper than 64"):
        strict_loads('["\\\\",' + "[" * 70)
