"""The only place that asks PyTorch where a tensor lies.

A kernel reads and writes raw memory. A caller's tensor gives its address only once its class, device, dtype,
shape, strides, lazy bits and the size of its storage have been looked at.
"""

import weakref
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from elman.errors import UsageError

CPU: Final = torch.device("cpu")
_CLASSES: Final = (Tensor, nn.Parameter)  # subclasses may keep their numbers elsewhere
Shape = tuple[int, ...]


def own(tensor: Tensor) -> int:
    """Return the address of a contiguous tensor that the engine has made itself or that `plain` returned."""
    return tensor.data_ptr()


def held(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Return the tensors without history, to be kept while their addresses are used: another thread may
    assign `.data` of the originals meanwhile, which would free their memory."""
    return [tensor.detach() for tensor in tensors]


def find(tensor: Any, shape: Shape, dtype: torch.dtype) -> int:
    """Return the address of a plain contiguous tensor of this shape, 0 for anything else."""
    try:
        if (
            type(tensor) in _CLASSES
            and tensor.is_cpu
            and tensor.dtype is dtype
            and tensor.shape == shape
            and tensor.is_contiguous()
            and not tensor.is_neg()
        ):
            size = dtype.itemsize
            if tensor.untyped_storage().nbytes() >= (tensor.storage_offset() + tensor.numel()) * size:
                address = tensor.data_ptr()
                return address if address % size == 0 else 0
    except RuntimeError:  # a sparse, nested or functorch tensor has no storage; NotImplementedError is one
        pass
    return 0


def find_rows(tensor: Any, shape: Shape, dtype: torch.dtype) -> int:
    """Do the same for a tensor whose last axis is contiguous, whatever the others."""
    address = find(tensor, shape, dtype)
    if not address and (address := find_strided(tensor, shape, dtype)):
        return address if tensor.stride(-1) == 1 or shape[-1] == 1 else 0
    return address


def find_strided(tensor: Any, shape: Shape, dtype: torch.dtype) -> int:
    """Do the same for a tensor of any strides."""
    try:
        if (
            type(tensor) in _CLASSES
            and tensor.is_cpu
            and tensor.dtype is dtype
            and tensor.shape == shape
            and not tensor.is_neg()
            and _bytes(tensor) <= tensor.untyped_storage().nbytes()
        ):
            address = tensor.data_ptr()
            return address if address % dtype.itemsize == 0 else 0
    except RuntimeError:  # as in `find`
        pass
    return 0


def _bytes(tensor: Tensor) -> int:
    """Return how many bytes of its storage a tensor reaches."""
    if 0 in tensor.shape:
        return 0
    extent = 1 + sum([(n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True)])
    return (int(tensor.storage_offset()) + extent) * tensor.dtype.itemsize


def separate(tensors: Iterable[Tensor], others: Iterable[Tensor]) -> list[Tensor]:
    """Return contiguous tensors that share their memory with nobody: themselves, or copies where they share
    it with each other or with `others`."""
    taken, results = {_storage(other) for other in others}, list[Tensor]()
    for tensor in tensors:
        one = tensor.contiguous()
        if _storage(one) in taken:
            one = one.clone()
        taken.add(_storage(one))
        results.append(one)
    return results


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class Mark(NamedTuple):
    """A contiguous tensor as it was, to notice another one in its place."""

    tensor: "weakref.ref[Tensor]"  # weak: the mark may be kept under a key that must die with the tensor
    version: int
    address: int
    storage: torch.UntypedStorage  # held: another thread may assign tensor.data while its numbers are read
    bytes: int


def mark(tensor: Tensor) -> Mark:
    """Note what PyTorch says of a tensor now."""
    storage = tensor.untyped_storage()
    return Mark(weakref.ref(tensor), tensor._version, tensor.data_ptr(), storage, storage.nbytes())


def are_marked(tensors: Iterable[Tensor], marks: Iterable[Mark]) -> bool:
    """Return whether these are the marked tensors, in the same memory, unchanged as far as PyTorch counts."""
    for tensor, (marked, version, address, storage, size) in zip(tensors, marks, strict=True):
        if marked() is not tensor or tensor._version != version:
            return False
        if tensor.data_ptr() != address or storage.nbytes() != size:
            return False
    return True


def plain(
    name: str, tensor: Any, shape: Shape, dtype: torch.dtype, rows: bool = False, device: torch.device = CPU
) -> Tensor:
    """Return a tensor with the same numbers whose memory a kernel can read: itself, or a contiguous copy.

    With `rows` only the last axis need be contiguous. Raises UsageError for another class, device, dtype or
    shape, and for a storage that is smaller than the tensor.
    """
    if device.type == "cpu" and (find_rows if rows else find)(tensor, shape, dtype):
        return tensor  # type: ignore[no-any-return]
    if isinstance(tensor, Tensor) and type(tensor) not in _CLASSES:
        raise UsageError(f"{name} must be a plain tensor for a kernel, not {type(tensor).__name__}")
    if reason := problem(tensor, shape, dtype, device):
        raise UsageError(f"{name} {reason}")
    if device.type != "cpu" and tensor.is_contiguous() and not tensor.is_neg():
        return tensor  # type: ignore[no-any-return]
    return tensor.detach().clone(memory_format=torch.contiguous_format)  # type: ignore[no-any-return]


def problem(tensor: Any, shape: Shape, dtype: torch.dtype, device: torch.device) -> str:
    """Return what keeps a tensor from being of this kind, to stand behind its name; "" if nothing does."""
    if not isinstance(tensor, Tensor):
        return f"must be a tensor, not {type(tensor).__name__}"
    if reason := _layout_problem(tensor):
        return reason
    if tensor.device != device:
        return f"is on {tensor.device} but must be on {device}: use .to() on one of them"
    if tensor.dtype is not dtype:
        return f"is {tensor.dtype} but must be {dtype}: use .to() on one of them"
    if tensor.shape != shape:
        return f"must be {tuple(shape)}, not {tuple(tensor.shape)}"
    return storage_problem(tensor)


def _layout_problem(tensor: Tensor) -> str:
    if tensor.layout is torch.strided and not tensor.is_nested:
        return ""
    return f"must be a dense tensor, not {'nested' if tensor.is_nested else tensor.layout}"


def storage_problem(tensor: Tensor) -> str:
    """Return in words that a tensor isn't dense or that its storage has been freed or cut, "" if neither."""
    if reason := _layout_problem(tensor):
        return reason
    if type(tensor) not in _CLASSES or not tensor.numel():
        return ""
    try:
        size = tensor.untyped_storage().nbytes()
    except RuntimeError:  # PyTorch's own operations know where such a tensor's numbers are
        return ""
    needed = _bytes(tensor)
    if needed <= size:
        return ""
    return f"needs {needed} bytes, but its storage has only {size}: it has been freed or resized"
