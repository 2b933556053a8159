"""What ELMAN_CPU may ask for, and what this processor has."""

import sys

import pytest
import torch

import elman
from elman.engine.cpu import host


def test_a_level_that_cannot_be_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = host.target()  # before the environment says otherwise: it is remembered
    monkeypatch.setenv("ELMAN_CPU", "sse2")
    with pytest.raises(
        elman.UsageError, match="ELMAN_CPU=sse2: it may be amx, bf16, vnni, avx512, avx2, neon, off, or unset"
    ):
        host.host.__wrapped__()
    monkeypatch.setenv("ELMAN_CPU", "off")
    assert host.host.__wrapped__() == "ELMAN_CPU=off turns the compiler off"
    missing = "neon" if machine.level != "neon" else "avx2"
    monkeypatch.setenv("ELMAN_CPU", missing)
    with pytest.raises(elman.UsageError, match=f"ELMAN_CPU={missing}: this processor has .*{machine.level}"):
        host.host.__wrapped__()


class Features(dict[str, bool]):
    """Those of a processor with everything that x86 has."""

    def get(self, name: str, default: bool = False) -> bool:
        return name != "neon"

    def flatten(self) -> str:
        return ""


@pytest.mark.parametrize(
    ("request_", "tiles", "level", "int8", "bf16"),
    [
        ("", True, "amx", "tiles", "tiles"),
        ("", False, "vnni", "native", "generic"),
        ("vnni", True, "vnni", "native", "generic"),
        ("bf16", True, "bf16", "native", "native"),
        ("avx512", True, "avx512", "generic", "generic"),
    ],
)
def test_levels_and_their_products(
    request_: str, tiles: bool, level: str, int8: str, bf16: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default the best, but for bfloat16 in vectors; tiles only if the system grants them."""
    monkeypatch.setenv("ELMAN_CPU", request_)
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", Features)
    monkeypatch.setattr(host, "_may_use_tiles", lambda: tiles)
    machine = host.host.__wrapped__()
    assert isinstance(machine, host.Host) and (machine.level, machine.width) == (level, 64)
    monkeypatch.setattr(host, "target", lambda: machine)
    assert (host.instructions("int8 groups"), host.instructions("bf16 groups")) == (int8, bf16)
    assert host.instructions("int8") == host.instructions("float") == "generic"
    assert host.packing(torch.float32, int8=True) == ("int8" if int8 == "generic" else "int8 groups")
    assert host.packing(torch.float32, bf16=True) == ("float" if bf16 == "generic" else "bf16 groups")
    assert host.packing(torch.float64, int8=True) == "int8" and host.packing(torch.float32) == "float"


def test_without_the_compiler_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELMAN_CPU", raising=False)
    monkeypatch.setitem(sys.modules, "llvmlite.binding", None)
    assert "llvmlite, the compiler, can't be imported" in host.host.__wrapped__()


def test_vectors_are_as_wide_as_registers() -> None:
    machine = host.target()
    single, double = host.vector(torch.float32), host.vector(torch.float64)
    assert single.lanes * single.size == double.lanes * double.size == machine.width


def test_without_a_target_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "host", lambda: "no such luck")
    with pytest.raises(elman.UsageError, match="no kernel can be compiled here: no such luck"):
        host.target()


def test_threads_are_those_of_pytorch() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert host.threads() == (1 if host.openmp() is None else 3)
    finally:
        torch.set_num_threads(before)
