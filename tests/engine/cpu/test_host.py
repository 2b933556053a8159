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
