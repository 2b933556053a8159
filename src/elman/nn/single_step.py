"""`RNNCell`, `LSTMCell` and `GRUCell`: one step of a layer, with the interface of torch.nn's.

B sequences, I inputs, H units.
"""

from typing import Any, Final

import torch
from torch import Tensor, nn

from elman import cells
from elman.cells import Cell
from elman.engine import eager, torch_internals, torch_kernels
from elman.engine.call import Call, Engine, Stack, State, Weights
from elman.engine.record import is_recording
from elman.engine.scan import ENGINES, scan
from elman.errors import UsageError
from elman.nn.arguments import check_input, check_states, check_weights
from elman.nn.call_cache import CallCache
from elman.nn.parameters import draw, shapes
from elman.settings import is_whole, plain

NAMES: Final = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
MIN_VALUES: Final = 4096  # of a state, from which on a kernel is quicker than RNNCell of torch.nn


class SingleStep(nn.Module):
    """What the three classes share: a layer's parameters without the layer's number in their names, and one
    step of its cell.

    Without gradients the step of several sequences is a compiled kernel. Otherwise it is PyTorch's own, which
    is quicker there: only a whole sequence brings in what a kernel's backward pass costs to prepare.
    """

    # The same of every cell; a layer has them as options.
    num_layers, directions, proj_size, heads = 1, 1, 0, 1
    bidirectional = layer_norm = int8 = False
    dropout = zoneout = recurrent_dropout = weight_dropout = 0.0

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        bias: bool,
        device: Any,
        dtype: torch.dtype | None,
        engine: Engine,
    ) -> None:
        super().__init__()
        self.cell, self.engine = cell, engine
        self.input_size, self.hidden_size, self.bias = plain(input_size), plain(hidden_size), plain(bias)
        self._calls = CallCache()
        for name in ("input_size", "hidden_size"):
            if not is_whole(value := getattr(self, name)) or value < 1:
                raise UsageError(f"{name} must be a whole number from 1, not {value!r}")
        if not isinstance(self.bias, bool):
            raise UsageError(f"bias must be True or False, not {bias!r}")
        if engine not in ENGINES:
            raise UsageError(f"engine must be one of {', '.join(ENGINES)}, not {engine!r}")
        sizes = shapes(cell, self.input_size, self.hidden_size, 0, self.bias, False)
        for name in NAMES:
            parameter = None
            if name in sizes:
                parameter = nn.Parameter(torch.empty(sizes[name], device=device, dtype=dtype))
            self.register_parameter(name, parameter)
        self.reset_parameters()

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Take one step.

        Args:
            input: (B, I), or (I) for one sequence.
            hx: the state, (B, H) or (H); of an LSTM a pair of them, (h, c). Zeros if None.

        Returns:
            The next state, shaped like hx.

        Raises:
            UsageError: for a shape, dtype or device that doesn't fit.
        """
        new = self._by_kernel(input, hx)
        if new is not None:
            return new
        if not self._is_vendors():
            x, state = self._checked(input, hx)
            return self._to_user(self._by_engine(x, state), input)
        try:
            return self._by_torch(input, hx)
        except Exception:
            self._checked(input, hx)  # says in a sentence what is wrong
            raise

    def explain(self, input: Tensor) -> str:
        """Return which engine takes a step on this input now, and why."""
        self._checked(input, None)
        if self.engine != "auto":
            return f"{self.engine}: asked for"
        if self._by_kernel(input, None) is not None:
            return "compiled: without gradients the step is one kernel"
        return "vendor: PyTorch's step is quicker with gradients and for one sequence, and takes all sizes"

    def reset_parameters(self) -> None:
        """Draw all parameters anew: uniform in ±1/sqrt(H), as torch.nn."""
        draw(self.cell, self._by_name(), None, "uniform")

    def extra_repr(self) -> str:
        options = {"bias": True, "nonlinearity": "tanh"}
        changed = [f"{k}={getattr(self, k)}" for k, v in options.items() if getattr(self, k, v) != v]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])

    def stack(self) -> Stack:
        """Return the cell as the engine takes it: its weights as they are now."""
        parameters = self._by_name()
        check_weights(self, [{name: name for name in parameters}], [parameters])
        return Stack(self.cell, (self._weights(),), 1, self.training, 0.0, 0.0, 0.0, 0.0, engine=self.engine)

    def _by_name(self) -> dict[str, Tensor]:
        return {name: weight for name in NAMES if (weight := getattr(self, name)) is not None}

    def _weights(self) -> Weights[Tensor]:
        # a module's attributes are slower to read than its dict; parametrized weights are attributes only
        plain: dict[str, Any] = self._parameters
        return Weights(*[plain[name] if name in plain else getattr(self, name) for name in NAMES])

    def _is_vendors(self) -> bool:
        """Return whether the step is PyTorch's own, unless a kernel takes it."""
        if self.engine != "auto" or torch.compiler.is_compiling():
            return self.engine in ("auto", "vendor")
        # a lens notes what a scan does, and PyTorch's step of an LSTM refuses vmap
        return not (is_recording() or torch_internals.is_transformed())

    def _by_kernel(self, input: Any, hx: Any) -> Any:
        """Return the next state, if a kernel alone can compute it and is quicker; else None."""
        if torch.compiler.is_compiling():
            return None
        if type(input) is not Tensor or self.engine not in ("auto", "compiled") or input.dim() != 2:
            return None
        # Measured: looking for changed weights costs as much as a kernel saves for one sequence, and for few
        # units of RNNCell, which is only three operations of PyTorch's.
        rows = input.shape[0]
        pays = rows > 1 and (len(self.cell.gates) > 1 or rows * self.hidden_size >= MIN_VALUES)
        return self._calls.advance(self, input, hx) if pays or self.engine == "compiled" else None

    def _checked(self, input: Any, hx: Any) -> tuple[Tensor, State]:
        """Return x (B, I) and states (B, H), or raise UsageError."""
        if not isinstance(input, Tensor):
            raise UsageError(f"input must be a tensor (B, I) or (I), not {type(input).__name__}")
        if input.dim() not in (1, 2):
            raise UsageError(f"input must be (B, I) or (I), not {tuple(input.shape)}")
        weight = self._weights().weight_ih
        check_input(input, self.input_size, weight.dtype, weight.device)
        shape = (*input.shape[:-1], self.hidden_size)
        if hx is None:
            state = (input.new_zeros(shape),) * len(self.cell.state)
        else:
            state = check_states(self.cell, hx, [shape] * len(self.cell.state), input)
        if input.dim() == 2:
            return input, state
        return input.unsqueeze(0), tuple(s.unsqueeze(0) for s in state)

    def _by_torch(self, input: Tensor, hx: Any) -> Any:
        """Take the step of PyTorch, which checks most of its arguments itself."""
        single = input.dim() == 1
        if hx is None:
            zeros = input.new_zeros(*input.shape[:-1], self.hidden_size)
            hx = (zeros,) * len(self.cell.state)
        state = (hx,) if isinstance(hx, Tensor) else hx
        if input.dim() > 2 or any(s.dim() != input.dim() for s in state):  # which would broadcast
            raise ValueError
        if not single:
            new = torch_kernels.step(self.cell, input, state, self._weights())
            return new if len(new) > 1 else new[0]
        state = tuple(s.unsqueeze(0) for s in state)
        return self._to_user(torch_kernels.step(self.cell, input[None], state, self._weights()), input)

    def _by_engine(self, x: Tensor, state: State) -> State:
        if self.engine == "auto" and not is_recording():
            return eager.step(self.cell, x, state, self._weights())
        result = scan(self.stack(), x.unsqueeze(0), tuple(s.unsqueeze(0) for s in state), Call())
        return tuple(s.squeeze(0) for s in result.state)

    def _to_user(self, new: State, input: Tensor) -> Any:
        shaped = tuple(s.squeeze(0) for s in new) if input.dim() == 1 else new
        return shaped if len(shaped) > 1 else shaped[0]


class RNNCell(SingleStep):
    """torch.nn.RNNCell: one step of Elman's network with tanh or relu.

    `engine` is "auto" (the quickest), or insists on "compiled", "vendor" (PyTorch's kernels) or "eager".
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        engine: Engine = "auto",
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise UsageError(f'nonlinearity must be "tanh" or "relu", not {nonlinearity!r}')
        cell = cells.Elman if nonlinearity == "tanh" else cells.ElmanReLU
        super().__init__(cell, input_size, hidden_size, bias, device, dtype, engine)
        self.nonlinearity = nonlinearity


class LSTMCell(SingleStep):
    """torch.nn.LSTMCell: one step of an LSTM; `engine` as in `RNNCell`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        engine: Engine = "auto",
    ) -> None:
        super().__init__(cells.LSTM, input_size, hidden_size, bias, device, dtype, engine)


class GRUCell(SingleStep):
    """torch.nn.GRUCell: one step of a GRU; `engine` as in `RNNCell`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        engine: Engine = "auto",
    ) -> None:
        super().__init__(cells.GRU, input_size, hidden_size, bias, device, dtype, engine)
