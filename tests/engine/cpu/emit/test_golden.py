"""Golden digests of the generated kernels: a refactoring leaves them alone, a new kernel updates them.

Run this file to write the digests anew, and commit them with the change that made them differ.
"""

import hashlib
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import torch
import torch.nn.functional as F

from elman.cells import CELLS, Cell, cell
from elman.engine.cpu.emit.grouped import Instructions, grouped
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.kernel import kernel
from elman.engine.cpu.emit.packing import packing
from elman.engine.cpu.emit.plan import plan_for
from elman.engine.cpu.emit.product import product

GOLDEN: Final = Path(__file__).parent / "kernels.json"
# Vectors and the number of vector registers of every kind of processor, whatever this one is.
VECTORS: Final = {
    "avx512 float": (Vector("float", 16), 32),
    "avx512 double": (Vector("double", 8), 32),
    "avx2 float": (Vector("float", 8), 16),
    "avx2 double": (Vector("double", 4), 16),
}


# Those whose loops differ; the equations of the others are of the same primitives.
KERNELS: Final = (
    *("elman", "elman-relu", "lstm", "gru", "peephole-lstm", "cifg", "mgu", "ugrnn", "indrnn", "mingru"),
    *("minlstm", "slstm"),
)


@cell(gates="a b", state="h")
def Waves(x: Any, u: Any, s: Any) -> Any:
    """The primitives that no built-in cell has."""
    bent = F.gelu(x.a + u.a) + F.silu(x.b) + F.softsign(u.b) + F.gelu(s.h, approximate="tanh")
    return torch.clamp(torch.sin(bent) * torch.cos(s.h) ** 2, -0.5, 0.5)


def texts(cell: Cell, vector: Vector, backward: bool) -> Iterator[str]:
    """The kernels of a cell with every combination of options."""
    for resets, zoneout, masked, norm, more in itertools.product((False, True), repeat=5):
        if masked and not cell.recurrent:
            continue
        options = {"resets": resets, "zoneout": zoneout, "masked": masked, "norm": norm, "backward": backward}
        yield kernel(plan_for(cell, vector, **options, **{"every" if backward else "keep": more}))
    if not backward:
        yield from (kernel(plan_for(cell, vector, packing="int8", norm=norm)) for norm in (False, True))


def grouped_texts(vector: Vector) -> Iterator[str]:
    """The kernels around a grouped product: of other cells, only the equations differ."""
    cell = CELLS["gru"]  # whose U begins behind a slot of W
    for kind in ("int8 groups", "bf16 groups"):
        yield kernel(plan_for(cell, vector, packing=kind))
    yield kernel(plan_for(cell, vector, packing="bf16 groups", keep=True))
    yield kernel(plan_for(cell, vector, packing="bf16 groups", backward=True))


def texts_of_heads(vector: Vector) -> Iterator[str]:
    """The kernels that multiply heads one by one, of a cell with every kind of slot."""
    for backward, norm in itertools.product((False, True), repeat=2):
        yield kernel(plan_for(CELLS["gru"], vector, heads=2, backward=backward, norm=norm))


def digest(parts: Iterator[str]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode())
    return total.hexdigest()[:16]


def digests() -> dict[str, str]:
    found = {}
    for name, (vector, registers) in VECTORS.items():
        found[f"{name}: packing"] = digest(iter([packing(vector)]))
        for int8 in (False, True):
            kind = "8-bit product" if int8 else "product"
            found[f"{name}: {kind}"] = digest(iter([product(vector, registers, int8)]))
        found[f"{name}: heads"] = digest(texts_of_heads(vector))
        if vector.element == "float":
            for int8, instructions in itertools.product((False, True), get_args(Instructions)):
                kind = f"{'8-bit' if int8 else 'bf16'} product, {instructions}"
                found[f"{name}: {kind}"] = digest(iter([grouped(vector, registers, int8, instructions)]))
            found[f"{name}: grouped kernels"] = digest(grouped_texts(vector))
        for cell_name, one in {**{known: CELLS[known] for known in KERNELS}, "waves": Waves}.items():
            for backward in (False, True):
                way = "backward" if backward else "forward"
                found[f"{name}: {cell_name} {way}"] = digest(texts(one, vector, backward))
    return found


def test_kernels_are_the_golden_ones() -> None:
    golden, now = json.loads(GOLDEN.read_text()), digests()
    changed = [name for name, value in now.items() if golden.get(name) != value]
    assert not changed, f"these kernels changed; if that is meant, run `python {Path(__file__).name}`"
    assert golden.keys() == now.keys()


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(digests(), indent=1) + "\n")
    sys.stdout.write(f"{GOLDEN}\n")
