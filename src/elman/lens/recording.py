"""Run a model and note what its recurrent layers do."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elman.engine.call import State
from elman.engine.record import LayerPass, join, recorded, reordered
from elman.errors import UsageError
from elman.nn import Recurrent
from elman.nn.replace import replace

FOREIGN: Final = (nn.RNN, nn.LSTM, nn.GRU)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer in one direction, along a batch of sequences: T steps, B sequences.

    Attributes:
        name: of its module, and which layer and direction of that it is.
        run: what it computed.
    """

    name: str
    run: LayerPass

    @cached_property
    def taken(self) -> Tensor:
        """Which steps each sequence takes, (T, B) bool."""
        if self.run.active is not None:
            return self.run.active
        return torch.ones(self.run.x.shape[:2], dtype=torch.bool, device=self.run.x.device)

    @cached_property
    def before(self) -> State:
        """The states that each step begins from, (T, B, H) each: cleared where a new sequence starts."""
        run, each = self.run, []
        for initial, states in zip(run.initial, run.states, strict=True):
            first = initial.detach().unsqueeze(0)
            rest = states[1:] if run.reverse else states[:-1]
            previous = torch.cat([rest, first]) if run.reverse else torch.cat([first, rest])
            if run.reverse and run.active is not None:
                # a shorter sequence begins at its own end
                begins = run.active & ~torch.cat([run.active[1:], torch.zeros_like(run.active[:1])])
                previous = torch.where(begins.unsqueeze(2), first, previous)
            if run.clear is not None:
                previous = torch.where(run.clear.unsqueeze(2), 0.0, previous)
            each.append(previous)
        return tuple(each)


def prepared(model: nn.Module) -> nn.Module:
    """Return a model whose recurrent layers can be looked into: the model itself, or a copy in which elman's
    layers stand for torch.nn's. Raises UsageError for a model without recurrent layers."""
    if not isinstance(model, nn.Module):
        raise UsageError(f"the lens looks into models and torch.nn.Modules, not into {type(model).__name__}")
    if torch.is_inference_mode_enabled() or any(p.is_inference() for p in model.parameters()):
        raise UsageError(
            "the lens needs gradients: make and look at the model outside torch.inference_mode()"
        )
    if any(isinstance(module, FOREIGN) for module in model.modules()):
        model = replace(copy.deepcopy(model))
    if not any(isinstance(module, Recurrent) for module in model.modules()):
        raise UsageError(f"{type(model).__name__} has no recurrent layer that the lens could look into")
    return model


class Start(NamedTuple):
    """A call of a module: how many passes came before it, and in what order its input holds sequences.

    Attributes:
        order: of a PackedSequence that was sorted by length, where each sequence stands; None: as given.
    """

    passes: int
    name: str = "layer"
    directions: int = 1
    order: Tensor | None = None


@contextmanager
def recording(model: nn.Module) -> Iterator[Callable[[], list[Layer]]]:
    """Note the passes of a prepared model's layers within the block, with sequences in the input's order;
    yields a function that returns them."""
    starts: list[Start] = []
    handles = []
    with recorded() as passes:

        def starter(name: str) -> Callable[[Any, Any, Any], None]:
            def start(module: Any, arguments: Any, named: Any) -> None:
                x = arguments[0] if arguments else named.get("input")
                order = x.unsorted_indices if isinstance(x, PackedSequence) else None
                starts.append(Start(len(passes), name, module.directions, order))

            return start

        for name, module in model.named_modules():
            if isinstance(module, Recurrent):
                hook = starter(name or type(module).__name__)
                handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))
        try:
            yield lambda: _named(passes, starts)
        finally:
            for handle in handles:
                handle.remove()


def _named(passes: list[LayerPass], starts: list[Start]) -> list[Layer]:
    layers = []
    for number, run in enumerate(passes):
        if 0 in run.x.shape[:2]:
            raise UsageError("the lens needs an input of one step and one sequence or more")
        start = next((one for one in reversed(starts) if one.passes <= number), Start(0))
        layer = (number - start.passes) // start.directions
        in_order = run if start.order is None else reordered(run, start.order)
        layers.append(Layer(f"{start.name} l{layer}{' reverse' if run.reverse else ''}", in_order))
    return _joined(layers)


def _joined(layers: list[Layer]) -> list[Layer]:
    """Return layers with passes that go on where one before them ended as one: of a model that calls a layer
    step by step."""
    joined: list[list[Layer]] = []
    for layer in layers:
        earlier = next((each for each in reversed(joined) if each[-1].name == layer.name), None)
        if earlier is not None and _goes_on(earlier[-1].run, layer.run):
            earlier.append(layer)
        else:
            joined.append([layer])
    return [Layer(each[0].name, join([one.run for one in each])) for each in joined]


def _goes_on(before: LayerPass, after: LayerPass) -> bool:
    if before.reverse or before.cell is not after.cell or before.x.shape[1:] != after.x.shape[1:]:
        return False
    ends = zip(before.states, after.initial, strict=True)
    return all(torch.equal(states[-1].detach(), initial.detach()) for states, initial in ends)


@contextmanager
def evaluating(model: nn.Module, *, learning: bool) -> Iterator[None]:
    """Have a model and all in it in eval mode within the block, and its parameters without gradients, or with
    them, frozen ones too."""
    training = [one for one in model.modules() if one.training]
    parameters = [p for p in model.parameters() if p.is_floating_point() and p.requires_grad != learning]
    for one in training:
        one.training = False
    for parameter in parameters:
        parameter.requires_grad = learning
    try:
        yield
    finally:
        for one in training:
            one.training = True
        for parameter in parameters:
            parameter.requires_grad = not learning


@contextmanager
def learning(model: nn.Module) -> Iterator[Callable[[], list[Layer]]]:
    """As `recording`, for a pass of a model in eval mode and a way back: the model stays as it was."""
    with torch.enable_grad(), evaluating(model, learning=True), recording(model) as layers:
        yield layers


def call(model: nn.Module, input: Any) -> Any:
    """Return the output of a model for a tensor, a PackedSequence, or a tuple of its arguments."""
    several = isinstance(input, tuple) and not isinstance(input, PackedSequence)
    arguments = input if several else (input,)
    # tensors made in inference mode can't be part of a backward pass
    return model(*(a.clone() if isinstance(a, Tensor) and a.is_inference() else a for a in arguments))


def passes_of(model: nn.Module, input: Any) -> list[Layer]:
    """Run a prepared model without gradients and return the passes of its layers."""
    with torch.no_grad(), evaluating(model, learning=False), recording(model) as layers:
        call(model, input)
    return layers()


def go_backward(model: nn.Module, loss: Any) -> None:
    """Go backward from a loss without touching the gradients of parameters. Raises UsageError for a loss that
    is no number, or that no parameter with a gradient has a part in."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    number = isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad
    if not number or not parameters:
        raise UsageError("loss must return one number, a tensor that depends on the model's weights")
    torch.autograd.grad(loss, parameters, allow_unused=True)


def outputs_of(result: Any) -> Tensor:
    """Return the outputs of a model, the first of what it returns."""
    packed = isinstance(result, PackedSequence)
    first = result[0] if isinstance(result, tuple | list) and not packed else result
    if isinstance(first, PackedSequence):
        return first.data
    if not isinstance(first, Tensor):
        raise UsageError(f"the lens needs outputs that are tensors, not {type(first).__name__}")
    return first
