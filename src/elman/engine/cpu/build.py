"""IR text → machine code in this process, and on disk, so that the next process only loads it.

A cached object is found by everything that shapes it and carries its own checksum: a file that is damaged,
half-written or foreign is compiled anew, and a folder that can't be written to costs only the time.
"""

import ctypes
import functools
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

import platformdirs

from elman.engine.cpu import host
from elman.engine.cpu.emit import (
    backward,
    forward,
    functions,
    ir,
    kernel,
    loops,
    norm,
    packing,
    plan,
    product,
)
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.plan import Plan
from elman.engine.cpu.host import Team

_LOCK: Final = threading.RLock()
_ENGINES: Final[list[Any]] = []  # machine code lives as long as these do

# A team of one, for a kernel that runs alone.
ALONE: Final = """
define void @barrier() { ret void }
define i32 @number() { ret i32 0 }
define i32 @size() { ret i32 1 }
"""


@functools.cache
def entry(wanted: Plan) -> int:
    """The address of a plan's kernel."""
    return _load(_described(wanted), lambda: kernel.kernel(wanted))["run"]


@functools.cache
def function(wanted: Plan) -> Callable[[int], None]:
    """A plan's kernel as a Python function of its argument block's address."""
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(entry(wanted))


@functools.cache
def product_entry(vector: Vector, int8: bool) -> int:
    """The address of the matrix product."""
    registers = host.target().registers

    def text() -> str:
        return ir.declarations(vector) + product.product(vector, registers, int8)

    return _load(f"product {astuple(vector)} {registers} {int8}", text)["product"]


@functools.cache
def alone() -> Team:
    """A team of one thread."""
    found = _load("alone", lambda: ALONE)
    return Team(None, found["barrier"], found["number"], found["size"])


def _described(wanted: Plan) -> str:
    """Everything that shapes a kernel but the sources of this package: options, vectors and Programs."""
    pair = wanted.pair
    programs = [(p.nodes, p.outputs) for p in (pair.forward, pair.backward)]
    cell = wanted.cell
    options = [wanted.backward, wanted.keep, wanted.resets, wanted.zoneout, wanted.masked]
    options += [wanted.int8, wanted.every, wanted.norm]
    return repr((options, astuple(wanted.vector), cell.gates, cell.state, cell.weights, programs, pair.kept))


@functools.cache
def _sources() -> str:
    """A fingerprint of the code that writes kernels."""
    modules = (backward, forward, functions, ir, kernel, loops, norm, packing, plan, product)
    return hashlib.sha256(b"".join(Path(str(m.__file__)).read_bytes() for m in modules)).hexdigest()


def _load(description: str, text: Callable[[], str]) -> dict[str, int]:
    """The addresses of a module's functions, from the cache or compiled now."""
    with _LOCK:
        machine = host.target()
        version = ".".join(map(str, _llvm().llvm_version_info))
        parts = (description, _sources(), version, machine.cpu, machine.features)
        path = _folder() / f"{hashlib.sha256(repr(parts).encode()).hexdigest()}.o"
        code = _read(path)
        if code is None:
            code = compiled(text())
            _write(path, code)
        return _linked(code)


def compiled(text: str) -> bytes:
    """An object file for this processor."""
    module = _llvm().parse_assembly(text)
    module.verify()
    return bytes(_machine().emit_object(module))


def _machine() -> Any:
    """LLVM's idea of the processor. Registered once, made anew: an engine takes it over."""
    machine = host.target()
    triple = _llvm().Target.from_default_triple()
    return triple.create_target_machine(cpu=machine.cpu, features=machine.features, opt=2, jit=True)


@functools.cache
def _llvm() -> Any:
    """The compiler, imported when the first kernel is wanted: most uses of the library want none at once."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def _linked(code: bytes) -> dict[str, int]:
    llvm = _llvm()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    reference = llvm.ObjectFileRef.from_data(code)
    names = ("run", "product", "barrier", "number", "size", "across", "along", "sample")
    engine.add_object_file(reference)
    engine.finalize_object()
    _ENGINES.append(engine)
    return {name: engine.get_function_address(name) for name in names}


def _folder() -> Path:
    return Path(os.environ.get("ELMAN_CACHE") or platformdirs.user_cache_path("elman")) / "kernels"


def _read(path: Path) -> bytes | None:
    """A cached object, if it is whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    """Several processes may write the same file at once: each its own, and the last one stays."""
    own: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".partial", delete=False) as file:
            own = Path(file.name)
            file.write(hashlib.sha256(code).digest() + code)
        own.replace(path)
    except OSError:  # the next process compiles again
        if own is not None:
            own.unlink(missing_ok=True)


@functools.cache
def packing_entry(vector: Vector) -> dict[str, Callable[..., int]]:
    """The functions of `elman.engine.cpu.emit.packing` by name."""
    found = _load(f"packing {astuple(vector)}", lambda: packing.packing(vector))
    words = {"across": 4, "along": 4, "sample": 3}
    return {
        name: ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * count)(found[name])
        for name, count in words.items()
    }
