"""Notes of what layers compute in a block of code: every state of every step, and, after a backward pass, the
gradient of the loss for each.

T steps, B sequences, I inputs, H units.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Final

import torch
from torch import Tensor

from elman.cells import Cell
from elman.engine.call import Noise, State, Weights


@dataclass(eq=False)
class LayerPass:
    """One layer in one direction, along a batch of sequences.

    Attributes:
        x: (T, B, I)
        initial: the states before the first step, (B, H) each.
        active: (T, B) bool, which steps are taken; None: all.
        clear: (T, B) bool, before which steps the state is cleared; None: none.
        heads: of the layer; `weights` have the dense recurrent matrix (G*H, H) all the same.
        states: after every step, (T, B, H) each.
    """

    cell: Cell
    weights: Weights[Tensor]
    x: Tensor
    initial: State
    noise: Noise
    reverse: bool
    active: Tensor | None
    clear: Tensor | None
    heads: int = 1
    states: State = ()
    _noted: State = ()  # by the compiled engine: gradients for the states
    _retained: list[State] = field(default_factory=list)  # by the eager one: states that keep their gradients

    @property
    def gradients(self) -> State:
        """The gradients of the loss for the state after every step, by all ways, (T, B, H) each; 0 where no
        step is taken. () before a backward pass."""
        if self._retained and any(s.grad is not None for s in self._retained[0]):
            steps = reversed(self._retained) if self.reverse else self._retained
            each = zip(*steps, strict=True)
            self._noted = tuple(torch.stack([_grad(s) for s in one]) for one in each)
            self._retained = []
        return self._noted

    def note(self, gradients: State) -> None:
        """Keep the gradients of a backward pass, those of the cell's states first."""
        self._noted = gradients[: len(self.cell.state)]

    def retain(self, state: State) -> None:
        """Let the state after a step of the eager engine, that of the cell first, keep its gradient."""
        state = state[: len(self.cell.state)]
        for s in state:
            if s.requires_grad:
                s.retain_grad()
        self._retained.append(state)


def join(passes: Sequence[LayerPass]) -> LayerPass:
    """Return passes that follow each other in time as one."""
    first = passes[0]
    if len(passes) == 1:
        return first
    states = tuple(torch.cat(each) for each in zip(*(one.states for one in passes), strict=True))
    noted: State = ()
    if all(one.gradients for one in passes):
        noted = tuple(torch.cat(each) for each in zip(*(one.gradients for one in passes), strict=True))
    return replace(
        first,
        x=torch.cat([one.x for one in passes]),
        active=_masks(passes, "active", True),
        clear=_masks(passes, "clear", False),
        states=states,
        _noted=noted,
        _retained=[],
    )


def reordered(layer: LayerPass, order: Tensor) -> LayerPass:
    """Return a pass with its sequences in the order of these numbers, (B,) int64."""
    noise, rows = layer.noise, order.to(layer.x.device)
    kept = tuple(k[:, rows] if isinstance(k, Tensor) else k for k in noise.zoneout or ())
    masked = None if noise.recurrent is None else noise.recurrent[rows]
    return replace(
        layer,
        x=layer.x[:, rows],
        initial=tuple(state[rows] for state in layer.initial),
        noise=noise._replace(recurrent=masked, zoneout=kept or None),
        active=None if layer.active is None else layer.active[:, rows],
        clear=None if layer.clear is None else layer.clear[:, rows],
        states=tuple(state[:, rows] for state in layer.states),
        _noted=tuple(gradient[:, rows] for gradient in layer.gradients),
        _retained=[],
    )


def _masks(passes: Sequence[LayerPass], name: str, default: bool) -> Tensor | None:
    masks = [getattr(one, name) for one in passes]
    if all(mask is None for mask in masks):
        return None
    full = [one.x.new_full(one.x.shape[:2], default, dtype=torch.bool) for one in passes]
    return torch.cat([other if mask is None else mask for mask, other in zip(masks, full, strict=True)])


def _grad(state: Tensor) -> Tensor:
    return torch.zeros_like(state) if state.grad is None else state.grad


_PASSES: Final[ContextVar[list[LayerPass] | None]] = ContextVar("passes", default=None)


@contextmanager
def recorded() -> Iterator[list[LayerPass]]:
    """Note every pass of a layer within the block, in the order of calls."""
    passes: list[LayerPass] = []
    token = _PASSES.set(passes)
    try:
        yield passes
    finally:
        _PASSES.reset(token)


def is_recording() -> bool:
    # first: a compiled graph can't read the variable, and records nothing
    return not torch.compiler.is_compiling() and _PASSES.get() is not None


def begin(layer: LayerPass) -> None:
    """Note that a layer is about to run."""
    passes = _PASSES.get()
    assert passes is not None
    passes.append(layer)
