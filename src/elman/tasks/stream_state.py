"""The state of a stream as bytes, to go on with it later or elsewhere: safetensors, and so no code.

Whoever reads such bytes has to check every part: they may come from anywhere.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from elman.errors import ArtifactError

DAMAGED: Final = (LookupError, TypeError, ValueError, OverflowError, AttributeError, RuntimeError)


class Saved(NamedTuple):
    """A state: JSON values by name, and tensors by name."""

    values: dict[str, Any]
    tensors: Mapping[str, Tensor]

    def text(self, name: str) -> str:
        """Return a text. Raises ValueError for anything else."""
        value = self.values[name]
        if not isinstance(value, str):
            raise ValueError(f"{name} is no text")
        return value

    def tensor(self, name: str, dtype: torch.dtype, *shape: int, finite: bool = True) -> Tensor:
        """Return a tensor of this kind and shape. Raises ValueError or LookupError if there is none, and, if
        it has to be `finite`, for one that holds NaN or infinity."""
        value = self.tensors[name]
        if value.dtype != dtype or value.shape != shape:
            raise ValueError(f"{name} is of another kind")
        if finite and not bool(value.isfinite().all()):
            raise ValueError(f"{name} is not finite")
        return value

    def length(self, name: str, most: float = math.inf) -> int:
        """Return how many entries a tensor has. Raises ValueError if there are more than `most`."""
        count = self.tensors[name].numel()
        if count > most:
            raise ValueError(f"{name} is too long")
        return count


def to_bytes(task: str, mark: str, saved: Saved) -> bytes:
    """Return a state of a stream of a model, which `mark` tells from others."""
    about = {"elman": "stream", "task": task, "mark": mark, "values": json.dumps(saved.values)}
    return safetensors.torch.save({name: one.contiguous() for name, one in saved.tensors.items()}, about)


def from_bytes(content: Any, task: str, mark: str) -> Saved:
    """Return the state that `to_bytes` gave. Raises ArtifactError for anything else, or another model's."""
    if not isinstance(content, bytes):
        raise ArtifactError(f"the state of a stream must be bytes, not {type(content).__name__}")
    try:
        # copies, which PyTorch aligns: products round differently at other addresses
        tensors = {name: value.clone() for name, value in safetensors.torch.load(content).items()}
        about = metadata(content)
        if about["elman"] != "stream" or about.get("task", task) != task:
            raise ValueError(f"it is of no {task!r} model")
        values = json.loads(about.get("values", "{}"))  # neither was there before version 0.2
    except (SafetensorError, RecursionError, *DAMAGED) as error:
        reason = str(error).partition("\n")[0]
        raise ArtifactError(f"these bytes hold no state of a stream: {reason:.200}") from error
    if about.get("mark") != mark:
        raise ArtifactError("this is the state of a stream of another model: load it with the model it is of")
    if not isinstance(values, dict):
        raise ArtifactError("these bytes hold no state of a stream: its values are no object")
    return Saved(values, tensors)


@contextmanager
def checking() -> Iterator[None]:
    """Turn what the check of a part raises into an ArtifactError."""
    try:
        yield
    except DAMAGED as error:
        raise ArtifactError(f"the state is damaged, its parts don't fit each other: {error}") from error


def metadata(content: bytes) -> dict[str, str]:
    """Return the metadata of a valid safetensors file, which its library reads from files alone."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]).get("__metadata__") or {}


def mark_of(network: nn.Module, *others: Tensor) -> str:
    """Return what tells a network, and other tensors of its model, from others: their shapes and sums."""
    every = [*network.parameters(), *others]
    total = sum(float(one.detach().double().sum()) for one in every)
    return f"{[tuple(one.shape) for one in every]} {total:.12g}"
