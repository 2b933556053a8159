"""Device, precision and several processes, through Lightning Fabric."""

import logging
import os
import warnings
from typing import Any, Final

import torch
from lightning_fabric import Fabric
from torch import Tensor

from elman.errors import UsageError

PRECISIONS: Final = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true")


def fabric(device: str, precision: Any) -> Fabric:
    """A launched Fabric: one process, or what `torchrun` started."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError('device="cuda" needs a GPU that PyTorch can see; use "auto" or "cpu"')
    accelerator = "cuda" if torch.cuda.is_available() and device != "cpu" else "cpu"
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Fabric advises on SLURM and worker counts; neither concerns our loop
        warnings.simplefilter("ignore")
        strategy = "ddp" if world > 1 else "auto"
        made = Fabric(
            accelerator=accelerator,
            strategy=strategy,
            devices=local,
            num_nodes=world // local,
            precision=precision,
        )
        made.launch()
    return made


def sum_over(fabric: Fabric, numbers: Tensor) -> Tensor:
    """The sum of a vector over all processes."""
    if fabric.world_size == 1:
        return numbers
    total = fabric.all_reduce(numbers.to(fabric.device), reduce_op="sum")
    assert isinstance(total, Tensor)
    return total


def gather(fabric: Fabric, value: Any) -> list[Any]:
    """A value from every process, in order of rank."""
    if fabric.world_size == 1:
        return [value]
    values: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(values, value)
    return values
