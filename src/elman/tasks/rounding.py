"""Weights of a saved model in fewer bits; a loaded model computes in float32 all the same.

With 8 bits, a matrix becomes whole numbers from -127 to 127 times a scale for each of its rows, or for each
of its columns where rows are short. The scales have the matrix's name with SCALES after it. What has fewer
than two dimensions keeps 16 bits.
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from elman.errors import UsageError
from elman.settings import is_number

BITS: Final = (32, 16, 8)
SCALES: Final = ":scales"
LARGEST: Final = 127
SHORT_ROW: Final = 16  # numbers, for which a scale of 32 bits would be as large as what it saves


def rounded(tensors: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    """Return tensors of which those of float32 have so many bits, with the scales of those of 8.

    Raises UsageError for another number than those of BITS, or a weight that is too large.
    """
    if not is_number(bits) or bits not in BITS:
        raise UsageError(f"bits is {bits!r:.60}; it must be 32, 16 or 8")
    small: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        if bits == 32 or tensor.dtype != torch.float32:
            small[key] = tensor
        elif bits == 8 and tensor.ndim > 1 and tensor.numel() and tensor.isfinite().all():
            small[key], small[key + SCALES] = _whole_numbers(tensor)
        else:
            small[key] = tensor.half()
            if bool((small[key].isinf() & tensor.isfinite()).any()):
                raise UsageError(f"the weights {key} are too large for bits={bits}: save without it")
    return small


def widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of which those of 16 and 8 bits became float32. Raises ValueError for scales that are
    missing or don't fit."""
    scales = {key for key, tensor in tensors.items() if tensor.dtype == torch.int8}
    wide = {key: t for key, t in tensors.items() if key.removesuffix(SCALES) not in scales or key in scales}
    for key, tensor in wide.items():
        if tensor.dtype == torch.float16:
            wide[key] = tensor.float()
        elif tensor.dtype == torch.int8:
            wide[key] = _scaled(key, tensor, tensors.get(key + SCALES))
    return wide


def _whole_numbers(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 and the scales, of the same number of dimensions, by which it is multiplied."""
    dimensions = tuple(range(1, tensor.ndim))
    if tensor[0].numel() < SHORT_ROW:
        dimensions = (0,)
    scales = tensor.abs().amax(dimensions, keepdim=True) / LARGEST
    whole = (tensor / torch.where(scales > 0, scales, 1)).round().clamp(-LARGEST, LARGEST)
    return whole.to(torch.int8), scales


def _scaled(key: str, tensor: Tensor, scales: Tensor | None) -> Tensor:
    if scales is None:
        raise ValueError(f"{key} must hold numbers of float32, or of int8 with their scales")
    sizes = zip(scales.shape, tensor.shape, strict=False)
    if scales.ndim != tensor.ndim or any(size not in (1, whole) for size, whole in sizes):
        raise ValueError(f"the scales of {key} are of another shape")
    if scales.dtype != torch.float32:
        raise ValueError(f"the scales of {key} must be float32")
    return tensor.float() * scales
