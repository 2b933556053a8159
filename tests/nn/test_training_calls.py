"""The training fast path: the outputs of the general way to the last bit, its gradients and its refusals."""

import copy
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import elman
from elman.cells import CELLS
from elman.engine import passes, torch_internals
from elman.engine.cpu import host
from elman.engine.recent import MAX_SHAPES
from elman.errors import UsageError
from grouped_products import in_groups

T, B, I, H = 5, 3, 8, 16  # noqa: E741


def assert_near(one: Tensor, other: Tensor) -> None:
    """Products are summed in another order: a few units in the last place of the largest number."""
    error = (one.double() - other.double()).abs().max()
    assert error <= 16 * torch.finfo(one.dtype).eps * max(1.0, other.double().abs().max())


def without_calls(layer: Any) -> Any:
    """Return a copy that takes the general way."""
    twin = copy.deepcopy(layer)
    twin._trainings.scan = lambda *request: None
    return twin


def trained(layer: Any, x: Tensor, hx: Any = None) -> list[Tensor]:
    """Return the outputs of a training step, and the gradients of everything."""
    torch.manual_seed(1)
    leaves = [x.clone().requires_grad_(), *([] if hx is None else [s.clone().requires_grad_() for s in hx])]
    state = None if hx is None else tuple(leaves[1:]) if len(leaves) > 2 else leaves[1]
    output, final = layer(leaves[0], state)
    every = [output, *([final] if isinstance(final, Tensor) else final)]
    sum((one * torch.linspace(0.5, 1.5, one.numel()).view(one.shape)).sum() for one in every).backward()
    return [*every, *[leaf.grad for leaf in leaves], *[p.grad for p in layer.parameters()]]


def assert_same_training(layer: Any, x: Tensor, hx: Any = None) -> None:
    general, ours = without_calls(layer), trained(layer, x, hx)
    with pytest.MonkeyPatch.context() as patch:  # nor a native routine
        patch.setattr(passes, "trained", lambda *request: None)
        theirs = trained(general, x, hx)
    values = 1 + len(layer.cell.state)
    for one, other in zip(ours[:values], theirs[:values], strict=True):
        assert torch.equal(one, other)
    for one, other in zip(ours[values:], theirs[values:], strict=True):
        assert_near(one, other)
    assert any(layer._trainings.values()), "the fast path was not taken"


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.name)
def test_every_cell_trains_the_same(cell: Any) -> None:
    layer = elman.Recurrent(cell, I, H, num_layers=2, bidirectional=True)
    hx = [torch.randn(4, B, H) for _ in cell.state]
    assert_same_training(layer, torch.randn(T, B, I), hx)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 3), st.sampled_from([4, 8]), st.sampled_from([1, 7, 16, 20, 32]),
    st.booleans(), st.booleans(), st.booleans(), st.sampled_from([torch.float32, torch.float64]),
)  # fmt: skip
def test_every_shape_and_option_trains_the_same(
    steps: int, batch: int, inputs: int, hidden: int, first: bool, bias: bool, norm: bool, dtype: torch.dtype
) -> None:
    layer = elman.LSTM(inputs, hidden, 2, bias, first, dropout=0.3, layer_norm=norm, dtype=dtype)
    shape = (batch, steps, inputs) if first else (steps, batch, inputs)
    assert_same_training(layer, torch.randn(*shape, dtype=dtype))


