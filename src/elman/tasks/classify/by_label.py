"""What the scores of texts of one label and of several share: answers, thresholds, lines for the labels."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from torch import Tensor

from elman.lazy import Lazy
from elman.tasks.classify.labels import Label, Labels
from elman.tasks.classify.table import curve_of, mistakes, share_in_first, table_of
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
RATES: Final = {"precision": "precision", "recall": "recall", "f1": "F1"}


class ByLabel(Evaluation):
    """Scores of answers that are labels."""

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

    def worst(self) -> "pl.DataFrame":
        return mistakes(self.frame())


def matrix_lines(
    labels: Sequence[Label], confusion: Sequence[Sequence[int]], each: pl.DataFrame
) -> Iterator[str]:
    """Yield the lines of a confusion matrix (K, K), with precision, recall and F1 beside each row."""
    shown = [_short(label) for label in labels]
    width = max(len(str(max(map(max, confusion)))), *map(len, shown)) + 2
    left = max(len(CORNER), *map(len, shown))
    yield f"{CORNER:{left}}" + "".join(f"{name:>{width}}" for name in shown) + _heading()
    for name, counts, row in zip(shown, confusion, each.iter_rows(named=True), strict=True):
        yield f"{name:{left}}" + "".join(f"{n:>{width}}" for n in counts) + _rates(row)


def label_lines(each: "pl.DataFrame") -> Iterator[str]:
    """Yield a line with the scores of each label; of more than MAX_PRINTED_CLASSES of those of lowest F1."""
    rows = each
    if len(each) > MAX_PRINTED_CLASSES:
        rows = each.filter(pl.col("support") > 0).sort("f1", maintain_order=True).head(PRINTED_WORST)
        yield f"The {len(rows)} of {len(each)} labels with the lowest F1:"
    left = max(map(len, ["label", *map(_short, rows["label"])]))
    yield f"{'label':{left}}{_heading()}{'texts':>8}"
    for row in rows.iter_rows(named=True):
        yield f"{_short(row['label']):{left}}{_rates(row)}{row['support']:>8}"


def confusion_lines(confusions: "pl.DataFrame") -> Iterator[str]:
    """Yield a line for each of the most frequent confusions, of those that occur more than once."""
    rows = confusions.filter(pl.col("texts") > 1).head(PRINTED_WORST)
    if not len(rows):
        return
    yield "The most frequent mistakes, true → predicted:"
    for label, prediction, texts in rows.iter_rows():
        yield f"{texts:>6}  {_short(label)} → {_short(prediction)}"


def _heading() -> str:
    return "".join(f"{name:>11}" for name in RATES.values())


def _rates(row: dict[str, Any]) -> str:
    return "".join(" " * 11 if row[key] is None else f"{row[key]:>11.4f}" for key in RATES).rstrip()


def _short(label: Label, most: int = 24) -> str:
    text = str(label)
    return text if len(text) <= most else f"{text[: most - 1]}…"
