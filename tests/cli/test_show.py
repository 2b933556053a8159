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
    in_triton = (
        run("show lstm --kernel --target gpu").out,
        run("show lstm --kernel --backward --target gpu").out,
    )
    assert ["def forward(" in in_triton[0], "def backward(" in in_triton[1]] == [True, True]
    assert "@triton.jit" in in_triton[0] and "tl.dot(" in in_triton[0]
    assert run("show lstm --kernel --target tpu").code == 2
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
