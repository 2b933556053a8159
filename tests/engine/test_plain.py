"""Requests as a kernel reads them: whatever comes is plain with the same numbers, or is refused by name."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from compare import assert_same
from elman.cells import CELLS
from elman.engine import eager, passes, plain
from elman.engine.call import Arguments, Call, Noise, Result, Spec, Weights, flatten, unflatten
from elman.errors import UsageError

T, B, I, H = 4, 3, 5, 6  # noqa: E741
LSTM = Spec(CELLS["lstm"], H)


def request(spec: Spec = LSTM, dtype: torch.dtype = torch.float64, seed: int = 0) -> Arguments[Any]:
    """All that a kernel can be asked to read."""
    torch.manual_seed(seed)
    rows, cell = len(spec.cell.gates) * H, spec.cell

    def leaf(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=dtype) * 0.5

    weights = Weights(
        *(leaf(rows, I), leaf(rows, H), leaf(rows), leaf(rows), None, leaf(rows), leaf(rows)),
        units=tuple(leaf(H) for _ in cell.weights),
    )
    return Arguments(
        x=leaf(T, B, I),
        state=tuple(leaf(B, H) for _ in cell.state),
        weights=weights,
        lengths=torch.tensor([4, 0, 2]),
        clear=torch.rand(T, B) > 0.7,
        mask=(torch.rand(B, H) > 0.3).to(dtype),
        zoneout=tuple((torch.rand(T, B, H) > 0.7).to(dtype) for _ in cell.state),
    )


FULL = LSTM._replace(zoneout_masks=True)
NAMES = [
    "input",
    "state h",
    "state c",
    "weight_ih",
    "weight_hh",
    "bias_ih",
    "bias_hh",
    "weight_hr",
    "gain_ih",
]
NAMES += ["gain_hh", "lengths", "reset", "recurrent mask", "zoneout mask of h", "zoneout mask of c"]


def by_eager(spec: Spec, a: Arguments[Tensor]) -> Result[Tensor]:
    noise = Noise(a.mask, spec.shares or a.zoneout or None)
    call = Call(a.lengths, every_state=spec.every_state)
    return eager.scan(spec.cell, a.x, a.state, a.weights, call, noise, spec.reverse, a.clear)


def negated(t: Tensor) -> Tensor:
    """The same numbers with PyTorch's lazy negative bit."""
    return torch.complex(t, -t).conj().imag if t.is_floating_point() else t


def strided(t: Tensor) -> Tensor:
    wide = t.new_zeros(*t.shape[:-1], 2 * t.shape[-1])
    wide[..., ::2] = t
    return wide[..., ::2]


def turned(t: Tensor) -> Tensor:
    return t.transpose(0, -1).contiguous().transpose(0, -1)


def offset(t: Tensor) -> Tensor:
    return torch.cat([t[:1], t])[1:]


def between(t: Tensor) -> Tensor:
    """Numbers at an address that is no multiple of their size."""
    flat = torch.frombuffer(
        bytearray(t.numel() * t.element_size() + 1), dtype=t.dtype, offset=1, count=t.numel()
    )
    return flat.view(t.shape).copy_(t)


SAME: list[Callable[[Tensor], Tensor]] = [negated, strided, turned, offset, between]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(range(len(NAMES))), st.sampled_from(SAME)), min_size=1, max_size=6))
def test_layouts_of_the_same_numbers_give_the_same_results(changes: list[tuple[int, Any]]) -> None:
    for spec in (FULL, FULL._replace(reverse=True, every_state=True)):
        leaves = flatten(request(spec))
        for k, change in changes:
            if leaves[k] is not None:
                leaves[k] = change(leaves[k])
        expected = by_eager(spec, request(spec))
        result, trace = passes.forward(spec, spec.arguments(leaves), keep=True)
        assert_same(result, expected)
        upstream = unflatten(result, [torch.ones_like(t) for t in flatten(result)])
        needed = spec.arguments([t is not None and t.is_floating_point() for t in leaves])
        odd = unflatten(result, [strided(negated(g)) for g in flatten(upstream)])
        grads = passes.backward(spec, spec.arguments(leaves), trace, odd, needed)
        plain_trace = passes.forward(spec, request(spec), keep=True)[1]
        assert_same(grads, passes.backward(spec, request(spec), plain_trace, upstream, needed))


def freed(t: Tensor) -> Tensor:
    t = t.clone()
    t.untyped_storage().resize_(0)
    return t


def cut(t: Tensor) -> Tensor:
    t = t.clone()
    t.untyped_storage().resize_(t.numel() * t.element_size() - 1)
    return t


