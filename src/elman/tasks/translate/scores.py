"""BLEU and chrF of translations, and the network's perplexity, beside a word-for-word dictionary.

BLEU: Papineni et al., "BLEU: a method for automatic evaluation of machine translation", ACL 2002. chrF:
Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015. sacrebleu computes both
(Post, "A call for clarity in reporting BLEU scores", WMT 2018); its signatures say exactly how.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar, Self

from elman.data.text.pairs import Pairs
from elman.errors import UsageError, counted
from elman.lazy import Lazy
from elman.tasks.evaluation import Evaluation, Metric, spaced
from elman.tasks.translate.baseline import WordDictionary
from elman.tasks.translate.codec import Codec
from elman.tasks.translate.network import EncoderDecoder
from elman.tasks.translate.problem import MAX_SCORED_TOKENS, at_most, encode_pairs, perplexity
from elman.tasks.translate.search import translate
from elman.tasks.translate.settings import Settings

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")


@dataclass(frozen=True, kw_only=True, repr=False)
class TranslationEvaluation(Evaluation):
    """BLEU and chrF, 0 to 100, and the network's perplexity per target token."""

    SAVED_BASELINES: ClassVar = {"baseline": "dictionary"}

    pairs: int  # of sentences, scored
    signatures: tuple[str, str]  # sacrebleu's, of BLEU and of chrF

    @classmethod
    def of(
        cls,
        network: Sequence[str],
        baselines: Mapping[str, Sequence[str]],
        references: Sequence[str],
        perplexity: float | None,
        notes: tuple[str, ...] = (),
    ) -> "TranslationEvaluation":
        """Score the translations (N) of the network and of its baselines against references (N)."""
        ours, signatures = corpus_scores(network, references)
        plain = {name: corpus_scores(texts, references)[0] for name, texts in baselines.items()}
        for name, scores in plain.items():
            if ours["chrf"] <= scores["chrf"]:
                notes += (
                    f"the network is no better than the word-for-word {name} here: "
                    "train longer, or on more pairs",
                )
        return cls(
            scores={**ours, "perplexity": perplexity},
            baselines={name: {**scores, "perplexity": None} for name, scores in plain.items()},
            notes=notes,
            pairs=len(references),
            signatures=signatures,
        )

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        values = dict(value)
        if "perplexity" in values:  # where 0.1.0 saved it
            values["scores"] = values["scores"] | {"perplexity": values.pop("perplexity")}
        return super().from_dict(values)

    def metrics(self) -> dict[str, Metric]:
        return {"bleu": Metric("BLEU"), "chrf": Metric("chrF"), "perplexity": Metric("perplexity per token")}

    def facts(self) -> list[str]:
        bleu, chrf = self.signatures
        return [counted(self.pairs, "sentence pair"), f"BLEU|{bleu}", f"chrF2|{chrf}"]

    def worst(self) -> "pl.DataFrame":
        return self.frame().sort("chrf", maintain_order=True)


def evaluate(
    network: EncoderDecoder,
    codec: Codec,
    baseline: WordDictionary,
    settings: Settings,
    pairs: Pairs,
    notes: tuple[str, ...],
) -> TranslationEvaluation:
    """Score the translations of pairs beside the dictionary's."""
    best = translate(
        network, codec, pairs.source, beam_width=settings.beam_width, length_penalty=settings.length_penalty
    )
    encoded = at_most(encode_pairs(codec, pairs), MAX_SCORED_TOKENS)
    if left := len(pairs) - len(encoded):
        number, verb = counted(left, "pair"), "is" if left == 1 else "are"
        notes += (f"{number} of more than {MAX_SCORED_TOKENS} tokens {verb} left out of the perplexity",)
    translations = [first.text for first, *_ in best]
    evaluation = TranslationEvaluation.of(
        translations,
        {"dictionary": [baseline.translate(text) for text in pairs.source]},
        pairs.target,
        perplexity(network, encoded),
        notes,
    )
    return evaluation.with_table(table_of(pairs.source, pairs.target, translations))


def table_of(
    sources: Sequence[str], references: Sequence[str], translations: Sequence[str]
) -> "pl.DataFrame":
    """Return a row for each pair: `source`, `reference`, `translation`, and the `chrf` of this sentence."""
    from sacrebleu.metrics.chrf import CHRF

    kept, metric = spaced(len(sources), "sentence pairs"), CHRF()
    columns = {"source": sources, "reference": references, "translation": translations}
    chosen = {name: pl.Series([texts[k] for k in kept], dtype=pl.String) for name, texts in columns.items()}
    scores = [metric.sentence_score(translations[k], [references[k]]).score for k in kept]
    return pl.DataFrame({**chosen, "chrf": pl.Series(scores, dtype=pl.Float64)})


def corpus_scores(
    translations: Sequence[str], references: Sequence[str] | Sequence[Sequence[str]]
) -> tuple[dict[str, float], tuple[str, str]]:
    """Return corpus BLEU and chrF2 of translations (N), and sacrebleu's signatures of both.

    Args:
        translations: detokenised; one may be empty.
        references: (N) one human translation each, or a list of one or more.

    Raises UsageError for no translations, not as many references, or a translation without a reference.
    """
    from sacrebleu.metrics.bleu import BLEU  # a model that only translates can do without
    from sacrebleu.metrics.chrf import CHRF

    rows = [[row] if isinstance(row, str) else list(row) for row in references]
    if not translations or len(translations) != len(rows):
        raise UsageError(
            f"there are {counted(len(translations), 'translation')} and {counted(len(rows), 'reference')} to "
            "score them by."
        )
    if lacking := [k for k, row in enumerate(rows, start=1) if not row]:
        raise UsageError(f"translation {lacking[0]} has no reference to score it by.")
    columns = list(zip_longest(*rows))  # sacrebleu leaves out the Nones of shorter rows
    # force: no warning on the terminal for translations with a space before the full stop
    bleu, chrf = BLEU(force=True), CHRF()
    by_word, by_letter = (metric.corpus_score(list(translations), columns).score for metric in (bleu, chrf))
    return {"bleu": by_word, "chrf": by_letter}, (str(bleu.get_signature()), str(chrf.get_signature()))
