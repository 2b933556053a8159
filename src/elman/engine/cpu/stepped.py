"""Single steps of a stack on memory of its own: from step to step nothing is made and nothing checked.

B sequences, I inputs, H units, Hp units of whole panels, L layers.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.engine.call import Stack, State
from elman.engine.cpu import host, weights
from elman.engine.cpu.parts import Part, make_part
from elman.engine.memory import CPU, own


class Memory:
    """Inputs and states of B rows of a stack in one direction, where its kernels read and write them.

    Attributes:
        input: (B, I).
        h: (L, 2, B, Hp): h before a step and after it change places.
        others: (L, B, Hp) each: the kernel overwrites the states after the first.
    """

    def __init__(self, stack: Stack, batch: int) -> None:
        first = stack.weights[0]
        self.stack, self.batch, self.dtype = stack, batch, first.weight_ih.dtype
        self.plan = weights.forward_plan(stack, self.dtype)
        self.hidden = weights.hidden_size(stack.cell, first)
        hp, layers = weights.padded(self.hidden, self.plan), len(stack.weights)
        self.input = self.zeros(batch, first.weight_ih.shape[1])
        self.h = self.zeros(layers, 2, batch, hp)
        self.others = [self.zeros(layers, batch, hp) for _ in stack.cell.state[1:]]

    def zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self.dtype, device=CPU)

    def aim(self, block: Any, at: dict[str, int], layer: int, turn: int) -> None:
        """Let a layer's argument block read and write here; `turn` is the place of h before the step."""
        source = self.h[layer - 1, 1 - turn] if layer else self.input
        block[at["x"]], block[at["x_row"]] = own(source), source.stride(0)
        first, *others = self.stack.cell.state
        step = self.h.stride(1)
        block[at[f"s.{first}"]] = own(self.h[layer, turn])
        block[at[f"stride.{first}"]] = -step if turn else step
        for name, state in zip(others, self.others, strict=True):
            block[at[f"s.{name}"]], block[at[f"stride.{name}"]] = own(state[layer]), 0

    def states(self, turn: int) -> State:
        """Return every state (L, B, H), where it lies."""
        return tuple(part[..., : self.hidden] for part in (self.h[:, turn], *self.others))


class Stepped:
    """One stack in one direction, with the weights that it has now.

    Attributes:
        input: (B, I), which `run` reads.
        output: (B, H), which `run` writes.
    """

    def __init__(self, stack: Stack, batch: int) -> None:
        self._memory = memory = Memory(stack, batch)
        self._turn = 0  # where h is now
        self.input, self.output = memory.input, memory.zeros(batch, memory.hidden)
        # arrays: NumPy copies a few numbers in a third of PyTorch's time
        self._result = self.output.numpy()
        self._tops = [memory.h[-1, turn, :, : memory.hidden].numpy() for turn in range(2)]
        self._arrays = [tuple([part.numpy() for part in memory.states(turn)]) for turn in range(2)]
        self._build()

    def _build(self) -> None:
        """Make two argument blocks a layer, one for each place of h before the step."""
        memory, self._threads = self._memory, host.threads()
        self._pairs: list[tuple[Part, Part]] = []  # which hold the memory of the blocks
        for layer, w in enumerate(memory.stack.weights):
            inputs, heads = w.weight_ih.shape[1], memory.stack.heads
            part = make_part(memory.plan, w, 1, memory.batch, inputs, memory.dtype, heads=heads)
            self._pairs.append((part, part.twin()))
            for turn in range(2):
                memory.aim(self._pairs[-1][turn].block, part.at, layer, turn)
        self._starts = [[pair[turn].start for pair in self._pairs] for turn in range(2)]
        self._alone = all(part.threads == 1 for part, _ in self._pairs)

    def _rebuild(self) -> None:
        """Begin with other threads if their number was changed, or the process is a fork without them."""
        if not self._alone and host.threads() != self._threads:
            self._build()

    def run(self) -> None:
        """Take one step on `input`."""
        self._rebuild()
        for start in self._starts[self._turn]:
            start()
        self._turn ^= 1
        np.copyto(self._result, self._tops[self._turn])

    def arrays(self) -> tuple[Any, ...]:
        """Return every state (L, B, H) where it lies now, as arrays."""
        return self._arrays[self._turn]

    def parts(self) -> State:
        """Return every state (L, B, H) where it lies now."""
        return self._memory.states(self._turn)

    @property
    def state(self) -> State:
        """Return a copy of every state, (L, B, H)."""
        return tuple(part.clone() for part in self.parts())

    @state.setter
    def state(self, state: State) -> None:
        for part, value in zip(self.parts(), state, strict=True):
            part.copy_(value)
