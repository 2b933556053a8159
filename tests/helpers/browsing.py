"""A browser for tests of pages: Debian's Chromium, with a microphone that hears a file."""

import contextlib
import shutil
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

CHROMIUM: Final = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
SIZES: Final = (360, 800, 2000)
PATIENCE_SECONDS: Final = 15.0
NAMELESS: Final = """[...document.querySelectorAll("input, textarea, select, button")]
    .filter(e => e.offsetParent && !(e.labels?.length || e.ariaLabel || e.textContent.trim()))
    .map(e => e.outerHTML)"""


def write_wav(path: Path, samples: Any, rate: int) -> Path:
    """Write samples from -1 to 1 as 16-bit PCM."""
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, len(samples), "NONE", ""))
        out.writeframes(np.round(32767 * np.clip(samples, -1, 1)).astype("<i2").tobytes())
    return path


@contextlib.contextmanager
def browser(heard: Path) -> Iterator[Any]:
    """Start a browser whose microphone hears a recording over and over. Skips where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="the tests of pages need playwright")
    if CHROMIUM is None:
        pytest.skip("the tests of pages need Chromium (apt-get install chromium)")
    flags = ["--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream"]
    flags += ["--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={heard}"]
    with api.sync_playwright() as play:
        running = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        try:
            yield running
        finally:
            running.close()


class Visit:
    """A page of the studio that is open, and what it must not do: write to the console, or ask elsewhere."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.told: list[str] = []
        page.on("console", lambda message: self.told.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.told.append(f"error: {error}"))
        page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(self.url):
            self.told.append(f"asked for {request.url}")

    def to(self, place: str) -> None:
        """Go to a view as a link does that is opened anew."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}/#/{place}")

    def text(self, selector: str) -> str:
        """Return the text of the first element, once it is there."""
        found: str = self.page.locator(selector).first.inner_text()
        return found

    def until(self, condition: str) -> None:
        """Wait until an expression of the page is true. Playwright's own way would need eval, which the
        policy of the page forbids."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.page.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"this has not come true: {condition}; said: {self.told}"
            self.page.wait_for_timeout(30)

    def check(self) -> None:
        """Fail if the page has said something, is wider than its window at any size, or has a field or button
        that a screen reader can't name."""
        assert self.page.evaluate(NAMELESS) == []
        for width in SIZES:
            self.page.set_viewport_size({"width": width, "height": 900})
            over = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert over <= 0, f"at {width} pixels the page is {over} too wide"
        assert not self.told, self.told
