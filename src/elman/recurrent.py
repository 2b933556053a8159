"""`Recurrent`: a stack of scans of any cell, with the manners of torch.nn.

Shapes: T steps, B sequences, I inputs, H units, L layers, D directions, P = proj_size or H.
"""

import math
import warnings
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from elman.cells import Cell
from elman.engine import scan as engine
from elman.engine.call import Call, Result, State, Weights
from elman.errors import UsageError

Init = Literal["uniform", "orthogonal"]
States = Tensor | tuple[Tensor, ...]


class Recurrent(nn.Module):
    """A stack of scans of one cell, with torch.nn's arguments, parameter names, shapes and initial values.

    Args:
        cell: the recurrence, from `elman.cells` or declared with `@elman.cell`.
        proj_size: P > 0 projects the output to P values, as torch.nn.LSTM does, for any cell.
        zoneout: share of units that keep their old value at a step while training; when not training, the
            expectation. Krueger et al., arXiv:1606.01305.
        recurrent_dropout: share of h that U doesn't see, the same units at all steps of a call.
            Gal, Ghahramani, arXiv:1512.05287.
        weight_dropout: share of U's entries dropped, the same at all steps of a call ("weight drop").
            Merity et al., arXiv:1708.02182.
        layer_norm: normalise W x and U h, each over all gates, with learned gains.
            Ba et al., arXiv:1607.06450.
        forget_bias: initial bias of gate `f`. Jozefowicz et al., ICML 2015.
        recurrent_init: "uniform" as torch.nn, or "orthogonal" for every gate's block of U. Saxe et al.,
            arXiv:1312.6120.
        engine: "auto" picks the fastest that computes the same; "eager" or "vendor" insist on one.
        The others are torch.nn.LSTM's.

    Raises:
        UsageError: a size that isn't positive, a share outside 0..1, an option the cell can't have.
    """

    def __init__(
        self,
        cell: Cell,
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
        forget_bias: float | None = None,
        recurrent_init: Init = "uniform",
        engine: engine.Engine = "auto",
    ) -> None:
        super().__init__()
        self.cell = cell
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout, self.proj_size, self.zoneout = float(dropout), proj_size, float(zoneout)
        self.recurrent_dropout, self.weight_dropout = float(recurrent_dropout), float(weight_dropout)
        self.layer_norm, self.forget_bias, self.recurrent_init = layer_norm, forget_bias, recurrent_init
        self.engine = engine
        self._check()
        for layer in range(num_layers):
            for suffix in self._suffixes:
                self._declare(layer, suffix, {"device": device, "dtype": dtype})
        self.reset_parameters()

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Size of one direction's output: P."""
        return self.proj_size or self.hidden_size

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: States | None = None,
        *,
        lengths: Tensor | list[int] | None = None,
        reset: Tensor | None = None,
        return_states: bool = False,
    ) -> Any:
        """Run along whole sequences.

        Args:
            input: (T, B, I), (B, T, I) if batch_first, (T, I) for one sequence, or a PackedSequence.
            hx: initial state (L*D, B, P), or a tuple with one tensor a state of the cell (the first of
                width P, the others H); zeros if None.
            lengths: (B) steps of each sequence, any order, 0 allowed. Outputs beyond them are 0, and the
                final state is the one after a sequence's own last step.
            reset: bool, shaped like input without its last axis. True marks the first step of a new sequence
                within a row: no direction carries state across its beginning.
            return_states: also return every state of every step.

        Returns:
            (output (T, B, D*P), final state shaped like hx) as torch.nn; with return_states a third entry
            shaped like the final state with a leading axis T.

        Raises:
            UsageError: a shape that doesn't fit.
        """
        if isinstance(input, PackedSequence):
            if lengths is not None or reset is not None:
                raise UsageError(
                    "a PackedSequence brings its own lengths: pass lengths and reset with tensors"
                )
            return self._forward_packed(input, hx, return_states)
        single = input.dim() == 2
        x = self._time_major(input)
        resets = self._resets(reset, input)
        state = self._initial(hx, x, single)
        output, final, every = self._stack(x, state, self._lengths(lengths, x), resets, return_states)
        output = output.squeeze(1) if single else output.transpose(0, 1) if self.batch_first else output
        if return_states:
            return output, self._outward(final, single), self._outward(every, single)
        return output, self._outward(final, single)

    def step(self, x: Tensor, state: States | None = None) -> tuple[Tensor, States]:
        """One step: x (B, I) or (I) and a state from `step` or `forward` to (output (B, P), next state).

        Raises:
            UsageError: for a bidirectional layer, or while training with masks that span a whole sequence.
        """
        if self.bidirectional:
            raise UsageError(
                "a bidirectional layer can't step: it needs the sequence's end before its beginning"
            )
        if self.training and (self.recurrent_dropout or self.weight_dropout):
            raise UsageError("recurrent_dropout and weight_dropout span a sequence: call eval() before step")
        if x.dim() not in (1, 2):
            raise UsageError(f"step takes x (B, I) or (I), not {tuple(x.shape)}")
        single = x.dim() == 1
        inputs = self._checked(x.reshape(1, -1, x.shape[-1]))
        output, final, _ = self._stack(inputs, self._initial(state, inputs, single), None, None, False)
        return output[0, 0] if single else output[0], self._outward(final, single)

    def reset_parameters(self) -> None:
        """Draw all parameters anew: uniform in ±1/sqrt(H) as torch.nn, then the named options."""
        bound = 1 / math.sqrt(self.hidden_size)
        for name, parameter in self.named_parameters():
            if name.startswith("gain"):
                nn.init.ones_(parameter)
            elif not self.cell.recurrent and name.startswith(self.cell.weights):
                # Li et al. 2018: a unit's own recurrent weight starts between forgetting and keeping.
                nn.init.uniform_(parameter, 0.0, 1.0)
            else:
                nn.init.uniform_(parameter, -bound, bound)
        for layer, suffix in self._all():
            self._special_init(layer, suffix)

    def flatten_parameters(self) -> None:
        """Does nothing; stands here because torch.nn's layers have it."""

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        return [
            [p for name, p in self.named_parameters() if name.endswith(f"_l{layer}{suffix}")]
            for layer, suffix in self._all()
        ]

    def explain(self, input: Tensor, *, lengths: Tensor | None = None, reset: Tensor | None = None) -> str:
        """Which engine a forward pass on this input takes, and why."""
        x = self._time_major(input)
        call = self._call(x, 0, "", self._lengths(lengths, x), self._resets(reset, input), False)
        choice = engine.choose(self.cell, x, self._weights(0, ""), call, self.engine)
        return f"{choice.engine}: {choice.reason}"

    def extra_repr(self) -> str:
        plain = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        extra = {"proj_size": 0, "zoneout": 0.0, "recurrent_dropout": 0.0, "weight_dropout": 0.0}
        given = {
            k: getattr(self, k)
            for k, v in (plain | extra | {"layer_norm": False}).items()
            if getattr(self, k) != v
        }
        sizes = f"{self.input_size}, {self.hidden_size}"
        options = "".join(f", {k}={v}" for k, v in given.items())
        return (f"{self.cell.name}, " if type(self) is Recurrent else "") + sizes + options

    # ---- parameters

    def _check(self) -> None:
        for name in ("input_size", "hidden_size", "num_layers"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                raise UsageError(f"{name} must be a whole number above 0, not {value!r}")
        for name in ("dropout", "zoneout", "recurrent_dropout", "weight_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        if not 0 <= self.proj_size < self.hidden_size:
            raise UsageError(
                f"proj_size must be smaller than hidden_size {self.hidden_size}, not {self.proj_size}"
            )
        if self.dropout and self.num_layers == 1:
            warnings.warn("dropout acts between layers: with num_layers=1 it does nothing", stacklevel=4)
        if not self.cell.recurrent and (self.recurrent_dropout or self.weight_dropout):
            raise UsageError(
                f"{self.cell.name} has no recurrent matrix for recurrent_dropout or weight_dropout"
            )
        if self.forget_bias is not None and ("f" not in self.cell.gates or not self.bias):
            raise UsageError(f"forget_bias needs bias=True and a gate f; {self.cell!r}, bias={self.bias}")
        if self.recurrent_init not in ("uniform", "orthogonal"):
            raise UsageError(f'recurrent_init must be "uniform" or "orthogonal", not {self.recurrent_init!r}')
        if self.engine not in ("auto", *engine.ENGINES):
            raise UsageError(f'engine must be "auto", "eager" or "vendor", not {self.engine!r}')

    @property
    def _suffixes(self) -> list[str]:
        return ["", "_reverse"] if self.bidirectional else [""]

    def _all(self) -> list[tuple[int, str]]:
        return [(layer, suffix) for layer in range(self.num_layers) for suffix in self._suffixes]

    def _declare(self, layer: int, suffix: str, kind: dict[str, Any]) -> None:
        """Register one layer's parameters in torch.nn's order, so that one seed draws the same numbers."""
        rows = len(self.cell.gates) * self.hidden_size
        inputs = self.input_size if layer == 0 else self.directions * self.output_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs)}
        if self.cell.recurrent:
            shapes["weight_hh"] = (rows, self.output_size)
        if self.bias:
            shapes["bias_ih"] = (rows,)
            if self.cell.recurrent:
                shapes["bias_hh"] = (rows,)
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        if self.layer_norm:
            shapes["gain_ih"] = (rows,)
            if self.cell.recurrent:
                shapes["gain_hh"] = (rows,)
        shapes |= dict.fromkeys(self.cell.weights, (self.hidden_size,))
        for name, shape in shapes.items():
            self.register_parameter(f"{name}_l{layer}{suffix}", nn.Parameter(torch.empty(shape, **kind)))

    def _parameter(self, name: str, layer: int, suffix: str) -> Tensor | None:
        return getattr(self, f"{name}_l{layer}{suffix}", None)

    def _special_init(self, layer: int, suffix: str) -> None:
        hh = self._parameter("weight_hh", layer, suffix)
        if self.recurrent_init == "orthogonal" and hh is not None:
            for block in hh.detach().chunk(len(self.cell.gates)):
                nn.init.orthogonal_(block)
        if self.forget_bias is not None:
            place = self.cell.gates.index("f")
            for name, value in (("bias_ih", self.forget_bias), ("bias_hh", 0.0)):
                bias = self._parameter(name, layer, suffix)
                if bias is not None:
                    bias.detach().chunk(len(self.cell.gates))[place].fill_(value)

    def _weights(self, layer: int, suffix: str) -> Weights:
        def get(name: str) -> Any:
            return self._parameter(name, layer, suffix)

        hh = get("weight_hh")
        if self.training and self.weight_dropout:
            hh = F.dropout(hh, self.weight_dropout)
        units = tuple(get(name) for name in self.cell.weights)
        biases_gains = (
            get("bias_ih"),
            get("bias_hh"),
            get("weight_hr"),
            units,
            get("gain_ih"),
            get("gain_hh"),
        )
        return Weights(get("weight_ih"), hh, *biases_gains, hidden=self.hidden_size)

    # ---- running

    def _stack(
        self, x: Tensor, state: State, lengths: Tensor | None, reset: Tensor | None, every: bool
    ) -> tuple[Tensor, State, State | None]:
        """All layers on x (T, B, ·); states are stacked over (layer, direction) as torch.nn does."""
        results: list[Result] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for suffix in self._suffixes:
                start = tuple(s[len(results)] for s in state)
                call = self._call(x, layer, suffix, lengths, reset, every)
                result = engine.scan(self.cell, x, start, self._weights(layer, suffix), call, self.engine)
                outputs.append(result.output)
                results.append(result)
            x = torch.cat(outputs, 2) if self.bidirectional else outputs[0]
        final = tuple(torch.stack(s) for s in zip(*(r.state for r in results), strict=True))
        if not every:
            return x, final, None
        return x, final, tuple(torch.stack(s, 1) for s in zip(*(r.every or () for r in results), strict=True))

    def _call(
        self, x: Tensor, layer: int, suffix: str, lengths: Tensor | None, reset: Tensor | None, every: bool
    ) -> Call:
        steps, batch = x.shape[:2]
        mask = zoneout = None
        if self.recurrent_dropout and self.training:
            mask = F.dropout(x.new_ones(batch, self.output_size), self.recurrent_dropout)
        if self.zoneout:
            widths = [self.output_size] + [self.hidden_size] * (len(self.cell.state) - 1)
            zoneout = tuple(
                torch.bernoulli(x.new_full((steps, batch, w), self.zoneout))
                if self.training
                else self.zoneout
                for w in widths
            )
        return Call(lengths, reset, bool(suffix), mask, zoneout, every)

    def _forward_packed(self, packed: PackedSequence, hx: States | None, return_states: bool) -> Any:
        """The rows of a PackedSequence in its own order: sorted by length."""
        if return_states:
            raise UsageError("return_states needs tensors with lengths, not a PackedSequence")
        order, back = packed.sorted_indices, packed.unsorted_indices
        x, lengths = pad_packed_sequence(PackedSequence(packed.data, packed.batch_sizes))
        state = self._initial(hx, self._checked(x), False)
        state = state if order is None else tuple(s.index_select(1, order) for s in state)
        output, final, _ = self._stack(x, state, lengths.to(x.device), None, False)
        final = final if back is None else tuple(s.index_select(1, back) for s in final)
        data = pack_padded_sequence(output, lengths).data
        return PackedSequence(data, packed.batch_sizes, order, back), self._outward(final, False)

    # ---- shapes

    def _time_major(self, input: Tensor) -> Tensor:
        if input.dim() == 2:
            return self._checked(input.unsqueeze(1))
        if input.dim() != 3:
            layout = "(B, T, I)" if self.batch_first else "(T, B, I)"
            raise UsageError(f"input must be {layout} or (T, I), not {tuple(input.shape)}")
        return self._checked(input.transpose(0, 1) if self.batch_first else input)

    def _checked(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.input_size:
            raise UsageError(
                f"the last axis of input must be input_size {self.input_size}, not {x.shape[-1]}"
            )
        return x

    def _initial(self, hx: States | None, x: Tensor, single: bool) -> State:
        batch, rows = x.shape[1], self.num_layers * self.directions
        widths = [self.output_size] + [self.hidden_size] * (len(self.cell.state) - 1)
        if hx is None:
            return tuple(x.new_zeros(rows, batch, w) for w in widths)
        given = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if len(given) != len(widths):
            raise UsageError(
                f"{self.cell.name} has states {' '.join(self.cell.state)}: pass hx with {len(widths)}"
            )
        for name, tensor, width in zip(self.cell.state, given, widths, strict=True):
            expected = (rows, width) if single else (rows, batch, width)
            if tuple(tensor.shape) != expected:
                raise UsageError(f"initial state {name} must be {expected}, not {tuple(tensor.shape)}")
        return tuple(s.unsqueeze(1) for s in given) if single else given

    def _lengths(self, lengths: Tensor | list[int] | None, x: Tensor) -> Tensor | None:
        if lengths is None:
            return None
        result = torch.as_tensor(lengths, device=x.device)
        if result.shape != x.shape[1:2] or result.is_floating_point():
            raise UsageError(f"lengths must be {x.shape[1]} whole numbers, one a sequence")
        if bool(((result < 0) | (result > x.shape[0])).any()):
            raise UsageError(f"lengths must lie between 0 and the {x.shape[0]} steps of input")
        return result.long()

    def _resets(self, reset: Tensor | None, input: Tensor) -> Tensor | None:
        if reset is None:
            return None
        if reset.shape != input.shape[:-1] or reset.dtype != torch.bool:
            raise UsageError(
                f"reset must be bool {tuple(input.shape[:-1])}, not {reset.dtype} {tuple(reset.shape)}"
            )
        return (
            reset.unsqueeze(1) if reset.dim() == 1 else reset.transpose(0, 1) if self.batch_first else reset
        )

    def _outward(self, state: State | None, single: bool) -> States:
        assert state is not None
        shaped = tuple(s.squeeze(-2) for s in state) if single else state
        return shaped if len(shaped) > 1 else shaped[0]
