"""A language model as the start of a classifier, after Howard, Ruder, "Universal language model fine-tuning
for text classification" (ULMFiT), arXiv:1801.06146."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from elman import artifact
from elman.data.text.tokenizers import PADDING, UNKNOWN
from elman.data.text.vocabulary import END, Vocabulary, VocabularyTokenizer
from elman.errors import ArtifactError, UsageError
from elman.tasks.classify.examples import Corpus
from elman.tasks.classify.network import ClassifierNet
from elman.tasks.classify.settings import Settings
from elman.tasks.generate.language_model import LanguageModel
from elman.tasks.settings import split_choices

# Each network is a copy of the language model, which is larger than a classifier's own and takes longer.
USUAL: Final = {"networks": 1}
# Of the words of the labelled texts. In a text of the usual kind it is some hundredths.
MAX_UNKNOWN: Final = 0.5


@dataclass(frozen=True, eq=False)
class Start:
    """What a classifier takes from a language model of words: vocabulary, embedding and recurrent layers."""

    model: LanguageModel

    @cached_property
    def tokenizer(self) -> VocabularyTokenizer:
        assert isinstance(self.model.vocabulary, Vocabulary)  # as `read_start` makes sure
        return VocabularyTokenizer(self.model.vocabulary)

    @cached_property
    def fixed(self) -> dict[str, Any]:
        """The settings of a classifier that follow from the language model."""
        sizes = {
            name: getattr(self.model.settings, name) for name in ("cell", "hidden", "layers", "embedding")
        }
        return sizes | {"bidirectional": False, "tokenizer": "word", "vocabulary": len(self.tokenizer)}

    @property
    def name(self) -> str:
        return str(self.model.source["source"])

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the vocabulary and the weights."""
        tokens = json.dumps(self.model.vocabulary.to_json(), sort_keys=True)
        digest = hashlib.sha256(tokens.encode("utf-8", "surrogatepass"))
        for name, value in sorted(self.model.network.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def choices(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the caller's settings and those that follow. Raises UsageError where they differ."""
        chosen, _ = split_choices(dict(settings), Settings)
        for name, value in self.fixed.items():
            if name in settings and getattr(chosen, name) != value:
                raise UsageError(
                    f"{name}={getattr(chosen, name)!r} contradicts the language model to start from, which "
                    f"has {name}={value!r}: leave {name} out"
                )
        return USUAL | dict(settings) | self.fixed

    def check(self, corpus: Corpus) -> None:
        """Raise UsageError if the language model does not know the words of the texts."""
        ids = np.concatenate([self.tokenizer.encode(text) for text in corpus.examples.texts])
        known = float(np.mean(ids != UNKNOWN)) if len(ids) else 1.0
        if known < 1 - MAX_UNKNOWN:
            raise UsageError(
                f"the language model to start from knows only {100 * known:.0f} % of the words of "
                f"{corpus.source['source']}: give one of texts of that language and kind"
            )

    def begin(self, network: ClassifierNet) -> None:
        """Copy the layers into a network of their sizes. The token before a text is the end of the document
        before; vectors are scaled as the language model scales them. The weights of the evidence of phrases,
        which it does not read, stay as they were drawn."""
        language = self.model.network
        with torch.no_grad():
            vectors = language.vectors(
                torch.arange(len(self.tokenizer), device=language.embedding.weight.device)
            )
            network.embedding.weight[:-1].copy_(vectors)
            network.embedding.weight[-1].copy_(vectors[END])
            network.embedding.weight[PADDING] = 0
            for k, layer in enumerate(language.layers):
                for name, value in layer.named_parameters():
                    own = network.layers.get_parameter(f"{name.removesuffix('_l0')}_l{k}")
                    own.narrow(-1, 0, value.shape[-1]).copy_(value)


def read_start(pretrained: Any) -> Start:
    """Return the start that a language model is, or the folder of one. Raises UsageError for anything else,
    and ArtifactError for a damaged folder."""
    model = pretrained
    if isinstance(pretrained, str | Path):
        saved = artifact.load(pretrained)
        if saved.task != LanguageModel.task:
            raise UsageError(
                f"{pretrained} is not a language model to start from, but a model for {saved.task!r:.60}"
            )
        try:
            model = LanguageModel.from_artifact(saved)
        except ArtifactError as error:
            raise ArtifactError(f"{pretrained} can't be used: {error}") from error
    if not isinstance(model, LanguageModel):
        kind = type(model).__name__
        raise UsageError(f"pretrained must be a LanguageModel or the folder of one, not {kind}")
    if model.vocabulary.kind != "word":
        raise UsageError(
            f"the language model to start from has tokenizer={model.vocabulary.kind!r}; a classifier starts "
            "from one of words: train it with tokenizer='word'"
        )
    return Start(model)
