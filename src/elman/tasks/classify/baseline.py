"""The plain baseline of a text classifier: a feed-forward network on a bag of words."""

from typing import Final

import torch
from torch import Tensor, nn

from elman.data.text.tokenizers import PADDING

HIDDEN: Final = 64
DROPOUT: Final = 0.5


class BagOfWords(nn.Module):
    """Presence of words → hidden layer (ReLU) → one logit a class.

    A word counts once however often it occurs: Wang, Manning, ACL 2012. The sum over a text's words is
    divided by the square root of their number, so that long and short texts have inputs of one size. `words`
    is the number of token ids, from 0 (padding).
    """

    def __init__(self, words: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Embedding(words, HIDDEN, padding_idx=PADDING)
        self.bias = nn.Parameter(torch.zeros(HIDDEN))
        self.second = nn.Linear(HIDDEN, classes)
        self.dropout = nn.Dropout(DROPOUT)
        with torch.no_grad():
            self.first.weight.normal_(std=0.1)
            self.first.weight[PADDING] = 0

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, K) of padded texts, ids (T, B). `lengths` is not needed: padding is no word."""
        words = ids.sort(0).values.T.contiguous()
        fresh = torch.ones_like(words, dtype=torch.bool)
        fresh[:, 1:] = words[:, 1:] != words[:, :-1]
        weights = (fresh & (words != PADDING)).to(self.bias.dtype)
        weights = weights / weights.sum(1, keepdim=True).sqrt()
        summed = nn.functional.embedding_bag(
            words, self.first.weight, mode="sum", per_sample_weights=weights, padding_idx=PADDING
        )
        hidden = torch.relu(summed + self.bias)
        logits: Tensor = self.second(self.dropout(hidden))
        return logits
