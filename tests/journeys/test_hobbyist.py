"""A hobbyist has little data and wants something that talks, writes or translates tonight."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import Call

pytestmark = pytest.mark.usefixtures("short_talks")

SMALL = ("--hidden", "8", "--embedding", "8")
FIVE_LINES = """\
I love deep learning.
You love deep water.
I love long walks by the sea.
We love deep learning, too.
They walk by the deep sea.
"""


def test_five_lines_train_something(call: Call) -> None:
    Path("poem.txt").write_text(FIVE_LINES)
    code, out, err = call(
        "train", "generate", "poem.txt", "--epochs", "2", "--hidden", "8", "--embedding", "8"
    )
    assert code == 0 and "Saved in runs/generate-poem" in out, err
    assert "only" in out + err  # it says that this is little
    code, out, err = call("predict", "runs/generate-poem", "I love deep")
    assert code == 0 and out.strip(), err


def test_one_bad_line_does_not_stop_a_chatbot(call: Call) -> None:
    pairs = [f"hello {k}\tgood day {k}" for k in range(20)]
    Path("talk.tsv").write_text("\n".join([*pairs[:3], "a line without a tab", *pairs[3:]]) + "\n")
    train = ["train", "chat", "talk.tsv", *SMALL, "--epochs", "1", "--max-tokens", "8"]
    code, _, err = call(*train)
    assert code == 2 and "line 4" in err and "--skip-bad" in err
    code, out, err = call(*train, "--skip-bad")
    assert code == 0 and "Saved in runs/chat-talk" in out, err
    code, out, err = call("chat", "runs/chat-talk", stdin="hello 3\n/help\n/foo\n")
    assert code == 0 and out.strip(), err


def test_progress_in_a_pipe_is_short(tmp_path: Path) -> None:
    (tmp_path / "poem.txt").write_text(FIVE_LINES * 10)
    train = ["train", "generate", "poem.txt", *SMALL, "--epochs", "30", "--save", "model"]
    done = subprocess.run(
        [sys.executable, "-m", "elman", *train],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) <= 20, done.stderr
