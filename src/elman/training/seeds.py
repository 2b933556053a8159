"""The random numbers of a step of training."""

import torch


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return a seed that differs widely between neighbouring steps and ranks."""
    return (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) % 2**63


def set_seed(seed: int, device: torch.device) -> None:
    """Seed all generators that a training on a device draws from.

    On the CPU this takes a microsecond; torch.manual_seed takes 160 to 800, since it writes down the stack
    for every kind of device that is not there.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
