"""The loss and validation of a transcriber."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from elman.data.audio.normalise import Normaliser
from elman.data.batches import length_batches
from elman.tasks.transcribe.examples import (
    EDGE_FRAMES,
    PAUSE_FRAMES,
    Utterances,
    hide,
    pad_features,
)
from elman.tasks.transcribe.features import Features, with_edges
from elman.tasks.transcribe.network import TranscriberNet
from elman.tasks.transcribe.scores import edits
from elman.tasks.transcribe.text import BLANK
from elman.training.plan import Plan
from elman.training.problem import device_of, share, unwrapped

MAX_BATCH_FRAMES: Final = 60_000  # scored at once, padding included
# Of the epochs: in which recordings are read as they are, and in which more and more is done to them.
PLAIN, GROWING = 0.2, 0.2
LOSS_WEIGHT: Final = 1e-3  # of the loss beside the share of errors, where errors are equal


class Group(NamedTuple):
    """Recordings that training joins to one."""

    rows: tuple[int, ...]
    pause: int  # longest pause before, between and after them, in frames
    strength: float  # of variation, 0 to 1
    flat: float  # weight of the flat start


@dataclass
class SpeechProblem:
    """CTC on recordings; the weights with the fewest errors on held-out recordings win, and of these the ones
    with the lowest loss. Where training varies recordings, the held-out ones count as they are and varied:
    else weights would win that know the voices of the training well, and no others."""

    train: Utterances
    held_out: Utterances
    normaliser: Normaliser
    plan: Plan
    features: Features
    joined: int = 1
    augment: bool = True
    durations: Sequence[int] | None = None  # see `flat_loss`
    others: int = 0  # recordings at the end of `train` that hold more than their labels: after the flat start
    score: str = "errors"
    maximize: bool = False

    def __post_init__(self) -> None:
        features, ids = list(self.held_out.features), list(self.held_out.ids)
        if self.augment:
            with torch.random.fork_rng(devices=()):
                torch.manual_seed(self.plan.seed)
                pause = PAUSE_FRAMES if self.joined > 1 else 0
                rows = range(len(self.held_out))
                features += [self.features.varied(self.held_out, [row], pause, 1.0) for row in rows]
            ids *= 2
        self._held_out = [self.normalised(one) for one in features]
        self._held_out_ids = ids

    def batches(self, epoch: int, rank: int, world: int) -> list[list[Group]]:
        groups = self._groups(epoch)
        frames = [sum(len(self.train.features[row]) for row in group.rows) for group in groups]
        seed = self.plan.seed
        batches = length_batches(frames, self.plan.batch_size, seed=seed, epoch=epoch)
        return share([[groups[i] for i in batch] for batch in batches if len(batch) >= world], rank, world)

    def _groups(self, epoch: int) -> list[Group]:
        """Return each recording once. From single ones as they are, labels are learned fast."""
        grown = min(max((epoch / self.plan.epochs - PLAIN) / GROWING, 0.0), 1.0)
        strength, most = grown if self.augment else 0.0, 1 + round((self.joined - 1) * grown)
        pause = round(PAUSE_FRAMES * grown) if self.joined > 1 else 0
        flat = max(1 - epoch / (PLAIN * self.plan.epochs), 0.0)
        rng = np.random.default_rng([self.plan.seed, epoch, 1])
        rows = rng.permutation(len(self.train) - (self.others if flat else 0)).tolist()
        groups = []
        while rows:
            count = 1 if most == 1 or rng.random() < 0.5 else int(rng.integers(2, most + 1))
            # some hardly, some fully: voices like those of the training, and others
            groups.append(Group(tuple(rows[:count]), pause, strength * rng.random(), flat))
            rows = rows[count:]
        return groups

    def loss(self, model: nn.Module, batch: list[Group], state: Any) -> tuple[Tensor, float, None]:
        """Return the loss summed over the labels of a batch, and their number."""
        device, train = device_of(model), self.train
        each = [self.features.varied(train, group.rows, group.pause, group.strength) for group in batch]
        features, lengths = pad_features([self.normalised(one) for one in each])
        _, _, strength, flat = batch[0]
        if strength:
            features = hide(features, lengths, strength)
        ids = [[label for row in group.rows for label in train.ids[row]] for group in batch]
        log_probs, steps = model(features.to(device), lengths.to(device))
        loss = ctc(log_probs, steps, ids)
        if flat:
            stride = unwrapped(model, TranscriberNet).stride
            loss = loss + flat * flat_loss(
                log_probs, steps.tolist(), ids, EDGE_FRAMES // stride, self.durations
            )
        return loss, float(max(sum(map(len, ids)), 1)), None

    def normalised(self, features: Tensor) -> Tensor:
        return self.normaliser(with_edges(features, self.features))

    def validate(self, model: nn.Module) -> dict[str, float]:
        wrong, said, loss = 0, 0, 0.0
        for rows in by_length([len(one) for one in self._held_out]):
            features, lengths = pad_features([self._held_out[row] for row in rows])
            device = device_of(model)
            log_probs, steps = model(features.to(device), lengths.to(device))
            ids = [self._held_out_ids[row] for row in rows]
            loss += float(ctc(log_probs, steps, ids))
            best = log_probs.argmax(-1).T.cpu()
            for path, count, labels in zip(best, steps.tolist(), ids, strict=True):
                wrong += edits(collapsed(path[:count].tolist()), labels)
                said += len(labels)
        errors, loss = wrong / max(said, 1), loss / max(said, 1)
        return {"errors": errors + LOSS_WEIGHT * loss, "label_errors": errors, "loss": loss}


def ctc(log_probs: Tensor, steps: Tensor, ids: Sequence[Sequence[int]]) -> Tensor:
    """Return the CTC loss summed over recordings: (steps, recordings, labels), the labels of each."""
    lengths = torch.tensor([len(labels) for labels in ids])
    targets = torch.tensor([label for labels in ids for label in labels], dtype=torch.int64)
    return F.ctc_loss(
        log_probs.float(),
        targets.to(log_probs.device),
        steps,
        lengths.to(log_probs.device),
        BLANK,
        reduction="sum",
        zero_infinity=True,  # of joined, hastened recordings some may not fit
    )


def flat_loss(
    log_probs: Tensor,
    steps: Sequence[int],
    ids: Sequence[Sequence[int]],
    silent: int = 0,
    durations: Sequence[int] | None = None,
) -> Tensor:
    """Return the cross entropy, summed over labels, of recordings whose labels each last equally long, or as
    the `durations` of the labels say, between `silent` steps at both ends. From this flat start, as hidden
    Markov models were trained, a network soon hears what labels sound like; CTC alone spends many steps on
    blanks only."""
    total = log_probs.new_zeros(())
    for k, (count, labels) in enumerate(zip(steps, ids, strict=True)):
        inner = max(count - 2 * silent, 1)
        path = torch.full((count,), BLANK)
        lasting = labels if durations is None else [one for one in labels for _ in range(durations[one])]
        path[silent : silent + inner] = torch.tensor(lasting)[torch.arange(inner) * len(lasting) // inner]
        path = path.to(log_probs.device)
        total = total + F.nll_loss(log_probs[:count, k].float(), path) * len(labels)
    return total


def collapsed(path: Sequence[int]) -> list[int]:
    """Return the labels of a path: repeats merged, blanks removed."""
    return [b for a, b in zip([BLANK, *path], path, strict=False) if a != b and b != BLANK]


def by_length(frames: Sequence[int]) -> list[list[int]]:
    """Return rows in batches of similar length, each of at most MAX_BATCH_FRAMES, or of one recording."""
    batches: list[list[int]] = []
    for row in sorted(range(len(frames)), key=frames.__getitem__):
        if batches and (len(batches[-1]) + 1) * frames[row] <= MAX_BATCH_FRAMES:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
