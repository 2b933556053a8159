"""Every question to a private part of PyTorch, in one place: a release may change the answer."""

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

Function = TypeVar("Function", bound=Callable[..., Any])


def is_transformed() -> bool:
    """Return whether a torch.func transform or forward-mode differentiation is active."""
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def is_dispatched() -> bool:
    """Return whether a dispatch mode, such as that of make_fx, looks at every operation."""
    return bool(torch._C._len_torch_dispatch_stack())


def has_function_mode() -> bool:
    """Return whether a mode sees every call of a function of PyTorch's, as that of a default device does."""
    return bool(torch._C._len_torch_function_stack())


def is_jit_traced() -> bool:
    """Return whether torch.jit.trace records operations."""
    return not torch.compiler.is_compiling() and torch._C._get_tracing_state() is not None


def without_autocast(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function compute in the precision of its tensors, even where autocast is on."""

    @functools.wraps(function)
    def exact(*arguments: Any) -> Any:
        with ExitStack() as off:
            for kind in filter(torch.is_autocast_enabled, ("cpu", "cuda")):
                off.enter_context(torch.autocast(kind, enabled=False))
            return function(*arguments)

    return exact


def constant(function: Function) -> Function:
    """Let torch.compile take the function's result as a constant, as `torch.compiler.assume_constant_result`
    does, which first imports the compiler: a second at every start."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@constant
def is_exporting() -> bool:
    """Return whether torch.export records operations. Asked within a graph, PyTorch 2.11 says so of
    torch.compile, too."""
    return torch.compiler.is_exporting()


@constant
def has_half_lstm(dtype: torch.dtype) -> bool:
    """Return whether oneDNN builds an LSTM of this half precision on this processor."""
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_fp16_supported())


def has_memory() -> bool:
    """Return whether a tensor's storage may be asked for: questions become part of a graph."""
    return not (torch.compiler.is_compiling() or is_jit_traced())


def obstacle(*tensors: Tensor | None) -> str:
    """Return why only plain operations will do for these tensors now, "" if kernels will do as well."""
    if is_transformed():
        return "torch.func transforms and forward-mode derivatives need plain operations"
    for tensor in tensors:
        if tensor is not None and type(tensor) not in (Tensor, nn.Parameter):
            return f"kernels take plain tensors, not {type(tensor).__name__}"
    return ""
