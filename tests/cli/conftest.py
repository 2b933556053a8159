"""Small data, models that `elman train` makes of them, and a call in one line."""

import contextlib
import functools
import io
import math
import random
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import Call, Done, Run, Trained
from elman import cli
from tones import write_words

SENTENCE = "they love deep learning.\n"
SIZE = "--epochs 1 --hidden 8 --embedding 8"
# The call that trains a model of each task, which is then in runs/TASK-DATA.
TRAIN = {
    "classify": "reviews.csv --text review --label stars --epochs 2 --hidden 8",
    "forecast": "sales.csv --horizon 6 --epochs 2 --hidden 8",
    "generate": "text.txt --tokenizer character --epochs 1 --hidden 16 --embedding 8 --bptt 16",
    "translate": f"a.x a.y --valid a.x,a.y {SIZE} --vocabulary 300",
    "chat": f"pairs.tsv {SIZE} --vocabulary 300 --max-tokens 6",
    "transcribe": "recordings.csv --epochs 1 --hidden 8 --live",
}


def _reviews() -> str:
    draw = random.Random(0)
    rows = [
        f"the {thing} was {'not ' * no}{word},{'bad' if (word == 'good') == no else 'good'}"
        for thing in ("film", "plot", "cast", "end", "music")
        for word in ("good", "awful")
        for no in (False, True)
        for _ in range(6)
    ]
    draw.shuffle(rows)
    return "\n".join(["review,stars", *rows])


def _sales() -> str:
    rows = [
        f"{2012 + i // 12}-{i % 12 + 1:02}-01,{50 + i + 9 * math.sin(i * math.pi / 6):.2f}" for i in range(84)
    ]
    return "\n".join(["month,sales", *rows])


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good and bad data for every task."""
    folder = tmp_path_factory.mktemp("data")
    texts = {
        "reviews.csv": _reviews(),
        "sales.csv": _sales(),
        "text.txt": SENTENCE * 100,
        "other.txt": (SENTENCE * 100)[:500],
        "empty.txt": " \n",
        "a.x": "".join(f"un {k} kato.\n" for k in range(40)),
        "a.y": "".join(f"a {k} cat.\n" for k in range(40)),
        "two.x": "eins\nzwei\n",
        "one.y": "one\n",
        "pairs.tsv": "".join(f"hello {k}\tgood day {k}\n" for k in range(20)),
        "lists.jsonl": '{"review": "a film", "stars": ["good", "bad"]}\n',
        "unknown.csv": "review,stars\na film,odd\n",
        "words.csv": "\n".join(["un,en", *(f"un {k} kato,a {k} cat" for k in range(40))]),
        "other.csv": "month,rain\n2013-01-01,3\n2013-02-01,4\n",
        "bad.jsonl": '{"turns": ["a", "b"]}\n{"messages": 3}\n',
        "empty.jsonl": "",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    write_words(folder, 4)
    rows = [f"{path.name},{path.name.split('_')[0]}" for path in sorted(folder.glob("*.wav"))]
    (folder / "recordings.csv").write_text("\n".join(["audio,text", *rows]))
    (folder / "latin.txt").write_bytes("café ".encode("latin-1") * 100)
    return folder


@pytest.fixture(scope="session")
def trained(data: Path) -> Trained:
    """The model of a task, trained by `elman train TASK` when a test first asks for it."""

    @functools.cache
    def train(task: str) -> Path:
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
            patch.chdir(data)
            patch.setattr("elman.tasks.chat.judge.TALK_TURNS", 6)
            patch.setattr(sys, "argv", ["elman", "train", task, *TRAIN[task].split(), "--json"])
            with pytest.raises(SystemExit) as end:
                cli.main()
        assert not end.value.code
        return data / "runs" / f"{task}-{Path(TRAIN[task].split()[0]).stem}"

    return train


@pytest.fixture
def run(call: Call, data: Path, trained: Trained) -> Run:
    """Call `elman LINE` in an empty folder; "{classify}" is a model in it, and "{reviews.csv}" a file."""

    def place(match: re.Match[str]) -> str:
        name = match[1]
        return str(trained(name) if name in TRAIN else data / name)

    def call_line(line: str, stdin: str | bytes | None = None) -> Done:
        arguments = shlex.split(re.sub(r"\{([\w.]+)\}", place, line))
        code, out, err = call(*arguments, stdin=stdin)
        return Done(code, out, " ".join(err.replace("│", " ").split()))

    return call_line


@pytest.fixture
def refused(run: Run) -> Callable[..., None]:
    """Call `elman LINE`, which must fail with a sentence, print no result and leave no file."""

    def call_line(line: str, sentence: str, code: int = 2) -> None:
        before = sorted(Path().iterdir())
        done = run(line)
        assert sentence in done.err
        assert (done.code, done.out) == (code, "")
        assert sorted(Path().iterdir()) == before

    return call_line
