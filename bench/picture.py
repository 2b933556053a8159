"""Draw the README's figure: the demo's memory task, accuracy over the gap.

python bench/picture.py docs/images/memory.svg
"""

import sys
from pathlib import Path

from elman.demo import memory, pictures


def main(path: Path) -> None:
    """Train the four networks and write the figure, on white so that it can be read on any page."""
    drawn = pictures.memory(memory.compare(memory.Budget(), progress=True))
    path.write_text(
        drawn.replace("<svg ", '<svg style="background: #fff; color: #444" ', 1), encoding="utf-8"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
