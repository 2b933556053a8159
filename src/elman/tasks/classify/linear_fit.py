"""The training of the linear classifier: several fits, each chosen by cross-validation, are added up."""

import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from elman.data.batches import text_hashes
from elman.tasks.classify.blend import fit_weights, log_loss
from elman.tasks.classify.labels import as_answers, membership, strata
from elman.tasks.classify.linear import LinearModel, tfidf
from elman.tasks.classify.ngrams import MAX_PHRASE_WORDS, Array, Counts, NGrams, build, words_of

# Words of a phrase in few words of text; in many, MAX_PHRASE_WORDS. On 20,000 of IMDB's reviews phrases of
# three lower the log loss of others from 0.227 to 0.218; on sets of short texts they raise it a little.
SHORT_PHRASE, MANY_WORDS = 2, 1_000_000
FOLDS: Final = 3
TOLERANCE: Final = 0.01
MAX_PASSES: Final = 200
# A class in the middle of an order, or a neutral one, is hard to separate from all the rest by a plane.
SOFTMAX_CLASSES: Final = range(3, 11)
MAX_NGRAMS: Final = 800_000
MAX_WEIGHTS: Final = 1 << 23
# Of texts · n-grams of a text · classes, up to which all folds are tried.
CHOICE_WORK: Final = 15_000_000
COMMON_ROWS: Final = 10_000  # from which an n-gram must occur in two texts
MAX_CHARACTERS: Final = 100_000_000  # of all texts that are learned from: about 2 GB of counts
MIN_CHOICE_ROWS: Final = 1000
WIDE: Final = 10.0  # the factor of a margin may be anything
TINY: Final = 1e-12  # the least probability


class Fit(NamedTuple):
    """One fit of the weights: by which loss, whether to values that are weighted by naive Bayes ratios, and
    how much a text's loss counts beside the norm of the weights (C): the more, the less is regularised."""

    loss: str
    weighted: bool
    cost: float


HINGE_COSTS: Final = (0.03, 0.1, 0.3, 1.0, 3.0)
SOFTMAX_COSTS: Final = (1.0, 10.0, 100.0)
LOGISTIC_COSTS: Final = (0.3, 1.0, 3.0, 10.0)  # where texts have several labels
Recipe: TypeAlias = "list[tuple[Fit, float]]"  # fits whose logits are added, each times its factor


@dataclass(frozen=True, eq=False)
class Matrix:
    """Texts as counts of n-grams, and their labels (N,), or (N, K) of several a text, and weights (N,)."""

    counts: Any  # scipy.sparse.csr_array (N, F)
    labels: Array
    weights: Array
    first_piece: int
    classes: int

    @property
    def several(self) -> bool:
        return self.labels.ndim > 1

    def take(self, rows: Array) -> "Matrix":
        return replace(self, counts=self.counts[rows], labels=self.labels[rows], weights=self.weights[rows])

    def question(self, label: int) -> "Matrix":
        """Return the texts with the answers, no or yes, whether they have a label."""
        return replace(self, labels=self.labels[:, label], classes=2)

    def idf(self) -> Array:
        """Return the inverse document frequencies (F,) of n-grams, 0 for one that occurs in no text."""
        texts = np.bincount(self.counts.indices, minlength=self.counts.shape[1])
        return np.where(texts > 0, np.log((1 + len(self.labels)) / (1 + texts)) + 1, 0)

    def values(self, idf: Array) -> Any:
        """Return the TF-IDF values as a sparse array (N, F)."""
        counts = self.counts
        rows = np.repeat(np.arange(len(self.labels)), np.diff(counts.indptr))
        values = tfidf(Counts(rows, counts.indices, counts.data), idf, self.first_piece)
        return type(counts)((values, counts.indices, counts.indptr), counts.shape)

    def ratios(self) -> Array:
        """Return how much each n-gram tells of the classes, (F,): the largest absolute log-count ratio over
        the classes. With two, it is naive Bayes' of Wang, Manning, ACL 2012; its sign is left to the fit."""
        present = type(self.counts)((np.ones(self.counts.nnz), *_structure(self.counts)), self.counts.shape)
        counts = (present.T @ membership(self.labels, self.classes)).toarray("C")
        inside = counts + 1
        outside = inside.sum(1, keepdims=True) - inside
        if self.several:
            outside = present.sum(0)[:, None] - counts + 1
        ratios = np.log(inside / inside.sum(0)) - np.log(outside / outside.sum(0))
        return np.asarray(np.abs(ratios).max(1))


def _structure(counts: Any) -> tuple[Array, Array]:
    return counts.indices, counts.indptr


