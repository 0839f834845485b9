"""A page of Chromium for a module of tests, and what they do on it."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests.conftest import missing

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

ALLOWED = re.compile(r"http://127\.0\.0\.1:|blob:|data:")


@contextmanager
def opened_tab(address: str, *, ready: str = ".tile[href]") -> Iterator[Tab]:
    """Yield a page that failed if a script of data ran, something foreign was asked for, or a script broke.

    Args:
        address: Where it begins.
        ready: What is waited for before it is handed out.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        missing("no Chromium on this machine", required_by="PETREL_REQUIRE_BROWSER")
    from playwright.sync_api import sync_playwright

    broken: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("request", lambda asked: None if ALLOWED.match(asked.url) else broken.append(asked.url))
        page.goto(address)
        page.wait_for_selector(ready)
        yield page
        assert page.evaluate("window.planted") is None
        browser.close()
    assert broken == []


def pixels(tab: Tab, selector: str) -> np.ndarray:
    """Return what is on the screen where an element is: int, (height, width, 3)."""
    with Image.open(io.BytesIO(tab.locator(selector).screenshot())) as shot:
        return np.asarray(shot.convert("RGB")).astype(int)
