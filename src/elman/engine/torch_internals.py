"""Whether PyTorch is looking through a call: kernels that are opaque to it must step aside then."""

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad


def obstacle(x: Tensor) -> str:
    """Why only plain operations will do for this tensor now; "" if anything does."""
    if torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0:
        return "torch.func transforms and forward-mode derivatives need plain operations"
    if type(x) not in (Tensor, nn.Parameter):
        return f"kernels take plain tensors, not {type(x).__name__}"
    return ""
