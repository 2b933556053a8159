"""The engine's public words, and the rules of its folders."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import elman.engine

FOLDER = Path(str(elman.engine.__file__)).parent


def test_public_words() -> None:
    assert elman.engine.__all__ == ["Program", "derive", "scan", "trace"]
    program = elman.engine.trace(elman.cells.GRU)
    assert isinstance(program, elman.engine.Program)
    assert isinstance(elman.engine.derive(elman.cells.GRU).backward, elman.engine.Program)


# Each in a process of its own, which begins with PyTorch alone.
FIRST = """
import importlib, os, sys
import torch
for first in ("scan", "cpu.emit.plan"):
    if os.fork() == 0:
        importlib.import_module(f"elman.engine.{first}")
        from elman.engine import derive, scan, trace
        from elman.engine.scan import choose
        sys.exit(not all(map(callable, (derive, scan, trace, choose))))
    if os.wait()[1]:
        sys.exit(first)
"""


def test_whatever_is_imported_first_the_words_are_functions() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", FIRST], check=True)


def imports(path: Path) -> set[str]:
    """The first words of all that a file imports."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module).split(".")[0])
    return modules


@pytest.mark.parametrize("path", sorted((FOLDER / "cpu/emit").glob("*.py")), ids=lambda path: path.stem)
def test_emitters_import_no_tensors(path: Path) -> None:
    assert not imports(path) & {"torch", "numpy", "llvmlite"}
