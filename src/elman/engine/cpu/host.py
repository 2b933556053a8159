"""The instructions of this processor, and PyTorch's OpenMP runtime, on whose threads the kernels run.

`ELMAN_CPU=avx2` keeps kernels from wider instructions, `ELMAN_CPU=off` from being compiled at all.
Products of 8-bit integers and of bfloat16 numbers have instructions of their own: in vectors (VNNI, BF16) or
in tiles (AMX).
"""

import ctypes
import functools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from elman.engine.cpu.emit.grouped import Instructions
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.plan import Packing
from elman.errors import UsageError

# From the most instructions to none; each of the first five has those of the next.
LEVELS: Final = ("amx", "bf16", "vnni", "avx512", "avx2", "neon", "off")
# Of Linux on x86-64: the system call, what it is asked, and for which part of the registers.
ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA = 158, 0x1023, 18
# Levels for those who ask for them: on Intel's processors bfloat16 in vectors is slower than float32.
ON_REQUEST: Final = ("bf16",)


@dataclass(frozen=True)
class Host:
    """A target for the compiler: its names, the bytes of a vector and the number of vector registers."""

    level: str
    cpu: str
    features: str
    width: int
    registers: int

    def vector(self, dtype: torch.dtype) -> Vector:
        single = dtype == torch.float32
        return Vector("float" if single else "double", self.width // (4 if single else 8))


@functools.cache
def host() -> Host | str:
    """Return this machine's target, or why it has none."""
    request = os.environ.get("ELMAN_CPU", "")
    if request and request not in LEVELS:
        raise UsageError(
            f"ELMAN_CPU={request}: it may be {', '.join(LEVELS)}, or unset for the best there is"
        )
    if request == "off":
        return "ELMAN_CPU=off turns the compiler off"
    try:
        import llvmlite.binding as llvm
    except ImportError as error:
        return f"llvmlite, the compiler, can't be imported: {error}"
    features = llvm.get_host_cpu_features()
    levels = [level for level in LEVELS if _has(features, level, request)]
    if request and request not in levels:
        raise UsageError(f"ELMAN_CPU={request}: this processor has {', '.join(levels) or 'none of these'}")
    if not levels:
        return "the compiler knows AVX2, AVX-512 and NEON, and this processor has none of them"
    best = next(level for level in levels if level not in ON_REQUEST)
    level, name, flags = request or best, llvm.get_host_cpu_name(), features.flatten()
    if level == "avx2" and "avx512" in levels:
        name, flags = "x86-64-v3", ""
    width, registers = {"avx2": (32, 16), "neon": (16, 32)}.get(level, (64, 32))
    return Host(level, name, flags, width, registers)


def target() -> Host:
    """Return this machine's target; UsageError if it has none."""
    machine = host()
    if not isinstance(machine, Host):
        raise UsageError(f"no kernel can be compiled here: {machine}")
    return machine


@functools.cache
def vector(dtype: torch.dtype) -> Vector:
    """Return this machine's vectors; UsageError if kernels can't be compiled for it."""
    return target().vector(dtype)


def _has(features: Any, level: str, request: str) -> bool:
    wide = ("avx512f", "avx512dq", "avx512vl")
    bytes_ = (*wide, "avx512bw", "avx512vnni")
    needed = {"avx512": wide, "vnni": bytes_, "bf16": (*bytes_, "avx512bf16")}
    needed["amx"] = (*needed["bf16"], "amx-tile", "amx-int8", "amx-bf16")
    needed |= {"avx2": ("avx2", "fma"), "neon": ("neon",)}
    has = level in needed and all(features.get(name) for name in needed[level])
    return has and (level != "amx" or (request in ("", level) and _may_use_tiles()))


@functools.cache
def _may_use_tiles() -> bool:
    """Ask Linux, once a process, for the memory in which it keeps the tiles of threads that wait."""
    if sys.platform != "linux":
        return False
    system = ctypes.CDLL(None)
    return bool(system.syscall(ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA) == 0)


def instructions(packing: Packing) -> Instructions:
    """Return what multiplies the groups of this packing and adds them up."""
    level = target().level
    if level == "amx" and packing.endswith("groups"):
        return "tiles"
    native = {"int8 groups": ("vnni", "bf16"), "bf16 groups": ("bf16",)}
    return "native" if level in native.get(packing, ()) else "generic"


def packing(dtype: torch.dtype, int8: bool = False, bf16: bool = False) -> Packing:
    """Return how a kernel that computes in `dtype` has its weights: in groups where that is fast."""
    grouped: Packing = "int8 groups" if int8 else "bf16 groups"
    if (int8 or bf16) and dtype == torch.float32 and instructions(grouped) != "generic":
        return grouped
    return "int8" if int8 else "float"


@dataclass(frozen=True)
class Team:
    """The addresses of the functions that a kernel calls, and how to start it in several threads."""

    parallel: Callable[[int, int, int, int], None] | None
    start: int  # the address of `parallel`, 0 without it
    barrier: int
    thread_num: int
    num_threads: int


@functools.cache
def openmp() -> Team | None:
    """Return the runtime that PyTorch uses: a second pool of threads would fight with its spinning ones."""
    for path in (*sorted((Path(torch.__file__).parent / "lib").glob("libgomp*")), None):
        try:
            library = ctypes.CDLL(str(path) if path else None)
            names = ("GOMP_parallel", "GOMP_barrier", "omp_get_thread_num", "omp_get_num_threads")
            functions = [getattr(library, name) for name in names]
        except (OSError, AttributeError):
            continue
        addresses = [ctypes.cast(f, ctypes.c_void_p).value or 0 for f in functions]
        parallel = functions[0]
        parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        parallel.restype = None
        return Team(parallel, *addresses)
    return None


class _Fork:
    """An OpenMP team doesn't survive a fork: the child uses one thread."""

    happened = False

    @classmethod
    def mark(cls) -> None:
        cls.happened = True


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_Fork.mark)


def threads() -> int:
    """Return how many threads to ask for."""
    return 1 if _Fork.happened or openmp() is None else torch.get_num_threads()
