"""Device, precision and multiple processes, through Lightning Fabric."""

import logging
import os
import warnings
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from elman.errors import UsageError

# Variables by which the processes of a training find each other.
TORCHRUN: Final = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
ADVICE: Final = "unset it, or start the training with torchrun"

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def processes() -> int:
    """Return the number of processes that train together. Raises UsageError for a variable that torchrun
    would not set so."""
    return _number("WORLD_SIZE", 1)


def _local_processes() -> int:
    """Return the number of them on this machine."""
    world = processes()
    if world > 1 and (missing := [name for name in TORCHRUN if name not in os.environ]):
        raise UsageError(f"WORLD_SIZE is {world}, but {missing[0]} is not set: {ADVICE}")
    local = _number("LOCAL_WORLD_SIZE", world)
    if world % local:
        raise UsageError(f"LOCAL_WORLD_SIZE is {local}, but WORLD_SIZE is {world}: {ADVICE}")
    return local


def _number(variable: str, default: int) -> int:
    """Return a number of processes that torchrun sets. Raises UsageError for anything else."""
    text = os.environ.get(variable, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError(f"{variable} is {text!r:.60}, but should be a number of processes: {ADVICE}")
    return int(text)


def fabric(device: str, precision: Any) -> "Fabric":
    """Return a launched Fabric for this process, or for all processes that `torchrun` started.

    Raises UsageError for a device without GPU, fewer GPUs than processes, or a precision that needs a GPU.
    """
    # Fabric takes as long to import as everything else together: a model that only predicts can do without
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    world, local = processes(), _local_processes()
    accelerator = _accelerator(device, precision, local)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with warnings.catch_warnings(action="ignore"):  # about SLURM and worker counts, which do not apply here
        launched = Fabric(
            accelerator=accelerator,
            strategy=DDPStrategy(**_without_buffers()) if world > 1 else "auto",
            devices=local,
            num_nodes=world // local,
            precision=precision,
            # set explicitly: Fabric would take a cluster's environment variables for several processes
            plugins=[TorchElasticEnvironment() if world > 1 else LightningEnvironment()],
        )
        launched.launch()
    return launched


def _without_buffers() -> dict[str, Any]:
    """Return DistributedDataParallel's argument by which a step sends no buffers: they are large tables of
    the data, the same in all processes. Newer releases of PyTorch warn of the old name."""
    names = signature(torch.nn.parallel.DistributedDataParallel).parameters
    new = "forward_sync_buffers"
    return {new if new in names else "broadcast_buffers": False}


def _accelerator(device: str, precision: Any, local: int) -> str:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cuda" and not gpus:
        raise UsageError('device="cuda" needs a GPU that PyTorch can see; use "auto" or "cpu"')
    accelerator = "cuda" if gpus and device != "cpu" else "cpu"
    if accelerator == "cuda" and local > gpus:
        advice = f'start {gpus}, or use device="cpu"'
        raise UsageError(f"{local} processes need {local} GPUs and this machine has {gpus}: {advice}")
    if accelerator == "cpu" and precision == "16-mixed":
        raise UsageError('precision="16-mixed" needs a GPU: use "bf16-mixed" or "32-true"')
    return accelerator


def sum_over(fabric: "Fabric", numbers: Tensor) -> Tensor:
    """Return the sum of a vector over all processes."""
    if fabric.world_size == 1:
        return numbers
    total = fabric.all_reduce(numbers.to(fabric.device), reduce_op="sum")
    assert isinstance(total, Tensor)
    return total


def gather(fabric: "Fabric", value: Any) -> list[Any]:
    """Return the values of all processes, in order of rank."""
    if fabric.world_size == 1:
        return [value]
    values: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(values, value)
    return values
