"""Remember one word while 10 to 200 others go by: accuracy and memory horizon of three cells, 5 seeds.

    python bench/gap.py [PICTURE.svg]

Each network is trained for 1,000 steps on gaps of up to so many words and tested on that gap: twice, with
biases of gates that suit the gap (Tallec, Ollivier, arXiv:1804.11188), and for GRU and LSTM with biases of 0.
Prints a line of JSON for each network as it comes, and two tables.
"""

import json
import sys
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from elman.lesson.gap import Trial, compare

GAPS, SEEDS, STEPS = (10, 20, 50, 100, 200), range(5), 1000


def main(picture: Path | None) -> None:
    torch.set_num_threads(1)
    started = time.perf_counter()

    def hear(one: Trial, kind: str) -> None:
        print(json.dumps({"gates": kind, **asdict(one)}), flush=True)

    run = partial(compare, GAPS, SEEDS, STEPS)
    suited = run(hear=partial(hear, kind="suited"))
    if picture is not None:
        suited.plot(picture)
    plain = run(cells=("GRU", "LSTM"), remember=False, hear=partial(hear, kind="plain"))
    print(f"gates that suit the gap\n{suited}\n\ngates with biases of 0\n{plain}")
    elman = [one.largest for one in suited.trials if one.cell == "Elman"]
    print(f"largest singular value of Elman's U after training: {min(elman):.2f} to {max(elman):.2f}")
    print(f"{time.perf_counter() - started:.0f} seconds, {time.process_time():.0f} of them on the processor")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
