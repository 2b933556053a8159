"""Whether a GPU's kernels can be compiled and run here."""

import functools
import importlib.util

import torch

LEAST_CAPABILITY = (8, 0)  # Ampere: the first whose products take bfloat16 and TF32


@functools.cache
def obstacle(device: torch.device) -> str:
    """Return why no kernel can be compiled for a CUDA device, "" if one can."""
    if importlib.util.find_spec("triton") is None:
        return "kernels for a GPU need triton: pip install 'elman[gpu]'"
    if torch.version.hip:
        return "kernels for a GPU have been compiled for NVIDIA's only"
    if torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
        return "kernels for a GPU need compute capability 8.0 or later"
    return ""