def fit_linear(
    texts: Sequence[str],
    labels: Tensor,
    weights: Tensor,
    folds: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    refit: bool,
) -> tuple[LinearModel, Tensor]:
    """Train on all rows that a fold trains on, with `refit` also on those that it holds out. Return the
    model, and log-probabilities (H, K) of the H texts that some fold holds out, in ascending order of rows,
    by models whose weights are trained on the folds' other rows alone; the vocabulary and the recipe, a few
    numbers, are those of all rows that are trained on.

    Args:
        texts: N texts.
        labels: (N,) the numbers of their classes; or (N, K), of several a text, and then the returned
            log-probabilities are (H, K, 2), those of no and yes.
        weights: (K,) what a text of each class counts; unused where there are several.
        folds: rows to train on and rows that are held out.
    """
    seen = (train if not refit else chain(train, held_out) for train, held_out in folds)
    rows = _sample(sorted(set(chain.from_iterable(seen))), texts)
    tokens, places = [words_of(text) for text in texts], {row: i for i, row in enumerate(rows)}
    train = [tokens[row] for row in rows]
    classes = labels.shape[1] if labels.dim() > 1 else len(weights)
    most = min(MAX_NGRAMS, MAX_WEIGHTS // classes)
    longest = SHORT_PHRASE if sum(map(len, train)) < MANY_WORDS else MAX_PHRASE_WORDS
    vocabulary = build(train, longest, 1 if len(rows) < COMMON_ROWS else 2, most)
    counted = torch.ones(len(rows)) if labels.dim() > 1 else weights[labels[rows]]
    matrix = Matrix(
        _counts(vocabulary, train), labels[rows].numpy(), counted.numpy(), vocabulary.first_piece, classes
    )
    recipe = _choose(matrix, text_hashes([texts[row] for row in rows]))
    model = _fit(matrix, vocabulary, recipe)
    sums, times = model.normalized(torch.zeros(len(texts), classes)) * 0, torch.zeros(len(texts))
    for inside, outside in folds:
        own = np.array([places[row] for row in inside if row in places], np.int64)
        fitted = model if len(own) == len(rows) else _fit(matrix.take(own), vocabulary, recipe)
        sums[list(outside)] += fitted.normalized(fitted([tokens[row] for row in outside])).exp()
        times[list(outside)] += 1
    held_out = times > 0
    means = (sums.movedim(0, -1) / times).movedim(-1, 0)
    return model, means[held_out].clamp(min=TINY).log()


def _sample(rows: list[int], texts: Sequence[str]) -> list[int]:
    """Return the rows, or of very many a sample, in order."""
    order = np.random.default_rng(0).permutation(rows)
    characters = np.cumsum([len(texts[row]) for row in order])
    return sorted(order[: max(int(np.searchsorted(characters, MAX_CHARACTERS)), MIN_CHOICE_ROWS)].tolist())


def _counts(vocabulary: NGrams, tokens: Sequence[Sequence[str]]) -> Any:
    from scipy.sparse import csr_array

    chunks = [*vocabulary.count(tokens)]
    texts, ngrams, counts = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    starts = np.searchsorted(texts, np.arange(len(tokens) + 1)).astype(np.int32)
    return csr_array((counts, ngrams.astype(np.int32), starts), (len(tokens), len(vocabulary)))


def _choose(matrix: Matrix, groups: Sequence[int]) -> Recipe:
    """Return the recipe of least log loss on texts that were held out, equal ones together."""
    folds = _folds(groups, strata(torch.from_numpy(matrix.labels)))
    work = matrix.counts.nnz * max(matrix.classes, 4)  # two take more passes over the texts
    if work > CHOICE_WORK:  # one fold is enough then, and in the end a sample
        size = max(len(folds) * FOLDS * CHOICE_WORK // work, MIN_CHOICE_ROWS)
        rows = np.sort(np.random.default_rng(0).permutation(len(folds))[:size])
        matrix, folds = matrix.take(rows), folds[rows]
    fits = _candidates(matrix)
    logits = {fit: torch.zeros(len(folds), matrix.classes) for kind in fits for fit in kind}
    tried = [0] if work > CHOICE_WORK else sorted({*folds.tolist()})
    for fold in tried:
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        train, held_out = matrix.take(inside), matrix.take(outside)
        idf, ratios = train.idf(), train.ratios()
        values, others = train.values(idf), held_out.values(idf)
        for fit, own in logits.items():
            weights, bias = _weights(train, values, ratios, fit)
            own[outside] = torch.from_numpy(others @ weights + bias).float()
    known = np.isin(folds, tried)
    labels, counts = torch.from_numpy(matrix.labels[known]), torch.from_numpy(matrix.weights[known])
    # of questions: one a text, or one for each label
    counts, labels = counts.repeat_interleave(labels[0].numel()), labels.flatten()
    logits = {
        fit: as_answers(own[torch.from_numpy(known)], matrix.several).flatten(0, -2)
        for fit, own in logits.items()
    }
    best = [min(kind, key=lambda fit: _calibrated_loss(logits[fit], labels, counts)) for kind in fits]
    factors = fit_weights([logits[fit] for fit in best], labels, counts, WIDE)
    return [*zip(best, factors, strict=True)]


def _candidates(matrix: Matrix) -> list[list[Fit]]:
    """Return the fits to choose from: of each list, one is part of the recipe."""
    if matrix.several:  # most questions have few texts whose answer is yes: margins say less of probabilities
        return [[Fit("logistic", True, cost) for cost in LOGISTIC_COSTS]]
    fits = [[Fit("hinge", weighted, cost) for cost in HINGE_COSTS] for weighted in (False, True)]
    if matrix.classes in SOFTMAX_CLASSES:
        fits.append([Fit("softmax", True, cost) for cost in SOFTMAX_COSTS])
    return fits


def _calibrated_loss(logits: Tensor, labels: Tensor, weights: Tensor) -> float:
    (factor,) = fit_weights([logits], labels, weights, WIDE)
    return log_loss((factor * logits).log_softmax(1), labels, weights)


def _folds(groups: Sequence[int], strata: Sequence[int]) -> Array:
    """Return a fold for each text: rows of equal group together, those of each stratum spread evenly."""
    stratum_of = dict(zip(groups, strata, strict=True))
    sizes: dict[int, int] = defaultdict(int)  # of the strata so far
    folds = {}
    for group, stratum in sorted(stratum_of.items()):
        folds[group] = sizes[stratum] % FOLDS
        sizes[stratum] += 1
    return np.array([folds[group] for group in groups])


def _fit(matrix: Matrix, vocabulary: NGrams, recipe: Recipe) -> LinearModel:
    """Return the model whose weights and biases are the recipe's sum."""
    idf, ratios = matrix.idf(), matrix.ratios()
    values = matrix.values(idf)
    total, bias = np.zeros((len(idf), matrix.classes)), np.zeros(matrix.classes)
    for fit, factor in recipe:
        if factor > 0:
            weights, offsets = _weights(matrix, values, ratios, fit)
            total, bias = total + factor * weights, bias + factor * offsets
    model = LinearModel(vocabulary, matrix.classes, matrix.several)
    for parameter, numbers in ((model.idf, idf), (model.weights, total), (model.bias, bias)):
        parameter.data = torch.from_numpy(numbers).float()
    return model.eval()


def _weights(matrix: Matrix, values: Any, ratios: Array, fit: Fit) -> tuple[Array, Array]:
    """Return weights (F, K) and biases (K,) of support vector machines with squared hinge loss, one class
    against the rest, or of softmax regression. A class without texts has the least bias of all; of several
    labels a text, each is fitted as the answer yes to a question of its own."""
    if matrix.several:
        fitted = [_weights(matrix.question(k), values, ratios, fit) for k in range(matrix.classes)]
        columns = [(weights[:, 1] - weights[:, 0], bias[1] - bias[0]) for weights, bias in fitted]
        return np.stack([column for column, _ in columns], 1), np.array([offset for _, offset in columns])
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    scale = ratios if fit.weighted else np.ones(len(ratios))
    counts = np.bincount(matrix.labels, matrix.weights, minlength=matrix.classes)
    if not values.shape[1] or np.count_nonzero(counts) < 2:
        return np.zeros((values.shape[1], matrix.classes)), np.log(counts + 1)
    scaled = (values.data * scale[values.indices]).astype(np.float32)
    values = type(values)((scaled, *_structure(values)), values.shape)
    options: dict[str, Any] = {"C": fit.cost, "tol": TOLERANCE, "max_iter": MAX_PASSES}
    if fit.loss == "hinge":
        model: Any = LinearSVC(**options, random_state=0)
    elif fit.loss == "logistic":
        model = LogisticRegression(**options, solver="liblinear", dual=True, random_state=0)
    else:
        model = LogisticRegression(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes is greater", UserWarning)
        model.fit(values, matrix.labels, matrix.weights)
    coefficients, offsets = model.coef_.T, model.intercept_
    if len(model.classes_) == 2:
        coefficients, offsets = np.hstack([-coefficients, coefficients]) / 2, np.r_[-offsets, offsets] / 2
    weights, bias = np.zeros((values.shape[1], matrix.classes)), np.full(matrix.classes, offsets.min())
    weights[:, model.classes_], bias[model.classes_] = coefficients, offsets
    return weights * scale[:, None], bias
