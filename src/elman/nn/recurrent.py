"""`Recurrent`: a stack of scans of any cell, with the interface of torch.nn.

Shapes: T steps, B sequences, I inputs, H units, L layers, D directions, P = proj_size or H.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from elman.cells import Cell, as_cell
from elman.engine import gates
from elman.engine.call import Call, Engine, Stack, Weights
from elman.engine.program import Node
from elman.engine.scan import ENGINES, choose, scan
from elman.engine.trace import trace
from elman.errors import UsageError
from elman.nn.arguments import Layout, States, check_heads, check_weights
from elman.nn.call_cache import CallCache
from elman.nn.parameters import NAMES, Init, draw, shapes
from elman.nn.pool import LayerPool
from elman.nn.states import select_rows
from elman.nn.stream import LayerStream
from elman.nn.training_calls import TrainingCalls
from elman.settings import is_number, is_whole, plain


class Recurrent(nn.Module):
    """A stack of scans of one cell, with torch.nn's arguments, parameter names, shapes and initial values.

    Args:
        cell: the recurrence: of `elman.cells`, the name of one there ("mgu"), or declared with `@elman.cell`.
        proj_size: P > 0 projects the output to P values, as torch.nn.LSTM does; for any cell that reads the
            previous output through U only.
        zoneout: share of units that keep their old value at a step while training; otherwise the
            expectation. Krueger et al., arXiv:1606.01305.
        recurrent_dropout: share of h that U doesn't read, the same units at all steps of a call.
            Gal, Ghahramani, arXiv:1512.05287.
        weight_dropout: share of U's entries dropped, the same at all steps of a call ("weight drop").
            Merity et al., arXiv:1708.02182.
        layer_norm: normalise W x and U h, each over all gates, with learned gains.
            Ba et al., arXiv:1607.06450.
        heads: N > 1 makes the recurrent matrix block-diagonal: U h of a unit reads the previous output of the
            H/N units of its own head only, unit j being of head j // (H/N). `weight_hh` is (G*H, H/N) then.
            Beck et al., "FlashRNN", arXiv:2412.07752.
        forget_bias: initial bias of gate `f`. Jozefowicz et al., ICML 2015.
        recurrent_init: "uniform" as torch.nn, or "orthogonal" for every gate's block of U, and with heads for
            the block of each head. Saxe et al., arXiv:1312.6120.
        recompute: train in little memory: the compiled engine keeps states every √T steps only and
            recomputes the rest for the gradients, which stay the same. Chen et al., arXiv:1604.06174.
        int8: in calls without gradients, the compiled engine reads weights rounded to 8 bits, with a scale
            for each row; the parameters don't change.
        engine: "auto" picks the fastest engine that can do a call; "compiled" (the equations as one kernel),
            "vendor" (PyTorch's kernels) or "eager" (step by step) insist on one.
        The other arguments are torch.nn.LSTM's.

    Raises:
        UsageError: for a size that isn't positive, a share outside 0..1, an option the cell can't have.
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        zoneout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        layer_norm: bool = False,
        heads: int = 1,
        forget_bias: float | None = None,
        recurrent_init: Init = "uniform",
        recompute: bool = False,
        int8: bool = False,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        self.cell = as_cell(cell)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self.zoneout, self.recurrent_dropout, self.weight_dropout = zoneout, recurrent_dropout, weight_dropout
        self.layer_norm, self.forget_bias, self.recurrent_init = layer_norm, forget_bias, recurrent_init
        self.heads = heads
        self.recompute, self.int8, self.engine = recompute, int8, engine
        self._calls, self._trainings = CallCache(), TrainingCalls()
        self._observed = gates.observed(self.cell)  # here: torch.compile could not follow
        self._check_values()
        self._check_combinations()
        self.directions = 2 if self.bidirectional else 1
        self.output_size = self.proj_size or self.hidden_size  # of one direction: P
        # for each layer and direction, the parameters' full names by their names in `elman.nn.parameters`
        self._names: list[dict[str, str]] = []
        for k in range(self.num_layers * self.directions):
            layer, suffix = k // self.directions, "_reverse" if k % self.directions else ""
            inputs = self.directions * self.output_size if layer else self.input_size
            options = self.hidden_size, self.proj_size, self.bias, self.layer_norm, self.heads
            sizes = shapes(self.cell, inputs, *options)
            self._names.append({name: f"{name}_l{layer}{suffix}" for name in sizes})
            for name, shape in sizes.items():
                empty = torch.empty(shape, device=device, dtype=dtype)
                self.register_parameter(f"{name}_l{layer}{suffix}", nn.Parameter(empty))
        self.reset_parameters()

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: States | None = None,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        return_states: bool = False,
        return_gates: bool = False,
    ) -> Any:
        """Run over whole sequences.

        Args:
            input: (T, B, I), (B, T, I) if batch_first, (T, I) for one sequence, or a PackedSequence.
            hx: initial state (L*D, B, P), or a tuple with one tensor a state of the cell (the first of
                width P, the others H); zeros if None.
            lengths: (B) steps of each sequence, any order, 0 allowed. Outputs beyond them are 0, and the
                final state is the one after a sequence's own last step.
            reset: bool, shaped like input without its last axis. True marks the first step of a new sequence
                within a row: neither direction carries state across it.
            return_states: also return every state of every step.
            return_gates: also return the value of every gate at every step: the one that the cell's equations
                call by the gate's name, or the first function of its sums (sigmoid, tanh), or, where there is
                none, the sum W x_t + U h_{t-1} + b. Gradients flow through them.

        Returns:
            (output (T, B, D*P), final state shaped like hx) as torch.nn; with return_states one more entry
            shaped like the final state with a leading axis T; with return_gates, last, a dict of the gates by
            name, (T, L*D, B, H) each, 0 beyond a sequence's length.

        Raises:
            UsageError: for a shape that doesn't fit.
        """
        # a graph must not look at the prepared calls: it would be compiled anew whenever there is another one
        if (
            not torch.compiler.is_compiling()
            and isinstance(input, Tensor)
            and lengths is None
            and reset is None
            and not (return_states or return_gates)
        ):
            steps_first = input.transpose(0, 1) if self.batch_first and input.dim() == 3 else input
            prepared = self._calls.scan(self, steps_first, hx) or self._trainings.scan(self, steps_first, hx)
            if prepared is not None:
                return (prepared[0].transpose(0, 1), prepared[1]) if self.batch_first else prepared
        stack = self.stack()
        layout = self.layout(stack)
        packed = input if isinstance(input, PackedSequence) else None
        single = isinstance(input, Tensor) and input.dim() == 2
        observed = self._observed if return_gates else None
        x, call = layout.parse(input, lengths, reset, return_states, observed)
        state = layout.initial(hx, x, call, single)
        if packed is not None and packed.sorted_indices is not None:
            state = select_rows(state, packed.sorted_indices)
        result = scan(stack, x, state, call)
        output, final = result.output, result.state
        if packed is not None:
            if packed.unsorted_indices is not None:
                final = select_rows(final, packed.unsorted_indices)
            return packed._replace(data=output), layout.to_user(final, single)
        output = output.squeeze(1) if single else output.transpose(0, 1) if self.batch_first else output
        more: list[Any] = [layout.to_user(result.every, single)] if return_states else []
        if return_gates:
            values = [gate.squeeze(-2) if single else gate for gate in result.gates]
            more.append(dict(zip(self.cell.gates, values, strict=True)))
        return output, layout.to_user(final, single), *more

    def step(self, x: Tensor, state: States | None = None) -> tuple[Tensor, States]:
        """Take one step: x (B, I) or (I) and a state from `step` or `forward` to (output (B, P), next state).

        Without gradients, weights changed in place through `.data` may go unnoticed: then call `refresh`.

        Raises:
            UsageError: for a bidirectional layer, or while training with masks that span a whole sequence.
        """
        self._check_one_way()
        if self.training and (self.recurrent_dropout or self.weight_dropout):
            raise UsageError("recurrent_dropout and weight_dropout span a sequence: call eval() before step")
        prepared = None if torch.compiler.is_compiling() else self._calls.step(self, x, state)
        if prepared is not None:
            return prepared
        if x.dim() not in (1, 2):
            raise UsageError(f"step takes x (B, I) or (I), not {tuple(x.shape)}")
        single, stack, call = x.dim() == 1, self.stack(), Call()
        layout = self.layout(stack)
        inputs = layout.check(x.unsqueeze(0).unsqueeze(0) if single else x.unsqueeze(0))
        initial = layout.initial(state, inputs, call, single)
        result = scan(stack, inputs, initial, call)
        output = result.output[0]
        return output[0] if single else output, layout.to_user(result.state, single)

    def stream(self, batch: int = 1) -> LayerStream:
        """Return a stream of B sequences: single steps in the least time, as in eval mode, without gradients.

        Raises:
            UsageError: for a bidirectional layer.
        """
        self._check_one_way()
        stack = self.stack()
        return LayerStream(self.layout(stack), stack, batch)

    def pool(self, capacity: int) -> LayerPool:
        """Return room for C streams, any of which take steps in one call, as in eval mode, without gradients.

        Raises:
            UsageError: for a bidirectional layer.
        """
        self._check_one_way()
        stack = self.stack()
        return LayerPool(self.layout(stack), stack, capacity)

    def explain(
        self,
        input: Tensor | PackedSequence,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        return_states: bool = False,
        return_gates: bool = False,
    ) -> str:
        """Return which engine runs a forward pass with these arguments, and why."""
        stack = self.stack()
        observed = self._observed if return_gates else None
        x, call = self.layout(stack).parse(input, lengths, reset, return_states, observed)
        choice = choose(stack, x, call)
        return f"{choice.engine}: {choice.reason}"

    def reset_parameters(self) -> None:
        """Initialise all parameters: uniform in ±1/sqrt(H) as torch.nn, then the named options."""
        for parameters in self._by_layer():
            draw(self.cell, parameters, self.forget_bias, self.recurrent_init, self.heads)

    def refresh(self) -> None:
        """Look at all weights anew in the next call.

        `step` needs this after weights were changed in place through `.data`, unless most of their numbers
        changed. `forward` sees every change, and `step` those that PyTorch counts, without it.
        """
        self._calls.clear()

    def flatten_parameters(self) -> None:
        """Do nothing; torch.nn's layers have this method."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        return [list(parameters.values()) for parameters in self._by_layer()]

    def extra_repr(self) -> str:
        usual = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        usual |= {"bidirectional": False, "zoneout": 0.0, "recurrent_dropout": 0.0, "weight_dropout": 0.0}
        usual |= {"layer_norm": False, "heads": 1, "recompute": False, "int8": False}
        parts = [self.cell.name] if type(self) is Recurrent else []
        parts += [str(self.input_size), str(self.hidden_size)]
        parts += [f"{k}={getattr(self, k)}" for k, value in usual.items() if getattr(self, k) != value]
        return ", ".join(parts)

    # ---- arguments

    def _check_values(self) -> None:
        """Raise UsageError for a value out of its range; scalars of NumPy and PyTorch become Python's."""
        sizes = ("input_size", "hidden_size", "num_layers", "heads", "proj_size")
        for name, least in zip(sizes, (1, 1, 1, 1, 0), strict=True):
            value = self._plain(name)
            if not is_whole(value) or value < least:
                raise UsageError(f"{name} must be a whole number from {least}, not {value!r}")
        for name in ("bias", "batch_first", "bidirectional", "layer_norm", "recompute", "int8"):
            if not isinstance(value := self._plain(name), bool):
                raise UsageError(f"{name} must be True or False, not {value!r}")
        for name in ("dropout", "zoneout", "recurrent_dropout", "weight_dropout"):
            if not is_number(value := self._plain(name)) or not 0 <= value <= 1:
                raise UsageError(f"{name} must be a number between 0 and 1, not {value!r}")
            setattr(self, name, float(value))
        if not is_number(value := self._plain("forget_bias")) and value is not None:
            raise UsageError(f"forget_bias must be a number or None, not {value!r}")
        if self.recurrent_init not in ("uniform", "orthogonal"):
            raise UsageError(f'recurrent_init must be "uniform" or "orthogonal", not {self.recurrent_init!r}')
        if self.engine not in ENGINES:
            raise UsageError(f"engine must be one of {', '.join(ENGINES)}, not {self.engine!r}")

    def _plain(self, name: str) -> Any:
        setattr(self, name, plain(getattr(self, name)))
        return getattr(self, name)

    def _check_combinations(self) -> None:
        cell, program = self.cell, trace(self.cell)  # a cell that can't be read is refused here
        if self.proj_size >= self.hidden_size:
            raise UsageError(
                f"proj_size must be smaller than hidden_size {self.hidden_size}, not {self.proj_size}"
            )
        if self.proj_size and Node("input", ("s", cell.state[0])) in program.nodes:
            raise UsageError(
                f"{cell.name} combines s.{cell.state[0]} unit by unit and can't have a proj_size"
            )
        check_heads(self)
        if self.dropout and self.num_layers == 1:
            warnings.warn("dropout acts between layers: with num_layers=1 it does nothing", stacklevel=4)
        if not cell.recurrent and (self.recurrent_dropout or self.weight_dropout):
            raise UsageError(f"{cell.name} has no recurrent matrix for recurrent_dropout or weight_dropout")
        if self.forget_bias is not None and ("f" not in cell.gates or not self.bias):
            raise UsageError(f"forget_bias needs bias=True and a gate f; {cell!r}, bias={self.bias}")
        if taken := set(cell.weights) & set(NAMES):
            raise UsageError(f"{cell.name} can't call a weight {taken.pop()}: the layer has one of that name")

    # ---- running

    def _check_one_way(self) -> None:
        if self.bidirectional:
            raise UsageError(
                "a bidirectional layer can't step: it needs the sequence's end before its beginning"
            )

    def _by_layer(self) -> list[dict[str, Tensor]]:
        """Return the parameters of every layer and direction by their names in `elman.nn.parameters`."""
        # a module's attributes are slower to read than its dict; parametrized weights are attributes only
        plain: dict[str, Any] = self._parameters
        return [
            {name: plain[full] if full in plain else getattr(self, full) for name, full in names.items()}
            for names in self._names
        ]

    def _weights(self, parameters: dict[str, Tensor]) -> Weights[Tensor]:
        named = {name: parameters[name] for name in NAMES if name in parameters}
        return Weights(**named, units=tuple([parameters[name] for name in self.cell.weights]))

    def stack(self) -> Stack:
        """Return the layer as the engine takes it: its weights as they are now, and its options."""
        check_weights(self, self._names, self._by_layer())
        return Stack(
            cell=self.cell,
            weights=tuple([self._weights(parameters) for parameters in self._by_layer()]),
            directions=self.directions,
            training=self.training,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            weight_dropout=self.weight_dropout,
            zoneout=self.zoneout,
            recompute=self.recompute,
            int8=self.int8,
            engine=self.engine,
            heads=self.heads,
        )

    def layout(self, stack: Stack) -> Layout:
        """Return the shapes of the layer's tensors, with the weights of `stack`."""
        return Layout(
            cell=self.cell,
            input_size=self.input_size,
            widths=(self.output_size, *[self.hidden_size] * (len(self.cell.state) - 1)),
            rows=self.num_layers * self.directions,
            batch_first=self.batch_first,
            dtype=stack.weights[0].weight_ih.dtype,
            device=stack.weights[0].weight_ih.device,
        )
