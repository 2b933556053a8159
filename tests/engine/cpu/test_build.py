"""Kernels on disk: compiled once, damaged, shared and forbidden."""

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import elman
from elman.engine.cpu import build, host
from elman.engine.cpu.cache import CacheWarning
from elman.engine.cpu.emit.ir import Vector, declarations
from elman.engine.cpu.emit.plan import Plan
from elman.engine.cpu.host import Host

ANSWER = """
import torch, elman
torch.manual_seed(0)
layer = elman.LSTM(5, 21, dtype=torch.float64, engine="{engine}")
x = torch.linspace(-2, 2, 4 * 3 * 5, dtype=torch.float64).view(4, 3, 5)
output = layer(x)[0]
output.square().sum().backward()
print(layer.explain(x))
print(*[t.double().sum().item() for t in (output, *[p.grad for p in layer.parameters()])])
"""


def started(engine: str = "auto", **environment: str) -> subprocess.Popen[str]:
    """A Python that runs one LSTM forward and backward."""
    plain = {k: v for k, v in os.environ.items() if k != "ELMAN_CACHE"}
    command = [sys.executable, "-W", "error", "-c", ANSWER.format(engine=engine)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=plain | environment, **pipes)


def answer(process: subprocess.Popen[str]) -> tuple[str, list[float]]:
    """Which engine ran, and its sums."""
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    first, second = out.splitlines()
    return first, [float(number) for number in second.split()]


def here(engine: str) -> tuple[str, list[float]]:
    """The same in this process."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(ANSWER.format(engine=engine), {})
    first, second = out.getvalue().splitlines()
    return first, [float(number) for number in second.split()]


def nothing(name: str = "run") -> Callable[[], str]:
    return lambda: f"define i64 @{name}() {{ ret i64 7 }}\n"


def refuse() -> str:
    raise AssertionError("compiled though it stands in the cache")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path))
    return tmp_path / "kernels"


def test_an_object_is_compiled_once_and_then_loaded(cache: Path) -> None:
    first = build._load("a test", nothing())
    assert first["run"] and "product" not in first
    assert [path.suffix for path in cache.iterdir()] == [".o"]
    assert build._load("a test", refuse)["run"]
    assert build._load("another test", nothing("size"))["size"]
    assert len(list(cache.iterdir())) == 2


def test_an_object_of_other_sources_or_another_processor_is_not_taken(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build._load("a test", nothing())
    monkeypatch.setattr(build, "_sources", lambda: "changed")
    with pytest.raises(AssertionError, match="compiled though"):
        build._load("a test", refuse)
    monkeypatch.undo()
    monkeypatch.setenv("ELMAN_CACHE", str(cache.parent))
    machine = host.target()
    other = Host(
        machine.level, machine.cpu, machine.features + ",+nonsense", machine.width, machine.registers
    )
    monkeypatch.setattr(host, "target", lambda: other)
    with pytest.raises(AssertionError, match="compiled though"):
        build._load("a test", refuse)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "half": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-1],
    "a byte of its code": lambda content: content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
    "a byte of its checksum": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "something else": lambda content: b"a letter to the editor",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_object_is_compiled_anew(damage: str, cache: Path) -> None:
    build._load("a test", nothing())
    path = next(cache.iterdir())
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    with pytest.raises(AssertionError, match="compiled though"):
        build._load("a test", refuse)
    assert build._load("a test", nothing())["run"]
    assert path.read_bytes() == whole
    assert build._load("a test", refuse)["run"]


def test_a_folder_that_cannot_be_written_to_costs_only_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where the folder should be: that stops even root."""
    (tmp_path / "kernels").write_text("in the way")
    for path in (tmp_path, tmp_path / "kernels" / "deeper"):
        monkeypatch.setenv("ELMAN_CACHE", str(path))
        with pytest.warns(CacheWarning, match="kernels is no folder"):
            assert build._load("a test", nothing())["run"]
    assert [path.name for path in tmp_path.iterdir()] == ["kernels"]


def test_an_object_in_a_folder_of_all_is_compiled_anew(cache: Path) -> None:
    build._load("a test", nothing())
    cache.chmod(0o777)
    with pytest.warns(CacheWarning, match="others can write"), pytest.raises(AssertionError, match="though"):
        build._load("a test", refuse)
    assert build._load("a test", nothing())["run"]


def test_two_processes_fill_one_cache_at_once(tmp_path: Path) -> None:
    begin = time.perf_counter()
    found = [answer(p) for p in [started("compiled", ELMAN_CACHE=str(tmp_path)) for _ in range(2)]]
    print(f"two processes with an empty cache: {time.perf_counter() - begin:.1f} s")
    assert found[0] == found[1] == here("compiled")
    names = [path.name for path in (tmp_path / "kernels").iterdir()]
    assert len(names) == 5 and all(name.endswith(".o") for name in names), "parts of files are left over"


def test_compiling_an_lstm_takes_seconds_at_most(cache: Path) -> None:
    vector = host.vector(torch.float32)
    plans = [
        Plan(elman.cells.LSTM, vector=vector, keep=True),
        Plan(elman.cells.LSTM, vector=vector, backward=True),
    ]
    begin = time.perf_counter()
    assert all(build.entry(wanted) for wanted in plans)
    taken = time.perf_counter() - begin
    print(f"LSTM forward and backward: {taken:.2f} s")
    assert taken < 20 and len(list(cache.iterdir())) == 2


def test_engines_asked_for_by_the_environment_agree() -> None:
    engine, sums = here("auto")
    assert engine.startswith("compiled")
    off, theirs = answer(started(ELMAN_CPU="off"))
    assert off == ("vendor: PyTorch's fused kernel computes the same; ELMAN_CPU=off turns the compiler off")
    assert theirs == pytest.approx(sums, rel=1e-10, abs=1e-12)
    machine = host.host()
    assert isinstance(machine, Host)
    if machine.level in ("avx2", "avx512"):
        narrow, same = answer(started("compiled", ELMAN_CPU="avx2"))
        assert narrow == engine and same == pytest.approx(sums, rel=1e-10, abs=1e-12)


def test_text_that_is_no_module_is_refused() -> None:
    with pytest.raises(RuntimeError, match="LLVM IR parsing error"):
        build.compiled("define void @run( { }")
    assert build.compiled(declarations(Vector("float", 4)))
