"""The simple recurrent network that public tutorials train on IMDB and that hardly learns: diagnosed, mended.

    ELMAN_DATA=... python bench/sick_imdb.py --seeds 3

Reviews are cut to their first 300 words and padded at their ends; an Elman cell of 64 units reads padding and
all; its last state answers. After each training, `diagnose` looks at held-out reviews, its advice is applied,
and a network is trained anew. Prints a line of JSON a training: the accuracy on the test reviews, what
`diagnose` says of the trained network, and the seconds.
"""

import argparse
import json
import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import elman
from elman import lens

WORDS, LENGTH, UNITS, BATCH = 5_000, 300, 64, 64
TRAIN, TEST, LOOKED_AT = 10_000, 5_000, 32
EPOCHS = 4


class Reader(nn.Module):
    """Reviews (T, B) → logits (B, 2): embedding, a recurrent layer, and a linear one on its last output, or
    on the mean of all."""

    def __init__(self, knows_lengths: bool, mean: bool) -> None:
        super().__init__()
        self.knows_lengths, self.mean = knows_lengths, mean
        self.embedding = nn.Embedding(WORDS, UNITS)
        self.inner = elman.Recurrent("elman", UNITS, UNITS)
        self.head = nn.Linear(UNITS, 2)

    def forward(self, ids: Tensor) -> Tensor:
        lengths = (ids > 0).sum(0).clamp(min=1) if self.knows_lengths else None
        outputs, state = self.inner(self.embedding(ids), lengths=lengths)
        # outputs are 0 beyond a sequence's end
        mean = outputs.sum(0) / (len(ids) if lengths is None else lengths.unsqueeze(1))
        logits: Tensor = self.head(mean if self.mean else state[0])
        return logits


def reviews(split: str, count: int, seed: int) -> tuple[list[list[str]], Tensor]:
    """Return the first words of some reviews, and their labels."""
    file = Path(os.environ["ELMAN_DATA"]) / f"sentiment/imdb/{split}.tsv"
    rows = [line.split("\t", 2) for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:count].tolist()
    texts = [re.findall(r"[a-z']+", rows[k][2].lower())[:LENGTH] for k in order]
    return texts, torch.tensor([int(rows[k][0]) for k in order])


def encoded(texts: list[list[str]], numbers: dict[str, int]) -> Tensor:
    """Return ids (T, N), with 0 after the end of each text."""
    ids = torch.zeros(LENGTH, len(texts), dtype=torch.int64)
    for k, text in enumerate(texts):
        ids[: len(text), k] = torch.tensor([numbers.get(word, 1) for word in text])
    return ids


def trained(choices: dict[str, Any], ids: Tensor, labels: Tensor, seed: int) -> Reader:
    torch.manual_seed(seed)
    model = Reader(**choices)
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(labels)).split(BATCH):
            loss = F.cross_entropy(model(ids[:, rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


@torch.no_grad()
def accuracy(model: Reader, ids: Tensor, labels: Tensor) -> float:
    right = [model(ids[:, rows]).argmax(1) == labels[rows] for rows in torch.arange(len(labels)).split(500)]
    return float(torch.cat(right).double().mean())


def mended(choices: dict[str, Any], kinds: tuple[str, ...]) -> dict[str, Any]:
    """Return what the advice makes of the choices, one at a time."""
    if "padding" in kinds and not choices["knows_lengths"]:
        return choices | {"knows_lengths": True}
    if {"vanishing", "short_horizon"} & {*kinds} and not choices["mean"]:
        return choices | {"mean": True}
    return choices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1)
    torch.set_num_threads(1)
    for seed in range(parser.parse_args().seeds):
        texts, labels = reviews("train", TRAIN, seed)
        tests, truth = reviews("test", TEST, 0)
        counts = Counter(word for text in texts for word in text)
        numbers = {word: k for k, (word, _) in enumerate(counts.most_common(WORDS - 2), 2)}
        ids, test_ids = encoded(texts, numbers), encoded(tests, numbers)
        dependency = int(torch.tensor([len(text) for text in texts]).median())
        choices: dict[str, Any] = {"knows_lengths": False, "mean": False}
        while True:
            started = time.monotonic()
            model = trained(choices, ids, labels, seed)
            seconds = time.monotonic() - started
            said = lens.diagnose(
                model,
                ids[:, :LOOKED_AT],
                lambda logits: (logits[:, 1] - logits[:, 0]).sum(),
                dependency=dependency,
            )
            line = {"seed": seed} | choices | {"accuracy": accuracy(model, test_ids, truth)}
            print(json.dumps(line | {"seconds": round(seconds), "diagnosis": str(said)}), flush=True)
            better = mended(choices, said.kinds)
            if better == choices:
                break
            choices = better


if __name__ == "__main__":
    main()
