"""What the scores of texts of one label and of several share: answers, thresholds, lines for the labels."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from torch import Tensor

from elman.lazy import Lazy
from elman.tasks.classify.labels import Label, Labels
from elman.tasks.classify.table import LabelRates, curve_of, mistakes, rates_frame, share_in_first, table_of
from elman.tasks.evaluation import Evaluation
from elman.tasks.inputs import check_count

if TYPE_CHECKING:
    import polars as pl
else:
    pl = Lazy("polars")

MAX_MATRIX_CLASSES: Final = 8  # of a confusion matrix that is printed
MAX_PRINTED_CLASSES: Final = 20  # of which all have a line
PRINTED_WORST: Final = 10  # labels of lowest F1 of more classes, and confusions
CORNER: Final = "true \\ predicted"
HEADING: Final = f"{'precision':>11}{'recall':>11}{'F1':>11}"


class ByLabel(Evaluation):
    """Scores of answers that are labels."""

    HAS_PICTURE: ClassVar = True
    GROUPS: ClassVar = {"label": "label"}

    def with_answers(
        self, texts: Sequence[str], probabilities: Tensor, labels: Tensor, names: Labels
    ) -> Self:
        """Return these scores with the table of the texts and with the threshold curve; see `with_table`."""
        table = table_of(texts, probabilities, labels, names)
        return self.with_table(table, curve=curve_of(probabilities, labels))

    def thresholds(self) -> Any:
        """Return, for probabilities `at_least` 0, 0.02, ... 1, what it would mean to answer from them on, as
        a frame of the kind of `table`: `answered`, the share of texts with an answer; of texts of one label
        the `accuracy` of these answers; of texts of several the `precision`, `recall` and `f1` over all
        labels. Raises UsageError without a table."""
        curve = self.frame("curve")  # raises without a table
        return self.as_given(curve)

    def top(self, count: int) -> float | None:
        """Return the share of the true labels that are among the `count` likeliest of their text, 0 to 1;
        None if no text has a label. Raises UsageError without a table."""
        check_count(count)
        return share_in_first(self.frame(), count)

    @abstractmethod
    def rates(self) -> list[LabelRates]:
        """Return the scores of each label."""

    def grouped(self, group: str) -> "pl.DataFrame":
        return rates_frame(self.rates())

    def worst(self) -> "pl.DataFrame":
        return mistakes(self.frame())


def matrix_lines(confusion: Sequence[Sequence[int]], rates: Sequence[LabelRates]) -> Iterator[str]:
    """Yield the lines of a confusion matrix (K, K), with precision, recall and F1 beside each row."""
    shown = [_short(row.label) for row in rates]
    width = max(len(str(max(map(max, confusion)))), *map(len, shown)) + 2
    left = max(len(CORNER), *map(len, shown))
    yield f"{CORNER:{left}}" + "".join(f"{name:>{width}}" for name in shown) + HEADING
    for name, counts, row in zip(shown, confusion, rates, strict=True):
        yield f"{name:{left}}" + "".join(f"{n:>{width}}" for n in counts) + _numbers(row)


def label_lines(rates: Sequence[LabelRates]) -> Iterator[str]:
    """Yield a line with the scores of each label; of more than MAX_PRINTED_CLASSES of those of lowest F1."""
    rows = rates
    if len(rates) > MAX_PRINTED_CLASSES:
        rows = sorted((row for row in rates if row.support), key=lambda row: row.f1 or 0)[:PRINTED_WORST]
        yield f"The {len(rows)} of {len(rates)} labels with the lowest F1:"
    left = max(map(len, ["label", *(_short(row.label) for row in rows)]))
    yield f"{'label':{left}}{HEADING}{'texts':>8}"
    for row in rows:
        yield f"{_short(row.label):{left}}{_numbers(row)}{row.support:>8}"


def confusion_lines(confusions: Sequence[tuple[Label, Label, int]]) -> Iterator[str]:
    """Yield a line for each of the most frequent confusions (label, answer, texts), of those that occur more
    than once."""
    rows = [row for row in confusions if row[2] > 1][:PRINTED_WORST]
    if rows:
        yield ""
        yield "The most frequent mistakes, true → predicted:"
    for label, prediction, texts in rows:
        yield f"{texts:>6}  {_short(label)} → {_short(prediction)}"


def _numbers(row: LabelRates) -> str:
    each = (row.precision, row.recall, row.f1)
    return "".join(f"{'':11}" if value is None else f"{value:>11.4f}" for value in each)


def _short(label: Label, most: int = 24) -> str:
    text = str(label)
    return text if len(text) <= most else f"{text[: most - 1]}…"
