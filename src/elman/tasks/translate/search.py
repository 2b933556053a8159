"""Greedy and beam search: texts → translations, many sentences at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor

from elman import decode
from elman.data.batches import pad
from elman.data.text.tokenizers import UNKNOWN
from elman.tasks.translate.codec import END, Codec, Source, sentences
from elman.tasks.translate.copying import NUM_SLOTS
from elman.tasks.translate.network import DecoderState, EncoderDecoder, EncoderOutput
from elman.tasks.translate.problem import MAX_TRAIN_TOKENS
from elman.training.problem import device_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_BATCH_HYPOTHESES: Final = 160
# A token has at least one byte, and a character at most four bytes: texts up to this length always fit.
SAFE_SEGMENT_CHARACTERS: Final = MAX_TRAIN_TOKENS // 4
MAX_SEGMENT_CHARACTERS: Final = 64 * MAX_TRAIN_TOKENS  # longer texts are cut without encoding them first


@dataclass(frozen=True, eq=False)
class Translation:
    """One translation of one text. `source` and `target` are the parts of both texts that the network's
    tokens stand for.

    Attributes:
        score: log-probability, the sum over its tokens.
        segments: weights (target, source) of each part of the source for each part of the translation, in
            each of the segments in which a long text is translated.
    """

    text: str
    score: float
    source: tuple[str, ...]
    target: tuple[str, ...]
    segments: tuple[Tensor, ...]
    ids: tuple[int, ...] = ()  # of its tokens, if it is one segment's

    @property
    def attention(self) -> Tensor:
        """Weights (target, source) of each part of the source for each part of the translation: for a long
        text, a large matrix of zeros outside its segments."""
        if not self.segments:
            return torch.zeros(0, 0)
        weights: Tensor = torch.block_diag(*self.segments)  # type: ignore[no-untyped-call]
        return weights

    def plot(self, path: str | Path | None = None) -> "Figure":
        """Draw the attention, write the picture if there is a path, .png or .svg, and return it. Raises
        UsageError for another ending, for nothing to draw, or too much."""
        from elman.lens.figures import finished  # matplotlib takes long to load
        from elman.lens.plot import attention

        return finished(attention(self.source, self.target, lambda: self.attention.numpy()), path)


class BeamState(NamedTuple):
    """The state of N hypotheses."""

    sentence: Tensor  # (N,) number of the sentence that each translates
    decoder: DecoderState
    encoded: EncoderOutput
    slot_mask: Tensor  # (N, NUM_SLOTS) added to the slots' logits: 0, or -inf for slots without a word


class SentenceBatch:
    """Encoded sentences, with the model and the first state that `elman.decode` takes."""

    def __init__(self, network: EncoderDecoder, codec: Codec, sources: Sequence[Source]) -> None:
        self._network, self._first_slot = network, len(codec.target)
        device = device_of(network)
        ids, lengths = pad([source.ids for source in sources])
        with torch.no_grad():
            self._encoded, state = network.encode(ids.to(device), lengths.to(device))
        counts = torch.tensor([len(source.slots) for source in sources], device=device)
        missing = torch.arange(NUM_SLOTS, device=device) >= counts[:, None]
        self._slot_mask = torch.zeros(missing.shape, device=device).masked_fill(missing, -torch.inf)
        self.first = torch.full_like(counts, END)
        numbers = torch.arange(len(sources), device=device)
        self.state = BeamState(numbers, state, self._encoded, self._slot_mask)
        self.limit = (2 * lengths + 10).to(device)
        self.model = decode.Model(self._step, self._select, lambda state: state.decoder.weights)
        self.banned = torch.tensor([UNKNOWN], device=device)

    def _step(self, tokens: Tensor, state: BeamState) -> tuple[Tensor, BeamState]:
        features, decoder = self._network.step(tokens, state.decoder, state.encoded)
        with torch.no_grad():
            logits = self._network.logits(features)
        logits[:, self._first_slot :] += state.slot_mask
        return logits, state._replace(decoder=decoder)

    def _select(self, state: BeamState, rows: Tensor) -> BeamState:
        sentence, decoder = state.sentence[rows], state.decoder.select(rows)
        if torch.equal(sentence, state.sentence):  # hypotheses changed places within their sentences
            return state._replace(decoder=decoder)
        encoded = EncoderOutput(*(part[sentence] for part in self._encoded))
        return BeamState(sentence, decoder, encoded, self._slot_mask[sentence])


def translate(
    network: EncoderDecoder,
    codec: Codec,
    texts: Sequence[str],
    *,
    beam_width: int = 5,
    n_best: int = 1,
    length_penalty: float = 1.0,
) -> list[list[Translation]]:
    """Return the `n_best` translations of each text, best first. Long texts are translated in segments.
    Raises UsageError for a beam_width, n_best or length_penalty out of its range."""
    segments_of = [segments(codec, text) for text in texts]
    flat = [segment for parts in segments_of for segment in parts]
    sources = [codec.encode_source(segment) for segment in flat]
    translations: dict[int, list[Translation]] = {}
    order = sorted(range(len(flat)), key=lambda i: len(sources[i].ids))
    size = max(1, MAX_BATCH_HYPOTHESES // max(beam_width, 1))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        batch = SentenceBatch(network, codec, [sources[i] for i in rows])
        best = decode.beam(
            batch.model,
            batch.first,
            batch.state,
            beam_width=beam_width,
            end=END,
            limit=batch.limit,
            length_penalty=length_penalty,
            n_best=n_best,
            banned=batch.banned,
        )
        assert best.trace is not None
        tokens, lengths, scores = best.tokens.cpu(), best.lengths.tolist(), best.scores.tolist()
        attention = best.trace.float().cpu()
        for row, i in enumerate(rows):
            translations[i] = [
                translation(codec, flat[i], sources[i], tokens[row, k, :length], score, attention[row, k])
                for k, (length, score) in enumerate(zip(lengths[row], scores[row], strict=True))
                if length
            ]
    in_order = iter(translations[i] for i in range(len(flat)))
    return [joined([next(in_order) for _ in parts], n_best) for parts in segments_of]


def translation(
    codec: Codec, text: str, source: Source, tokens: Tensor, score: float, attention: Tensor
) -> Translation:
    """Return the translation of a segment that tokens (T,) with attention (T, S) stand for."""
    ids = [i for i in tokens.tolist() if i != END]
    target, parts = codec.pieces(ids, source.slots), codec.source_pieces(text, source.slots)[:-1]
    weights = attention[: len(ids), : len(parts)]
    return Translation("".join(target).strip(), score, tuple(parts), tuple(target), (weights,), tuple(ids))


def joined(parts: list[list[Translation]], n_best: int) -> list[Translation]:
    """Join the translations of a text's segments: best with best, second with second."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return [Translation("", 0.0, (), (), ())]
    ranks = [[part[min(k, len(part) - 1)] for part in parts] for k in range(n_best)]
    return [
        Translation(
            " ".join(one.text for one in rank if one.text),
            sum(one.score for one in rank),
            tuple(piece for one in rank for piece in one.source),
            tuple(piece for one in rank for piece in one.target),
            tuple(weights for one in rank for weights in one.segments),
        )
        for rank in ranks
    ]


def segments(codec: Codec, text: str) -> list[str]:
    """Cut a text into segments short enough for the network: sentences, or runs of words of longer ones. A
    short text stays whole if the network was trained on several sentences at once; a blank one has none."""
    if not codec.single and _fits(codec, whole := " ".join(text.split())):
        return [whole] if whole else []
    return [segment for sentence in sentences(text) for segment in _by_words(codec, sentence)]


def _fits(codec: Codec, text: str) -> bool:
    return len(text) <= SAFE_SEGMENT_CHARACTERS or (
        len(text) <= MAX_SEGMENT_CHARACTERS and len(codec.encode_source(text).ids) <= MAX_TRAIN_TOKENS
    )


def _by_words(codec: Codec, sentence: str) -> Iterator[str]:
    """Yield a sentence in segments that fit, cut at spaces, or anywhere in a longer word."""
    if _fits(codec, sentence):
        yield from [sentence] if sentence else []
        return
    segment, size = "", SAFE_SEGMENT_CHARACTERS
    for word in sentence.split(" "):
        for part in (word[start : start + size] for start in range(0, len(word), size)):
            longer = f"{segment} {part}".strip()
            fits = _fits(codec, longer)
            if not fits:
                yield segment
            segment = longer if fits else part
    yield segment
