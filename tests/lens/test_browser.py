"""Reports in a real browser, if there is one: no error in its console, nothing outside the page asked for."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import elman
from elman import lens
from elman.lens.view import View

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium (Debian: apt-get install chromium)")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    layer, x = elman.LSTM(3, 4), torch.randn(6, 2, 3)
    labels = (("the", "movie", "was", "<not>", "good", "!"),) * 2
    view = View(
        layer, x, lambda result: result[0][-1].sum(1), labels={"": labels}, unit="words", cut=lambda n: x[:n]
    )
    path = tmp_path_factory.mktemp("look") / "look.html"
    lens.look(view).save(path)
    return path


def run(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    quiet = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
    )
    assert BROWSER is not None
    home = f"--user-data-dir={page.parent / 'browser'}"
    command = [BROWSER, *quiet, home, *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def test_the_console_is_silent_and_the_page_is_whole(page: Path) -> None:
    done = run(page, "--dump-dom", "--v=0")
    assert "CONSOLE" not in done.stderr
    assert done.stdout.count("<h2>") == page.read_text().count("<h2>") == 7
    assert done.stdout.rstrip().endswith("</html>")


@pytest.mark.parametrize("width", [400, 1400])
def test_no_page_is_wider_than_its_window(page: Path, width: int, tmp_path: Path) -> None:
    # the title of a page can be read from outside
    script = "<script>document.title = document.documentElement.scrollWidth</script>"
    probe = tmp_path / "probe.html"
    probe.write_text(page.read_text().replace("</body>", f"{script}</body>"))
    done = run(probe, f"--window-size={width},900", "--dump-dom")
    shown = int(done.stdout.partition("<title>")[2].partition("</title>")[0])
    assert shown <= max(width, 500)  # the narrowest window that Chromium opens without a screen


def test_a_page_needs_no_network(page: Path) -> None:
    rules = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    policy = f'<meta http-equiv="Content-Security-Policy" content="{rules}">'
    probe = page.parent / "strict.html"
    probe.write_text(page.read_text().replace("<meta charset=utf-8>", f"<meta charset=utf-8>{policy}"))
    assert "Content Security Policy" not in run(probe, "--dump-dom").stderr
    probe.write_text(probe.read_text().replace("<main>", "<main><img src='http://127.0.0.1:9/a.png'>"))
    assert "Content Security Policy" in run(probe, "--dump-dom").stderr  # it would have been said
