"""Checkpoints with a right checksum and one wrong part: of another kind, shape, dtype, count, or missing."""

import hashlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elman.training import checkpoint

SCALARS: tuple[Any, ...] = (None, -1, 10**30, 2.5, math.nan, math.inf, True, "x", [], {}, [[1]])


def read(folder: Path) -> Any:
    body = checkpoint.path(folder).read_bytes().partition(b"\n")[2]
    return torch.load(io.BytesIO(body), weights_only=True)


def write(folder: Path, content: Any) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    body = buffer.getvalue()
    head = checkpoint.MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n"
    checkpoint.path(folder).write_bytes(head + body)


def mutants(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a name and the content with one part changed, for every part and every change."""
    for change in _changes(content):
        yield f"{path} = {_short(change)}", change
    if isinstance(content, dict):
        for key in content:
            yield f"{path}.{key} is missing", {k: v for k, v in content.items() if k != key}
            for name, inner in mutants(content[key], f"{path}.{key}"):
                yield name, {**content, key: inner}
        yield f"{path} has one more", {**content, "new": 1}
    elif isinstance(content, list | tuple):
        for k in range(len(content)):
            for name, inner in mutants(content[k], f"{path}.{k}"):
                yield name, type(content)([*content[:k], inner, *content[k + 1 :]])
        yield f"{path} has one more", type(content)([*content, 1])
        yield f"{path} is shorter", content[:-1]


def _changes(value: Any) -> Iterator[Any]:
    if isinstance(value, Tensor):
        yield from _tensors(value)
        yield from ([1.0], None, "x", {"a": value}, 3)
        return
    yield from (one for one in SCALARS if type(one) is not type(value) or one != value)
    yield torch.ones(2)


def _tensors(value: Tensor) -> Iterator[Tensor]:
    yield value.flatten()[:-1].clone()
    yield value.unsqueeze(0)
    yield value.double()
    yield value.to(torch.int64)
    yield value.to(torch.complex64)
    yield torch.empty_like(value, device="meta")
    yield torch.full_like(value, math.nan)
    yield torch.full_like(value, -math.inf)
    yield value.reshape(-1)[:1].expand(value.numel()).view(value.shape) if value.numel() else value
    if value.dim() > 1:
        yield value.to_sparse()
        yield value.transpose(0, 1)


def _short(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)} {value.layout} {value.device}"
    return repr(value)[:40]
