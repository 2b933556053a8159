"""Golden digests of the kernels' texts: a refactoring leaves them alone, a new kernel updates them.

Run this file to write the digests anew, and commit them with the change that made them differ.
"""

import ast
import hashlib
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from elman.cells import CELLS, Cell
from elman.engine.gpu.emit.kernel import kernel
from elman.engine.gpu.emit.plan import plan_for

GOLDEN = Path(__file__).parent / "kernels.json"
OPTIONS = ("resets", "zoneout", "masked", "norm", "ragged")


FORMS: dict[str, dict[str, int]] = {
    "": {},
    " sliced": {"sliced": 5, "ways": 4, "loaded": 3, "staged": 2},
    " streamed": {"streamed": 1},
    " heads": {"heads": 4},
}


def texts(cell: Cell, backward: bool, form: str) -> Iterator[str]:
    """The kernels of a cell without options, with each of them, and with all."""
    names = [name for name in OPTIONS if cell.recurrent or name != "masked"]
    names.append("every" if backward else "keep")
    for chosen in ([], *([name] for name in names), names):
        options = dict.fromkeys(chosen, True)
        if not (options.get("norm") and form in (" sliced", " heads")):
            yield kernel(plan_for(cell, backward=backward, **FORMS[form], **options))


def digests() -> dict[str, str]:
    found = {}
    for name, cell in CELLS.items():
        for backward, form in itertools.product((False, True), FORMS):
            if cell.recurrent or not form:
                total = hashlib.sha256("".join(texts(cell, backward, form)).encode()).hexdigest()[:16]
                found[f"{name} {'backward' if backward else 'forward'}{form}"] = total
    return found


def test_kernels_are_the_golden_ones() -> None:
    golden, now = json.loads(GOLDEN.read_text()), digests()
    changed = [name for name, value in now.items() if golden.get(name) != value]
    assert not changed, f"these kernels changed; if that is meant, run `python {Path(__file__).name}`"
    assert golden.keys() == now.keys()


def test_a_kernel_is_a_module_with_functions_of_triton_alone() -> None:
    for text in texts(CELLS["slstm"], backward=False, form=" streamed"):
        module = ast.parse(text)
        functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
        assert functions[-1].name == "forward" and all(f.decorator_list for f in functions)
        assert not any(isinstance(node, ast.ListComp | ast.Lambda | ast.Try) for node in ast.walk(module))


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(digests(), indent=1) + "\n")
    sys.stdout.write(f"{GOLDEN}\n")
