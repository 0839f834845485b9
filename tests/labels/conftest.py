"""The lake of the tests of opinions: a few photos have landed."""

from __future__ import annotations

from tests.opinions.conftest import clock, landed, photos

__all__ = ["clock", "landed", "photos"]
