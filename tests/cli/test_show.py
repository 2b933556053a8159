"""`elman show`: a cell's equations, gradients and kernels, of every cell and of one in a file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import elman
from command_line import Run
from elman.engine.cpu import host

SOURCE = """import torch
from elman import cell

@cell(gates='a', state='h')
def Mine(x, u, s):
    return """


@pytest.mark.parametrize("name", elman.cells.CELLS)
def test_every_cell(run: Run, name: str) -> None:
    done = run(f"show {name}")
    assert done.code == 0
    assert "-> h" in done.out
    assert r"\begin{align*}" in done.out
    parts = json.loads(run(f"show {name} --json").out)
    assert parts["program"] in done.out
    assert parts["latex"] == run(f"show {name} --latex").out.strip()


def test_gradients_and_kernels(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "da.i = " in run("show lstm --backward").out
    forward, backward = run("show lstm --kernel").out, run("show lstm --kernel --backward").out
    assert "void @run(ptr %a)" in forward and "void @run(ptr %a)" in backward
    assert forward != backward
    monkeypatch.setenv("ELMAN_CPU", "off")
    for cached in (host.host, host.vector):
        cached.cache_clear()
    done = run("show lstm --kernel")
    for cached in (host.host, host.vector):
        cached.cache_clear()
    assert done.code == 2 and "no kernel can be compiled here: ELMAN_CPU=off" in done.err


def test_without_a_name_the_cells_and_their_papers(run: Run) -> None:
    done = run("show")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == list(elman.cells.CELLS)
    assert "1990" in done.out
    assert list(json.loads(run("show --json").out)) == list(elman.cells.CELLS)


def test_a_cell_in_a_file(run: Run, refused: Callable[..., None]) -> None:
    file = Path("mine.py")
    file.write_text(f"{SOURCE}torch.tanh(x.a + u.a) + s.h\n")
    assert "h = tanh(x.a + u.a) + s.h" in run("show mine.py:Mine").out
    refused("show mine.py:Yours", "declares no cell 'Yours'")
    refused("show mine.py:cell", "declares no cell 'cell'")
    file.write_text(f"{SOURCE}torch.softmax(x.a, 0)\n")
    refused("show mine.py:Mine", "mine.py, line 6: softmax is not a primitive")
    file.write_text("1 / 0")
    refused("show mine.py:Mine", "mine.py can't be run: ZeroDivisionError: division by zero")


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
