"""The plain baseline of a text classifier: a feed-forward net on the words that occur."""

import torch
from torch import Tensor, nn

from elman.data.text.tokenizers import PADDING

HIDDEN = 64
DROPOUT = 0.5


class BagOfWords(nn.Module):
    """Presence of words → hidden layer (ReLU) → one logit a class.

    A word counts once however often it stands: Wang, Manning, ACL 2012. The sum over a text's words is
    divided by the square root of their number, so that long and short texts have inputs of one size.

    Args:
        words: ids of the vocabulary, from 0 (padding).
        classes: labels to tell apart.
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
        """Ids (T, B) of padded texts → logits (B, K). `lengths` is not needed: padding is no word."""
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
