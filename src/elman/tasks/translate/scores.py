"""Scores of a translator beside a word-for-word dictionary's: BLEU, chrF, and perplexity of the network.

BLEU: Papineni et al., "BLEU: a method for automatic evaluation of machine translation", ACL 2002. chrF:
Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015. Both as sacrebleu computes
them (Post, "A call for clarity in reporting BLEU scores", WMT 2018), whose signatures say exactly how.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from elman.errors import UsageError


@dataclass(frozen=True)
class Scores:
    """Of one translator on one set of sentences, 0..100."""

    bleu: float
    chrf: float


@dataclass(frozen=True)
class Evaluation:
    """How well a network translates, and how well its plain baseline does.

    Attributes:
        scores: the network's.
        baseline: the word-for-word dictionary's; None if the model was saved without one.
        perplexity: the network's, per target token; None if it was not asked for.
        pairs: how many sentences were translated.
        signatures: sacrebleu's, of BLEU and of chrF.
        notes: what a reader of the scores must know.
    """

    scores: Scores
    baseline: Scores | None
    perplexity: float | None
    pairs: int
    signatures: tuple[str, str]
    notes: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Evaluation":
        """The evaluation whose `to_dict` gave `value`."""
        plain = value["baseline"]
        parts = {"scores": Scores(**value["scores"]), "baseline": None if plain is None else Scores(**plain)}
        bleu, chrf = value["signatures"]
        return cls(**value | parts | {"signatures": (bleu, chrf), "notes": tuple(value["notes"])})

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return asdict(self) | {"signatures": list(self.signatures), "notes": list(self.notes)}

    def __str__(self) -> str:
        lines = [f"{'':22}{'network':>10}{'dictionary' if self.baseline else '':>12}".rstrip()]
        for name, field in (("BLEU", "bleu"), ("chrF", "chrf")):
            theirs = f"{getattr(self.baseline, field):12.4g}" if self.baseline else ""
            lines.append(f"{name:22}{getattr(self.scores, field):10.4g}{theirs}")
        if self.perplexity is not None:
            lines.append(f"{'perplexity per token':22}{self.perplexity:10.4g}")
        lines += ["", f"{self.pairs} sentence pairs"]
        lines += [f"{name}|{how}" for name, how in zip(("BLEU", "chrF2"), self.signatures, strict=True)]
        return "\n".join(lines + [f"Note: {note}" for note in self.notes])


def notes_for(scores: Scores, baseline: Scores | None) -> tuple[str, ...]:
    """What to say of a network's scores beside the dictionary's."""
    if baseline is None or scores.chrf > baseline.chrf:
        return ()
    return (
        "the network is no better than the word-for-word dictionary here: train longer, or on more pairs",
    )


def scored(
    found: Sequence[str], references: Sequence[str] | Sequence[Sequence[str]]
) -> tuple[Scores, tuple[str, str]]:
    """Corpus BLEU and chrF2 of translations (N), and sacrebleu's signatures of both.

    Args:
        found: the translations, in ordinary spelling; one may be empty.
        references: what people wrote (N): a sentence each, or one or more sentences each.

    Raises:
        UsageError: there is nothing to score, or not as many references as translations, or a translation
            without a reference.
    """
    rows = [[row] if isinstance(row, str) else list(row) for row in references]
    if not found or len(found) != len(rows):
        raise UsageError(f"there are {len(found)} translations and {len(rows)} references to score them by.")
    if lacking := [k for k, row in enumerate(rows, start=1) if not row]:
        raise UsageError(f"translation {lacking[0]} has no reference to score it by.")
    columns = list(zip_longest(*rows))  # what a row lacks is None, which sacrebleu leaves out
    # force: whoever writes a space before full stops is scored for it, without a warning on the terminal.
    bleu, chrf = BLEU(force=True), CHRF()
    by_word, by_letter = (metric.corpus_score(list(found), columns).score for metric in (bleu, chrf))
    return Scores(by_word, by_letter), (str(bleu.get_signature()), str(chrf.get_signature()))
