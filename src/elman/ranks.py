"""Which of the processes that torchrun started this is, as far as its variables tell. Imports no torch."""

import os


def are_several() -> bool:
    """Return whether several processes train together."""
    world = os.environ.get("WORLD_SIZE", "").strip()
    return world.isascii() and world.isdigit() and int(world) > 1


def is_first() -> bool:
    """Return whether this process is the only one or the first of those that train together. A RANK without a
    WORLD_SIZE above 1 says nothing: clusters and shells leave it behind."""
    return not are_several() or os.environ.get("RANK", "0") == "0"
