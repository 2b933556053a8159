"""`FILE.py:NAME`: a cell of a file, whatever the file does, and everything else that a name may be."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import Run

SOURCE = """import torch
from elman import cell

@cell(gates='a', state='h')
def Mine(x, u, s):
    return """


@pytest.mark.parametrize("name", ["lstn", "nowhere:Mine", ":", "", "lstm:"])
def test_a_cell_that_there_is_not(refused: Callable[..., None], name: str) -> None:
    refused(f"show '{name}'", f"there is no cell {name!r}: there are elman, ")


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "import sys; sys.exit()",
            "mine.py ends the program (with exit code None) instead of declaring cells",
        ),
        ("import os; os._exit(0)", "mine.py ends the program (with exit code 0) instead of declaring cells"),
        ("raise SystemExit('done')", "mine.py ends the program (with exit code done)"),
        ("raise KeyboardInterrupt", "mine.py can't be run: KeyboardInterrupt: without a message"),
        ("raise ValueError('one\\ntwo')", "mine.py can't be run: ValueError: one"),
        ("input('name? ')", "mine.py can't be run: EOFError"),
        ("def f(): f()\nf()", "mine.py can't be run: RecursionError"),
        ("import nothing_of_that_name", "mine.py can't be run: ModuleNotFoundError"),
        ("def :", "mine.py can't be run: SyntaxError: invalid syntax"),
        ("'\xe9'".encode("latin-1"), "mine.py can't be run: SyntaxError"),
        (b"x = 1\0", "mine.py can't be run: SyntaxError"),
        (b"", "mine.py declares no cell 'Mine'"),
        ("Mine = 3", "mine.py declares no cell 'Mine'"),
        (f"{SOURCE}Mine.equations(x, u, s)\n", "mine.py, line 6: cell Mine calls itself without end"),
    ],
)
def test_a_file_that_does_something_else(
    refused: Callable[..., None], source: str | bytes, sentence: str
) -> None:
    Path("mine.py").write_bytes(source if isinstance(source, bytes) else source.encode())
    refused("show mine.py:Mine", sentence)


def test_what_a_file_prints_is_not_the_result(run: Run) -> None:
    Path("mine.py").write_text(f"print('loading')\n{SOURCE}x.a + u.a\n")
    done = run("show mine.py:Mine --json")
    assert json.loads(done.out)["name"] == "Mine" and done.err == "loading"


def test_a_file_that_there_is_not(refused: Callable[..., None]) -> None:
    Path("folder.py").mkdir()
    refused(
        "show nowhere.py:Mine",
        "nowhere.py does not exist: name a file of Python that declares the cell 'Mine'",
    )
    refused("show folder.py:Mine", "folder.py is a folder")
    refused("show mine.py", "which cell of mine.py? Name it, as in mine.py:Mine")


def test_a_model_of_a_cell_of_a_file(run: Run) -> None:
    """The file is gone when the model answers: the folder has its equations."""
    file = Path("mine.py")
    file.write_text(f"{SOURCE}torch.tanh(x.a + u.a) + 0.5 * s.h\n")
    train = "train classify {reviews.csv} --text review --label stars --epochs 1 --hidden 4 --save m"
    assert run(f"{train} --cell mine.py:Mine").code == 0
    file.unlink()
    assert run("predict m 'the film was good'").code == 0
    assert "h = tanh(x.a + u.a) + 0.5 * s.h" in Path("m/README.md").read_text()
    done = run(f"{train} --set cell=mine.py:Mine --force")
    assert done.code == 2 and "mine.py does not exist" in done.err


@pytest.mark.parametrize(
    ("equation", "sentence"),
    [
        ("torch.tanh(u.a)", "cell 'Mine' never lets its input x reach its output h"),
        ("torch.softmax(x.a, 0)", "mine.py, line 6: softmax is not a primitive"),
    ],
)
def test_a_cell_that_no_task_can_use(refused: Callable[..., None], equation: str, sentence: str) -> None:
    Path("mine.py").write_text(f"{SOURCE}{equation}\n")
    refused("train generate {text.txt} --cell mine.py:Mine --epochs 1", sentence)
