"""Which of the processes that torchrun started this is, as far as its variables tell. Imports no torch."""

import os


def is_first() -> bool:
    """Return whether this process is the only one or the first of those that train together. A RANK without a
    WORLD_SIZE above 1 says nothing: clusters and shells leave it behind."""
    world = os.environ.get("WORLD_SIZE", "").strip()
    several = world.isascii() and world.isdigit() and int(world) > 1
    return not several or os.environ.get("RANK", "0") == "0"
