"""Mistakes that are found before PyTorch is imported."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from elman.errors import DataError
from elman.tasks import TASKS
from elman.tasks.early import first_look, require_file, require_input

SAVED = Path(__file__).parent / "saved"


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {
        "a.csv": "text,label\ngood film,good\nbad film,bad\n",
        "s.csv": "ds,y\n" + "".join(f"2020-01-{day:02},{day}\n" for day in range(1, 29)),
        "t.txt": "they love deep learning\n" * 9,
        "p.tsv": "un\tone\ndu\ttwo\n",
        "x.de": "eins\nzwei\n",
        "x.en": "one\n",
    }
    for name, text in texts.items():
        Path(name).write_text(text)


GOOD: dict[str, Any] = {
    "classify": ("a.csv", {}),
    "forecast": ("s.csv", {"horizon": 2}),
    "generate": ("t.txt", {}),
    "translate": ("p.tsv", {}),
    "chat": ("p.tsv", {}),
    "transcribe": (".", {}),
}


@pytest.mark.parametrize("task", TASKS)
def test_good_data_pass_and_missing_ones_are_named(task: str) -> None:
    data, options = GOOD[task]
    first_look(task, data, data, options)
    first_look(task, None, None, options)
    with pytest.raises(DataError, match=r"nope\.csv does not exist"):
        first_look(task, "nope.csv", None, options)
    with pytest.raises(DataError, match=r"nope\.csv does not exist"):
        first_look(task, data, "nope.csv", options)
    with pytest.raises(DataError, match=r"nope\.csv does not exist"):
        first_look(task, data, data, options | {"valid": "nope.csv"})


@pytest.mark.parametrize(
    ("task", "data", "test", "options", "sentence"),
    [
        ("classify", "a.csv", None, {"label": "stars"}, "no column 'stars'"),
        ("classify", "a.csv", "s.csv", {}, "s.csv has no column 'text'"),
        ("forecast", "s.csv", None, {"value": "sold"}, "no column 'sold'"),
        ("forecast", "s.csv", "a.csv", {}, "a.csv has no column 'ds'"),
        ("forecast", "s.csv", None, {"future": ["rain"]}, "no column 'rain'"),
        ("generate", "s.csv", None, {}, "no column 'text'"),
        ("generate", "a.csv", None, {"text": "body"}, "no column 'body'"),
        ("translate", ("x.de", "x.en"), None, {}, "2 lines"),
        ("translate", "p.tsv", "t.txt", {}, "has no tabs"),
        ("translate", "p.tsv", "p.tsv", {"valid": ("x.de", "nope.en")}, "nope.en does not exist"),
        ("chat", "t.txt", None, {}, "line 1"),
        ("transcribe", None, None, {"phrases": "nope.txt"}, "nope.txt does not exist"),
    ],
)
def test_what_can_not_be_read_is_said(task: str, data: Any, test: Any, options: Any, sentence: str) -> None:
    with pytest.raises(DataError) as error:
        first_look(task, data, test, options)
    assert sentence in str(error.value)


def test_an_input_is_a_text_or_a_file_that_exists() -> None:
    for text in ("-", "a.csv", "The movie was not good", "x" * 5000, "good.", "a\0b"):
        require_input("classify", text)
    with pytest.raises(DataError, match=r"there is no file 'b\.csv'"):
        require_input("chat", "b.csv")
    for task in ("classify", "forecast", "transcribe"):
        with pytest.raises(DataError, match=r"b\.csv does not exist; did you mean '[as]\.csv'\?"):
            require_input(task, "b.csv")
    require_input("transcribe", ".")
    for name in ("-", "hf:user/name", "a.csv"):
        require_file(name)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("predict nomodel text", "there is no model at nomodel"),
        ("evaluate nomodel a.csv", "there is no model at nomodel"),
        ("look nomodel text", "there is no model at nomodel"),
        ("generate nomodel", "there is no model at nomodel"),
        ("chat nomodel", "there is no model at nomodel"),
        ("dictate nomodel", "there is no model at nomodel"),
        (f"predict {SAVED}/classify b.csv", "b.csv does not exist"),
        (f"predict {SAVED}/forecast --output no/x", "no/x can't be written"),
        (f"evaluate {SAVED}/forecast b.csv", "b.csv does not exist"),
        (f"look {SAVED}/chat b.csv", "there is no file 'b.csv'"),
        ("show nofile.py:Mine", "nofile.py does not exist"),
        ("train classify a.csv --save /proc/x", "/proc/x can't be written"),
        ("train classify a.csv --label stars", "no column 'stars'"),
        ("train classify a.csv --test b.csv", "b.csv does not exist"),
        ("train forecast s.csv --horizon 2 --value sold", "no column 'sold'"),
        ("train generate b.txt", "b.txt does not exist"),
        ("train translate x.de x.en", "2 lines"),
        ("train chat b.tsv", "b.tsv does not exist"),
        ("train transcribe nofolder", "nofolder does not exist"),
        ("tune classify b.csv --minutes 1", "b.csv does not exist"),
        ("tune translate x.de x.en --minutes 1", "2 lines"),
    ],
)
def test_a_mistake_does_not_wait_for_torch(line: str, sentence: str) -> None:
    program = (
        f"import sys, atexit; sys.argv = ['elman', *{line.split()!r}]\n"
        "atexit.register(lambda: print('torch' in sys.modules))\n"
        "from elman.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert sentence in done.stderr
    assert (done.returncode != 0, done.stdout) == (True, "False\n")
    assert not Path("runs").exists()