@pytest.fixture(params=[False, True], ids=["plain", "rounding"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that rounds operands of products in bfloat16, and an LSTM's results under autocast, or not."""
    if request.param:
        monkeypatch.setattr(host, "packing", in_groups)
    monkeypatch.setattr(torch_internals, "has_half_lstm", lambda dtype: request.param)


@pytest.mark.usefixtures("processor")
@pytest.mark.parametrize("cast", [None, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_half_precision_trains_the_same(cell: str, dtype: torch.dtype, cast: torch.dtype | None) -> None:
    for options in ({}, {"num_layers": 2, "bidirectional": True, "dropout": 0.3}):
        layer = elman.Recurrent(cell, I, H, dtype=dtype, **options)
        with torch.autocast("cpu", cast or torch.bfloat16, enabled=cast is not None):
            assert_same_training(layer, torch.randn(T, B, I, dtype=dtype))


def test_what_changes_a_step_is_noticed() -> None:
    layer, x = elman.GRU(I, H), torch.randn(T, B, I)
    for change in (
        lambda: layer.weight_hh_l0.data.mul_(2),
        lambda: setattr(layer, "weight_ih_l0", torch.nn.Parameter(torch.randn(3 * H, I))),
        lambda: setattr(layer, "zoneout", 0.5),
        lambda: setattr(layer, "zoneout", 0.0),
        lambda: layer.requires_grad_(False),
        lambda: layer.weight_hh_l0.requires_grad_(),
    ):
        change()
        layer.zero_grad()
        general = without_calls(layer)
        for ours, theirs in zip(trained(layer, x), trained(general, x), strict=True):
            assert (ours is None) == (theirs is None)
            assert ours is None or torch.equal(ours, theirs)


def narrowed(layer: Any) -> None:
    layer.weight_hh_l0.data = layer.weight_hh_l0.data[:-1]


def freed(layer: Any) -> None:
    layer.weight_hh_l0.untyped_storage().resize_(8)


@pytest.mark.parametrize("change", [narrowed, freed])
def test_changed_memory_is_refused(change: Callable[[Any], None]) -> None:
    layer, x = elman.LSTM(I, H), torch.randn(T, B, I)
    layer(x)
    change(layer)
    with pytest.raises(elman.UsageError, match="weight_hh_l0"):
        layer(x)


def test_changed_memory_is_refused_backwards() -> None:
    layer, x = elman.LSTM(I, H), torch.randn(T, B, I)
    loss = layer(x)[0].sum()
    freed(layer)
    with pytest.raises(elman.UsageError, match="weight_hh needs"):
        loss.backward()


@pytest.mark.parametrize(
    "hx", [torch.zeros(2, B, H), (torch.zeros(1, B, H),) * 3, (torch.zeros(1, B, H, 1),) * 2, "state"]
)
def test_a_wrong_state_is_refused(hx: Any) -> None:
    layer, x = elman.LSTM(I, H), torch.randn(T, B, I)
    with pytest.raises(elman.UsageError, match="state"):
        layer(x, hx)


def test_a_step_may_be_differentiated_twice_and_in_parts() -> None:
    layer, x = elman.LSTM(I, H), torch.randn(T, B, I)
    general = without_calls(layer)

    def gradients(layer: Any) -> list[Tensor]:
        weights, values = list(layer.parameters()), list[Tensor]()
        loss = layer(x)[0].square().sum()
        values += torch.autograd.grad(loss, weights, retain_graph=True)
        values += torch.autograd.grad(loss, weights, retain_graph=True)  # again, after the first overwrote
        first = torch.autograd.grad(loss, weights, create_graph=True)
        values += torch.autograd.grad(sum(g.square().sum() for g in first), weights)
        return values

    for ours, theirs in zip(gradients(layer), gradients(general), strict=True):
        assert torch.equal(ours, theirs)


def test_hooks_may_move_what_is_saved() -> None:
    layer, x = elman.LSTM(I, H), torch.randn(T, B, I)
    general, replaced = without_calls(layer), list[Tensor]()

    def unpack(packed: Any) -> Tensor:
        replaced.append(packed.mT.contiguous().mT if packed.dim() > 1 else packed)  # not contiguous any more
        return replaced[-1]

    for one in (layer, general):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
            one(x)[0].sum().backward()
    assert replaced
    for ours, theirs in zip(layer.parameters(), general.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize("name", ["x", "weight_ih_l0", "weight_hh_l0", "bias_ih_l0"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_storage_that_was_cut_is_not_read(name: str, dtype: torch.dtype) -> None:
    layer, x = elman.LSTM(I, H, dtype=dtype), torch.randn(T, B, I, dtype=dtype)
    layer(x)
    storage = (x if name == "x" else getattr(layer, name)).untyped_storage()
    storage.resize_(storage.nbytes() // 2)
    with pytest.raises(UsageError, match="its storage has only"):
        layer(x)


def test_threads_train_side_by_side() -> None:
    layer, inputs = elman.LSTM(I, H), [torch.randn(T, B, I) for _ in range(4)]
    weights = list(layer.parameters())

    def gradients(x: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(layer(x)[0].square().sum(), weights)

    expected = [gradients(x) for x in inputs]
    with ThreadPoolExecutor(len(inputs)) as pool:
        for _ in range(20):
            for ours, alone in zip(pool.map(gradients, inputs), expected, strict=True):
                assert all(torch.equal(a, b) for a, b in zip(ours, alone, strict=True))


def test_weights_may_be_replaced_while_they_are_read() -> None:
    """As by an average of weights that is swapped in: their memory would be freed under the kernel."""
    layer, x = elman.LSTM(256, 256), torch.randn(4, 2, 256)
    weights, training = list(layer.parameters()), True

    def gradients() -> tuple[Tensor, ...]:
        return torch.autograd.grad(layer(x)[0].sum(), weights)

    def replace() -> None:
        while training:
            for weight in weights:
                weight.data = weight.data.clone()

    expected = gradients()
    with ThreadPoolExecutor(1) as pool:
        replaced = pool.submit(replace)
        try:
            for _ in range(60):
                assert all(torch.equal(a, b) for a, b in zip(gradients(), expected, strict=True))
        finally:
            training = False
        replaced.result()


def test_calls_are_few_and_not_copied() -> None:
    layer = elman.GRU(I, H)
    for steps in range(1, MAX_SHAPES + 4):
        layer(torch.randn(steps, B, I))
    assert len(layer._trainings) == MAX_SHAPES
    assert not copy.deepcopy(layer)._trainings
    assert not pickle.loads(pickle.dumps(layer))._trainings


@pytest.mark.parametrize(
    "options",
    [
        {"recompute": True},
        {"recurrent_dropout": 0.5},
        {"weight_dropout": 0.5},
        {"zoneout": 0.2},
        {"engine": "eager"},
    ],
)
def test_what_a_kernel_alone_cannot_do_takes_the_general_way(options: dict[str, Any]) -> None:
    layer = elman.LSTM(I, H, **options)
    layer(torch.randn(T, B, I))[0].sum().backward()
    assert not any(layer._trainings.values())
