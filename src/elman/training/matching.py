"""The parts of a checkpoint, each compared with what the resumed run has in its place before it is used."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from elman.training.checkpoint import Progress


def matched(value: Any, template: Any, name: str) -> Any:
    """Return a copy of a part of a checkpoint if it is like the template: the same types, keys, shapes and
    dtypes, with tensors of memory of their own. Raises ValueError that names the part if it is not."""
    if isinstance(template, Tensor):
        # nothing sparse or quantized, no tensor without memory, no subclass with a mind of its own
        plain = type(value) in (Tensor, torch.nn.Parameter) and value.layout == torch.strided
        if not plain or value.device.type != "cpu" or value.is_quantized:
            raise ValueError(f"{name} is no plain tensor")
        if value.shape != template.shape or value.dtype != template.dtype:
            kinds = [f"{one.dtype} {tuple(one.shape)}" for one in (value, template)]
            raise ValueError(f"{name} is {kinds[0]} instead of {kinds[1]}")
        return value.detach().resolve_neg().clone(memory_format=torch.contiguous_format)
    if isinstance(template, Mapping):
        if not isinstance(value, Mapping) or value.keys() != template.keys():
            raise ValueError(f"{name} has other entries")
        return {key: matched(value[key], template[key], f"{name}, {key}") for key in template}
    if isinstance(template, list | tuple):
        if type(value) is not type(template) or len(value) != len(template):
            raise ValueError(f"{name} has other entries")
        pairs = enumerate(zip(value, template, strict=True))
        return type(template)(matched(one, like, f"{name}, {k}") for k, (one, like) in pairs)
    if type(value) is not type(template) or not (value is None or math.isfinite(value)):
        raise ValueError(f"{name} is of the wrong kind")
    return value


def matched_moments(optimizer: Any, parameters: Mapping[int, Tensor], step: int) -> dict[int, Any]:
    """Return the moments of AdamW after `step` steps for parameters by their number. Raises ValueError for
    those of other parameters."""
    state = optimizer.get("state") if isinstance(optimizer, Mapping) else None
    if not isinstance(state, Mapping):
        raise ValueError("the optimizer has no state")
    moments = {}
    for k, entry in state.items():
        if type(k) is not int or k not in parameters:
            raise ValueError(f"the optimizer has no parameter {k!r}")
        like = {"step": torch.tensor(0.0), "exp_avg": parameters[k], "exp_avg_sq": parameters[k]}
        moments[k] = matched(entry, like, f"the optimizer, {k}")
        if not 0 < float(moments[k]["step"]) <= step:
            raise ValueError(f"the optimizer, {k}, has another number of steps")
    return moments


def check_position(progress: Progress, epochs: int, batches: int, score: str) -> None:
    """Raise ValueError unless a position is possible in a run of so many epochs, with so many batches in the
    present one, and the best model has a score."""
    counts = [progress.epoch, progress.index, progress.step, progress.stale]
    if any(type(count) is not int or count < 0 for count in counts):
        raise ValueError("its position is no whole number")
    if progress.epoch > epochs or progress.index >= (batches if progress.epoch < epochs else 1):
        raise ValueError("its position is beyond the end")
    if progress.step < progress.epoch + progress.index:
        raise ValueError("its position is before its steps")
    if type(progress.seconds) is not float or not 0 <= progress.seconds < math.inf:
        raise ValueError("its time is no number of seconds")
    scores = progress.best_scores
    numbers = isinstance(scores, dict) and all(type(value) is float for value in scores.values())
    if not numbers or any(type(name) is not str for name in scores):
        raise ValueError("its scores are no numbers")
    if progress.best is not None and math.isnan(scores.get(score, math.nan)):
        raise ValueError(f"its best model has no score {score!r}")
