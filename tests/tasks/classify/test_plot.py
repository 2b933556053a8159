"""Pictures of a classifier's answers say what they show, and what they leave out."""

import torch
from matplotlib.figure import Figure

from elman.tasks.classify.plot import label_answers, label_set_answers
from elman.tasks.classify.table import curve_of, label_rates


def texts(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    found = []
    for axis in figure.axes:
        found += [axis.get_title("left"), axis.get_xlabel(), axis.get_ylabel()]
        found += [
            label.get_text() for label in (*axis.get_xticklabels(), *axis.get_yticklabels(), *axis.texts)
        ]
        legend = axis.get_legend()
        found += [] if legend is None else [text.get_text() for text in legend.get_texts()]
    return found


def test_a_curve_and_a_matrix_of_counts() -> None:
    curve = curve_of(torch.tensor([[0.9, 0.1], [0.4, 0.6]]), torch.tensor([0, 0]))
    shown = texts(label_answers(("$a$", "b"), ((37, 5), (0, 0)), curve))
    for text in ("accuracy", "texts with an answer", "$a$", "b", "37", "5", "true label", "answer"):
        assert text in shown


def test_of_many_labels_the_most_confused() -> None:
    counts = torch.diag(torch.full((30,), 3))
    counts[7, 28] = 9
    curve = curve_of(torch.eye(30), torch.arange(30))
    shown = texts(label_answers([f"l{k}" for k in range(30)], counts.tolist(), curve))
    assert "20 of 30 labels, those with most mistakes" in shown
    assert {"l7", "l28"} < set(shown) and "l29" not in shown


def test_several_labels() -> None:
    yes = torch.tensor([[0.9, 0.2], [0.6, 0.3]])
    curve = curve_of(torch.stack([1 - yes, yes], -1), torch.tensor([[1, 0], [0, 1]]))
    count = torch.arange(22) + 1
    figure = label_set_answers(label_rates([f"l{k}" for k in range(22)], count, count, count - 1), curve)
    shown = texts(figure)
    assert {"precision", "recall", "20 of 22 labels, those of lowest F1", "l0"} < set(shown)
    assert [bar.get_width() for bar in figure.axes[1].patches][:2] == [0, 0.5]