class Own(Tensor):
    pass


WRONG: dict[str, Callable[[Tensor], Any]] = {
    "float16": lambda t: t.half(),
    "int32": lambda t: t.int(),
    "complex": lambda t: t.to(torch.complex128),
    "meta": lambda t: t.to("meta"),
    "freed": freed,
    "cut": cut,
    "one row too few": lambda t: t[1:],
    "one too few": lambda t: t[..., 1:],
    "one axis more": lambda t: t.unsqueeze(0),
    "one number": lambda t: t.flatten()[:1],
    "no number": lambda t: t[:0],
    "a subclass": lambda t: t.clone().as_subclass(Own),
    "sparse": lambda t: t.to_sparse(),
    "a list": lambda t: t.tolist(),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", NAMES)
def test_what_a_kernel_would_misread_is_refused(name: str, wrong: str) -> None:
    leaves = flatten(request(FULL))
    k = NAMES.index(name)
    if leaves[k] is None:
        leaves[k] = torch.randn(H, H, dtype=torch.float64)  # a projection, for which there is no kernel
    else:
        leaves[k] = WRONG[wrong](leaves[k])
    changed = FULL.arguments(leaves)
    for keep in (False, True):
        with pytest.raises(UsageError):
            passes.forward(FULL, changed, keep)
    _, trace = passes.forward(FULL, request(FULL), keep=True)
    upstream = FULL.result([torch.ones(T, B, H, dtype=torch.float64), None, None])
    with pytest.raises(UsageError):
        passes.backward(FULL, changed, trace, upstream, FULL.arguments([True] * len(leaves)))


@pytest.mark.parametrize("wrong", WRONG)
def test_what_was_saved_is_looked_at_again(wrong: str) -> None:
    for k in range(len(flatten(passes.forward(FULL, request(FULL), keep=True)[1]))):
        leaves = flatten(passes.forward(FULL, request(FULL), keep=True)[1])
        if leaves[k] is None:
            continue
        leaves[k] = WRONG[wrong](leaves[k])
        upstream = FULL.result([torch.ones(T, B, H, dtype=torch.float64), None, None])
        needed = FULL.arguments([True] * len(NAMES))
        with pytest.raises(UsageError):
            passes.backward(FULL, request(FULL), FULL.trace(leaves), upstream, needed)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("which", range(5), ids=["output", "final h", "final c", "every h", "every c"])
def test_gradients_from_above_are_looked_at(which: int, wrong: str) -> None:
    spec = FULL._replace(every_state=True)
    result, trace = passes.forward(spec, request(spec), keep=True)
    gradients: list[Any] = [torch.ones_like(t) for t in flatten(result)]
    gradients[which] = WRONG[wrong](gradients[which])
    with pytest.raises(UsageError):
        passes.backward(
            spec, request(spec), trace, spec.result(gradients), spec.arguments([True] * len(NAMES))
        )


@pytest.mark.parametrize("values", [[5, 0, 0], [-1, 2, 2], [2**62, 0, 0], [-(2**63), 0, 0]])
def test_lengths_stay_within_the_steps(values: list[int]) -> None:
    with pytest.raises(UsageError, match="lengths must lie between 0 and the 4 steps"):
        plain.lengths(torch.tensor(values), T, B)


def test_lengths_are_a_copy_that_nobody_else_can_change() -> None:
    mine = torch.tensor([4, 0, 2])
    theirs = plain.lengths(mine, T, B)
    mine.fill_(100)
    assert theirs.tolist() == [4, 0, 2]


def test_options_that_do_not_fit_each_other() -> None:
    a = request(FULL)
    for spec, changed in (
        (FULL._replace(shares=(0.5, 0.5)), a),
        (LSTM._replace(shares=(0.5,)), a._replace(zoneout=())),
        (FULL, a._replace(weights=a.weights._replace(bias_ih=None))),
        (FULL, a._replace(weights=a.weights._replace(bias_hh=None))),
        (FULL, a._replace(weights=a.weights._replace(gain_hh=None))),
        (FULL, a._replace(weights=a.weights._replace(weight_hh=None))),
        (FULL._replace(hidden=0), a),
        (FULL._replace(hidden=10**12), a),
        (FULL._replace(hidden=-6), a),
    ):
        with pytest.raises(UsageError):
            passes.forward(spec, changed, keep=True)


def test_types_are_named_as_a_sentence_has_them() -> None:
    types = (torch.float32, torch.float16, torch.bfloat16)
    names = [plain.named(types[:count]) for count in range(4)]
    assert names == ["", "float32", "float32 or float16", "float32, float16 or bfloat16"]
