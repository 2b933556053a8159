"""Compile IR text to machine code, and cache it on disk for the next process.

The key of a cached object covers everything that shapes it, and the file carries a checksum: a damaged,
half-written or foreign file is compiled again, and a folder that can't be used costs only time (see `cache`).
"""

import ctypes
import functools
import hashlib
import threading
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

from elman.engine.cpu import cache, host
from elman.engine.cpu.emit import grouped, ir, kernel, product
from elman.engine.cpu.emit import packing as panels
from elman.engine.cpu.emit import routine as lists
from elman.engine.cpu.emit.grouped import Instructions
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.plan import Packing, Plan
from elman.engine.cpu.host import Team

_LOCK: Final = threading.RLock()
_ENGINES: Final[list[Any]] = []  # owners of the machine code

# A team of one thread.
ALONE: Final = """
define void @barrier() { ret void }
define i32 @number() { ret i32 0 }
define i32 @size() { ret i32 1 }
"""


@functools.cache
def entry(plan: Plan) -> int:
    """Return the address of a plan's kernel."""
    return _load(_description(plan), lambda: kernel.kernel(plan))["run"]


@functools.cache
def function(plan: Plan) -> Callable[[int], None]:
    """Return a plan's kernel as a Python function of its argument block's address."""
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(entry(plan))


def product_entry(vector: Vector, packing: Packing, instructions: Instructions | None = None) -> int:
    """Return the address of the matrix product with weights of this packing.

    Groups are multiplied by this processor's best instructions unless others are named.
    """
    return _product(vector, packing, instructions or host.instructions(packing))["product"]


def pairs_entry(vector: Vector) -> Callable[..., int]:
    """Return the function that packs weights into groups of bfloat16 numbers."""
    address = _product(vector, "bf16 groups", host.instructions("bf16 groups"))["pairs"]
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)(address)


@functools.cache
def _product(vector: Vector, packing: Packing, instructions: Instructions) -> dict[str, int]:
    registers = host.target().registers

    def text() -> str:
        if packing.endswith("groups"):
            return grouped.grouped(vector, registers, packing == "int8 groups", instructions)
        return ir.declarations(vector) + product.product(vector, registers, packing == "int8")

    return _load(f"product {astuple(vector)} {registers} {packing} {instructions}", text)


@functools.cache
def alone() -> Team:
    """Return a team of one thread."""
    addresses = _load("alone", lambda: ALONE)
    return Team(None, 0, addresses["barrier"], addresses["number"], addresses["size"])


def _description(plan: Plan) -> str:
    """Return everything that shapes a kernel except the sources of this package."""
    pair, cell = plan.pair, plan.cell
    programs = [(p.nodes, p.outputs) for p in (pair.forward, pair.backward)]
    options: list[Any] = [plan.backward, plan.keep, plan.resets, plan.zoneout, plan.masked]
    options += [plan.packing, plan.every, plan.norm, plan.heads > 1]
    return repr((options, astuple(plan.vector), cell.gates, cell.state, cell.weights, programs, pair.kept))


@functools.cache
def _sources() -> str:
    """Return a fingerprint of the code that writes kernels."""
    sources = sorted(Path(str(kernel.__file__)).parent.glob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def _load(description: str, text: Callable[[], str]) -> dict[str, int]:
    """Return the addresses of a module's functions, from the cache or compiled now."""
    with _LOCK:
        machine = host.target()
        version = ".".join(map(str, _llvm().llvm_version_info))
        parts = (description, _sources(), version, machine.cpu, machine.features)
        name = f"{hashlib.sha256(repr(parts).encode()).hexdigest()}.o"
        code = cache.read(name)
        if code is None:
            code = compiled(text())
            cache.write(name, code)
        return _linked(code)


def compiled(text: str) -> bytes:
    """Return an object file for this processor."""
    module = _llvm().parse_assembly(text)
    module.verify()
    return bytes(_machine().emit_object(module))


def _machine() -> Any:
    machine = host.target()  # not cached below: an engine takes ownership of a target machine
    triple = _llvm().Target.from_default_triple()
    return triple.create_target_machine(cpu=machine.cpu, features=machine.features, opt=2, jit=True)


@functools.cache
def _llvm() -> Any:
    """Import the compiler for the first kernel: many processes need none."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def _linked(code: bytes) -> dict[str, int]:
    llvm = _llvm()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    reference = llvm.ObjectFileRef.from_data(code)
    names = [
        *("run", "product", "barrier", "number", "size", "across", "along", "sample", "checksum", "pairs"),
        *("perform", "copy", "clear", "add", "gather", "multiply"),
    ]
    engine.add_object_file(reference)
    engine.finalize_object()
    _ENGINES.append(engine)
    addresses = {name: engine.get_function_address(name) for name in names}
    return {name: address for name, address in addresses.items() if address}


@functools.cache
def packing_addresses(vector: Vector) -> dict[str, int]:
    """Return the addresses of the functions of `elman.engine.cpu.emit.packing` by name."""
    return _load(f"packing {astuple(vector)}", lambda: panels.packing(vector))


@functools.cache
def routine_addresses(vector: Vector) -> dict[str, int]:
    """Return the addresses of the functions of `elman.engine.cpu.emit.routine` by name."""
    return _load(f"routine {astuple(vector)}", lambda: lists.routine(vector))


@functools.cache
def performer(vector: Vector) -> Callable[..., None]:
    """Return `perform`, which makes a list of native calls, as a function of Python."""
    parameters = [ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, *[ctypes.c_int64] * 3]
    return ctypes.CFUNCTYPE(None, *parameters)(routine_addresses(vector)["perform"])


@functools.cache
def packing_entry(vector: Vector) -> dict[str, Callable[..., int]]:
    """Return the same as functions of Python."""
    addresses = packing_addresses(vector)
    parameters = {"across": 4, "along": 4, "sample": 3, "checksum": 3}
    return {
        name: ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * count)(addresses[name])
        for name, count in parameters.items()
    }
