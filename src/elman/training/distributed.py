"""Device, precision and several processes, through Lightning Fabric."""

import logging
import os
import warnings
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from elman.errors import UsageError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS: Final = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "64-true")


def fabric(device: str, precision: Any) -> "Fabric":
    """A launched Fabric: one process, or what `torchrun` started.

    Raises:
        UsageError: no GPU, fewer GPUs than processes, or a precision that only a GPU has.
    """
    # Fabric brings half of what there is to import: a model that only predicts need not wait for it
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
    accelerator = _accelerator(device, precision, local)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Fabric advises on SLURM and worker counts; neither concerns our loop
        warnings.simplefilter("ignore")
        made = Fabric(
            accelerator=accelerator,
            strategy="ddp" if world > 1 else "auto",
            devices=local,
            num_nodes=world // local,
            precision=precision,
            # named, so that Fabric doesn't guess: a cluster's variables alone don't make several processes
            plugins=[TorchElasticEnvironment() if world > 1 else LightningEnvironment()],
        )
        made.launch()
    return made


def _accelerator(device: str, precision: Any, local: int) -> str:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cuda" and not gpus:
        raise UsageError('device="cuda" needs a GPU that PyTorch can see; use "auto" or "cpu"')
    accelerator = "cuda" if gpus and device != "cpu" else "cpu"
    if accelerator == "cuda" and local > gpus:
        raise UsageError(
            f"{local} processes need {local} GPUs and this machine has {gpus}: start {gpus}, or use "
            'device="cpu"'
        )
    if accelerator == "cpu" and precision == "16-mixed":
        raise UsageError('precision="16-mixed" needs a GPU: use "bf16-mixed" or "32-true"')
    return accelerator


def sum_over(fabric: "Fabric", numbers: Tensor) -> Tensor:
    """The sum of a vector over all processes."""
    if fabric.world_size == 1:
        return numbers
    total = fabric.all_reduce(numbers.to(fabric.device), reduce_op="sum")
    assert isinstance(total, Tensor)
    return total


def gather(fabric: "Fabric", value: Any) -> list[Any]:
    """A value from every process, in order of rank."""
    if fabric.world_size == 1:
        return [value]
    values: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(values, value)
    return values
