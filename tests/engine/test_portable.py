"""A cell as JSON values: the same cell again, and of anything else a sentence."""

import copy
import json
import random
from typing import Any

import pytest
import torch

import elman
import mutants
from elman.cells import CELLS, Cell, cell
from elman.engine import derive
from elman.engine.cpu.emit.ir import Vector
from elman.engine.cpu.emit.kernel import kernel
from elman.engine.cpu.emit.plan import plan_for
from elman.engine.portable import MAX_VALUES, from_json, portable, to_json
from elman.errors import UsageError


@cell(gates="f n", state="h c", weights="p_i")
def Own(x, u, s, w):
    unused = torch.exp(x.f) * 0.5  # noqa: F841
    f = torch.sigmoid(x.f + u.f + w.p_i * s.c)
    c = torch.where(s.c > 0.25, f * s.c, torch.maximum(x.n, u.n)) - 1e-3
    return (1 - f) * s.h + 0.5 * torch.tanh(c), c


def saved() -> dict[str, Any]:
    return json.loads(json.dumps(to_json(Own)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [*CELLS.values(), Own], ids=lambda c: c.name)
def test_there_and_back(kind: Cell) -> None:
    values = json.loads(json.dumps(to_json(kind), allow_nan=False))
    again = from_json(values)
    assert json.loads(json.dumps(to_json(again))) == values
    assert (again.name, again.gates, again.state, again.weights) == (
        kind.name,
        kind.gates,
        kind.state,
        kind.weights,
    )
    assert again.recurrent == kind.recurrent and again.forget_bias == kind.forget_bias


def test_the_same_values_are_the_same_cell() -> None:
    """So that a server that loads a model again compiles nothing again."""
    assert from_json(saved()) is from_json(saved()) is portable(Own)
    assert portable(portable(Own)) is portable(Own)


def changed(path: str, value: Any) -> dict[str, Any]:
    values = saved()
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    inner: Any = values
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return values


K = next(k for k, value in enumerate(saved()["values"]) if value[0] == "sigmoid")
REFUSED: list[tuple[str, Any, str]] = [
    ("format", 2, "saved in format 2; this version reads 1"),
    ("name", "../x", "has the name '../x', which must be an identifier"),
    ("name", "", "needs a name"),
    ("name", "x" * 200, "which must be an identifier"),
    ("gates", ["f", "n n"], "gates needs different identifiers, not 'n n'"),
    ("gates", ["f", "f"], "gates needs different identifiers"),
    ("gates", ["f", "__class__"], "a name can't begin with _"),
    ("gates", [], "needs a name, a gate and a state"),
    ("gates", ["f", "n", *(f"g{k}" for k in range(200))], "at most 1000 values and 100 gates"),
    ("weights", [], "has the parts"),
    ("parts", ["u", "x", "s", "w"], "has the parts 'u x s w'"),
    ("parts", ["x", "u", "s", "w", "q"], "has the parts"),
    ("parts", ["x", "s", "w"], r"has \['u', 'f'\] as value \d+, which is no input"),
    ("names", ["a"], "has 1 names for"),
    ("names/3", "a b", "has the name 'a b'"),
    ("outputs", [3], "one of its values for each of 2 states"),
    ("outputs", [3, 999], "one of its values for each of 2 states"),
    ("outputs", [3, -1], "one of its values for each of 2 states"),
    ("outputs", [True, 3], r"outputs\[0\] must be a whole number"),
    (
        f"values/{K}",
        ["system", 0],
        r"has \['system', 0\] as value \d+, which is no input, number or primitive",
    ),
    (f"values/{K}", ["sigmoid", 0, 1], "which is no input, number or primitive"),
    (f"values/{K}", ["sigmoid"], "which is no input, number or primitive"),
    (f"values/{K}", [], "which is no input, number or primitive"),
    (f"values/{K}", ["sigmoid", K], "whose operands must be earlier values"),
    (f"values/{K}", ["sigmoid", K + 1], "whose operands must be earlier values"),
    (f"values/{K}", ["sigmoid", -1], "whose operands must be earlier values"),
    (f"values/{K}", ["sigmoid", 0.0], "whose operands must be earlier values"),
    (f"values/{K}", ["sigmoid", "f"], "whose operands must be earlier values"),
    (f"values/{K}", ["x", "q"], "which is no input"),
    (f"values/{K}", ["s", "__dict__"], "which is no input"),
    (f"values/{K}", ["q", "f"], "which is no input"),
    (f"values/{K}", [float("nan")], "neither of kind|must be"),
    (f"values/{K}", [10**400], "must be"),
    (f"values/{K}", ["tanh", 0], "repeated or unused"),
    (f"values/{K}", ["x", "f"], "repeated or unused"),
    (f"values/{K}", ["where", 0, 1, 1], "has operands of the wrong kind"),
    (f"values/{K}", {"sigmoid": 0}, "must be a list"),
    ("values", "x" * 50, "must be a list"),
    ("values", [["x", "f"]] * (MAX_VALUES + 1), "at most 1000 values"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), REFUSED, ids=lambda v: str(v)[:30])
def test_anything_else_is_refused_in_a_sentence(path: str, value: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as raised:
        from_json(changed(path, value))
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


NUMBERS: list[list[list[Any]]] = [
    [["x", "a"], [1.0], [2.0], ["add", 1, 2], ["add", 0, 3]],
    [["x", "a"], [1.0], ["maximum", 0, 1]],
    [["x", "a"], [1.0], ["gt", 0, 1]],
    [["x", "a"], [1.0], ["gt", 0, 1], ["add", 0, 2]],
    [[1.0]],
]


@pytest.mark.parametrize("values", NUMBERS, ids=str)
def test_numbers_and_comparisons_in_the_wrong_place(values: list[list[Any]]) -> None:
    form = {"format": 1, "name": "Odd", "gates": ["a"], "state": ["h"], "weights": [], "parts": ["x"]}
    with pytest.raises(UsageError, match=r"operands of the wrong kind|must compute every state"):
        from_json(form | {"values": values, "names": [""] * len(values), "outputs": [len(values) - 1]})


def declared(function: Any, state: str = "h") -> Cell:
    return cell(gates="a", state=state)(function)


DEAF = [
    declared(lambda x, u, s: torch.tanh(u.a)),
    declared(lambda x, u, s: (s.h * 0.5 + s.c, torch.tanh(s.c)), "h c"),
    declared(lambda x, u, s: (torch.tanh(s.h), x.a), "h c"),
]


@pytest.mark.parametrize("deaf", DEAF, ids=str)
def test_an_output_without_an_input_is_refused(deaf: Cell) -> None:
    object.__setattr__(deaf, "name", "Deaf")
    with pytest.raises(UsageError, match="cell 'Deaf' never lets its input x reach its output h"):
        portable(deaf)


def test_an_input_may_take_several_steps_to_the_output() -> None:
    @cell(gates="a", state="h c d")
    def Late(x, s):
        return s.c, s.d, torch.tanh(x.a)

    assert portable(Late).name == "Late"


def test_a_cell_that_is_too_long() -> None:
    @cell(gates="a", state="h")
    def Deep(x, s):
        h = s.h
        for _ in range(600):
            h = torch.tanh(h + x.a)
        return h

    with pytest.raises(UsageError, match="has 1202 values; a cell that is saved has at most 1000"):
        portable(Deep)


def test_mutants_are_refused_or_run() -> None:
    """What is read reaches the derivative rules, the emitter and the eager engine."""
    worked, original = 0, saved()
    for number in range(600):
        draw = random.Random(number)
        content = json.dumps(copy.deepcopy(original)).encode()
        try:
            for _ in range(draw.choice([1, 1, 2])):
                _, content = mutants.change_json(content, draw)
            read = from_json(json.loads(content))
        except (UsageError, ValueError, RecursionError):
            continue
        worked += 1
        assert str(read) and derive(read).backward.nodes
        for backward in (False, True):
            kernel(plan_for(read, Vector("float", 8), backward=backward))
        layer = elman.Recurrent(read, 2, 3, engine="eager")
        layer(torch.randn(2, 1, 2))[0].sum().backward()
    assert worked > 20
