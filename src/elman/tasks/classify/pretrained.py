"""A language model as the start of a classifier, after Howard, Ruder, "Universal language model fine-tuning
for text classification" (ULMFiT), arXiv:1801.06146."""

import hashlib
import json
from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import torch

from elman import artifact
from elman.data.text.tokenizers import PADDING, Tokenizer
from elman.data.text.vocabulary import END, as_tokenizer
from elman.errors import ArtifactError, UsageError
from elman.tasks.classify.network import ClassifierNet
from elman.tasks.classify.settings import Settings
from elman.tasks.generate.language_model import LanguageModel
from elman.training.groups import Pace

# A layer learns so many times more slowly than the one above it (ULMFiT).
DECAY: Final = 2.6
# Share of the run after which the next layer below begins to learn; the third stage trains all.
STAGE: Final = 0.15
STAGES: Final = 2


@dataclass(frozen=True)
class Start:
    """What a classifier takes from a language model: tokenizer, embedding and recurrent layers."""

    model: LanguageModel

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return as_tokenizer(self.model.vocabulary)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings of a classifier that follow from the language model."""
        names = ("cell", "hidden", "layers", "embedding")
        derived = {name: getattr(self.model.settings, name) for name in names}
        vocabulary = self.model.vocabulary
        return derived | {
            "bidirectional": False,
            "tokenizer": vocabulary.kind,
            "vocabulary": len(vocabulary),
        }

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the tokens and weights."""
        tokens = json.dumps(self.model.vocabulary.to_json(), sort_keys=True)
        digest = hashlib.sha256(tokens.encode("utf-8", "surrogatepass"))
        for name, value in sorted(self.model.network.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def name(self) -> str:
        return str(self.model.source["source"])

    def check(self, chosen: Settings, names: Container[str]) -> None:
        """Raise UsageError if a setting that was given, one of `names`, contradicts the language model."""
        for name, value in self.settings.items():
            if name in names and getattr(chosen, name) != value:
                raise UsageError(
                    f"{name}={getattr(chosen, name)!r} contradicts the language model to start from, which "
                    f"has {name}={value!r}: leave {name} out"
                )

    def begin(self, network: ClassifierNet) -> None:
        """Copy the language model's layers into a network of its sizes. The token before a text is the end of
        the document before; vectors are scaled as the language model scales them."""
        language = self.model.network
        with torch.no_grad():
            ids = torch.arange(len(self.tokenizer), device=language.embedding.weight.device)
            vectors = language.vectors(ids)
            network.embedding.weight[:-1].copy_(vectors)
            network.embedding.weight[-1].copy_(vectors[END])
            network.embedding.weight[PADDING] = 0
            for k, layer in enumerate(language.layers):
                for name, value in layer.named_parameters():
                    network.layers.get_parameter(f"{name.removesuffix('_l0')}_l{k}").copy_(value)

    def pace(self, name: str) -> Pace:
        """Return how a parameter of an ensemble learns: the head first, then with the top layer, then all;
        the lower a layer, the more slowly."""
        _, _, part, *rest = name.split(".")  # members.0.part
        if part == "head":
            return Pace()
        layers = self.model.settings.layers
        depth = layers + 1 if part == "embedding" else layers - int(rest[0].rpartition("_l")[2])
        return Pace(DECAY**-depth, STAGE * min(depth, STAGES))


def read_start(pretrained: Any) -> Start:
    """Return the start that a language model is, or the folder of one. Raises UsageError for anything else,
    and ArtifactError for a damaged folder."""
    if isinstance(pretrained, LanguageModel):
        return Start(pretrained)
    if not isinstance(pretrained, str | Path):
        kind = type(pretrained).__name__
        raise UsageError(f"pretrained must be a language model or the folder of one, not {kind}")
    saved = artifact.load(pretrained)
    if saved.task != LanguageModel.task:
        raise UsageError(f"{pretrained} is no language model to start from, but one for {saved.task!r:.60}")
    try:
        return Start(LanguageModel.from_artifact(saved))
    except ArtifactError as error:
        raise ArtifactError(f"{pretrained} can't be used: {error}") from error
