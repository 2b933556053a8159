"""Where else in data the hidden state moves as it does here: select and match, as LSTMVis does (Strobelt et
al., arXiv:1606.07461), without files of states.

T steps, B sequences, H units, N steps of the span.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor, nn

from elman.errors import UsageError
from elman.lens.figures import concordance, finished
from elman.lens.notebook import InNotebook
from elman.lens.numbers import check_least
from elman.lens.recording import Layer, passes_of
from elman.lens.view import View, view_of
from elman.settings import is_whole

BATCH_INPUTS: Final = 32  # of a list, looked at in one pass
CONTEXT: Final = 4  # labels shown before and after a match


@dataclass(frozen=True)
class Match:
    """Steps of a sequence at which the hidden state moves alike.

    Attributes:
        sequence: number in the data, from 0.
        begin, end: the first step, and the one after the last.
        labels: of these steps; () if they have none.
        before, after: labels of a few steps around them.
        distance: mean over the steps of 1 minus the cosine of both states, from 0 to 2.
    """

    sequence: int
    begin: int
    end: int
    labels: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    distance: float

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"sequence {self.sequence}, steps {self.begin} to {self.end - 1}"

    def __str__(self) -> str:
        if not self.labels:
            return f"{self.distance:.3f}  {self.place}"
        parts = " ".join(self.before), " ".join(self.labels), " ".join(self.after)
        return f"{self.distance:.3f}  {parts[0]} [{parts[1]}] {parts[2]} (sequence {self.sequence})"


@dataclass(frozen=True)
class Neighbours(InNotebook):
    """Where else the hidden state moves alike; made by `neighbours`. As text, a line for each match.

    Attributes:
        layer: whose states are compared.
        here: the span itself, at distance 0.
        matches: the nearest first.
    """

    layer: str
    here: Match
    matches: tuple[Match, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, (self.here, *self.matches)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        each = [{**vars(one), "labels": list(one.labels)} for one in (self.here, *self.matches)]
        for row in each:
            row |= {"before": list(row["before"]), "after": list(row["after"])}
        return {"layer": self.layer, "here": each[0], "matches": each[1:]}

    def html(self) -> str:
        """Return a table, a row for each match, for a page."""
        rows = "".join(f"<tr>{''.join(_cells(one))}</tr>" for one in (self.here, *self.matches))
        head = "<tr><th>distance</th><th>sequence</th><th>steps</th><th></th></tr>"
        return f'<table class="elman-neighbours"><thead>{head}</thead><tbody>{rows}</tbody></table>'

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the span and the matches below each other, as .png or .svg if there is a path."""
        rows = [
            (
                f"{one.distance:.3f}",
                " ".join(one.before),
                " ".join(one.labels) or one.place,
                " ".join(one.after),
            )
            for one in (self.here, *self.matches)
        ]
        return finished(concordance(rows, "distance"), path)

    def _repr_html_(self) -> str:
        return self.html()


def _cells(match: Match) -> Iterator[str]:
    before, here, after = (escape(" ".join(one)) for one in (match.before, match.labels, match.after))
    yield f"<td>{match.distance:.3f}</td><td>{match.sequence}</td>"
    yield f"<td>{match.begin}–{match.end - 1}</td>"
    yield f"<td>{before} <mark>{here}</mark> {after}</td>"


class Sequences(NamedTuple):
    """States of a batch.

    Attributes:
        first: number of the first sequence in the data.
        states: (T, B, H).
        lengths: of each sequence.
        labels: of each sequence's steps; () if they have none.
        layer: whose states they are.
    """

    first: int
    states: Tensor
    lengths: tuple[int, ...]
    labels: tuple[tuple[str, ...], ...]
    layer: str


def neighbours(
    model: Any,
    data: Any,
    span: tuple[int, int],
    *,
    sequence: int = 0,
    layer: str | None = None,
    count: int = 10,
) -> Neighbours:
    """Return where else in data the hidden state moves as it does in some steps of a sequence.

    Windows of as many steps are compared step by step: the distance is the mean of 1 minus the cosine of the
    states (the first state of the cell; both directions of a layer together). Matches overlap neither each
    other nor the span.

    Args:
        model: see `view_of`.
        data: inputs as `view_of` takes them, or a list of such, which are looked at some at a time: states
            of one batch are in memory at once.
        span: the first step, and the one after the last.
        sequence: number in the data, from 0, of the sequence in which the span is.
        layer: its name, such as "layers l0"; None: the last.
        count: number of matches, at most.

    Raises:
        UsageError: there is no such sequence, span or layer; `view_of`'s.
    """
    check_least("count", count)
    check_least("sequence", sequence, 0)
    if not isinstance(span, tuple | list) or len(span) != 2 or not all(map(is_whole, span)):
        raise UsageError(f"span must be two steps, the first and the one after the last, not {span!r:.60}")
    begin, end = span
    query = _query(model, data, sequence, layer, begin, end)
    candidates: list[Match] = []
    for batch in _batches(model, data, layer):
        candidates += _nearest(batch, query, count, (sequence, begin, end))
        candidates = sorted(candidates, key=lambda match: match.distance)[:count]
    return Neighbours(query.layer, query.match, tuple(candidates))


class Query(NamedTuple):
    """What is looked for: states (N, H), of length 1 each."""

    states: Tensor
    layer: str
    match: Match


def _query(model: Any, data: Any, sequence: int, layer: str | None, begin: int, end: int) -> Query:
    for batch in _batches(model, data, layer):
        row = sequence - batch.first
        if 0 <= row < len(batch.lengths):
            length = batch.lengths[row]
            if not 0 <= begin < end <= length:
                raise UsageError(f"span must be steps in order, from 0 to {length}, not {(begin, end)}")
            states = F.normalize(batch.states[begin:end, row].double(), dim=1)
            return Query(states, batch.layer, _match(batch, row, begin, end, 0.0))
    raise UsageError(f"there is no sequence {sequence} in the data")


def _nearest(batch: Sequences, query: Query, count: int, own: tuple[int, int, int]) -> list[Match]:
    """Return the nearest windows of a batch that overlap neither each other nor the span itself."""
    size, steps = len(query.states), len(batch.states)
    if steps < size:
        return []
    states = F.normalize(batch.states.double(), dim=2)
    windows = steps - size + 1
    cosines = torch.stack([states[k : k + windows] @ one for k, one in enumerate(query.states)]).mean(0)
    distances = (1 - cosines).clamp_min(0.0)  # (T - N + 1, B)
    ends = torch.arange(windows).unsqueeze(1) + size
    distances = distances.where(ends <= torch.tensor(batch.lengths), torch.inf)
    sequence, begin, end = own
    if 0 <= sequence - batch.first < len(batch.lengths):
        distances[max(begin - size + 1, 0) : end, sequence - batch.first] = torch.inf
    matches: list[Match] = []
    while len(matches) < count:
        nearest = int(distances.argmin())
        step, row = divmod(nearest, distances.shape[1])
        distance = float(distances[step, row])
        if distance == float("inf"):
            break
        matches.append(_match(batch, row, step, step + size, distance))
        distances[max(step - size + 1, 0) : step + size, row] = torch.inf
    return matches


def _match(batch: Sequences, row: int, begin: int, end: int, distance: float) -> Match:
    labels = batch.labels[row] if batch.labels else ()
    before, after = labels[max(begin - CONTEXT, 0) : begin], labels[end : end + CONTEXT]
    return Match(batch.first + row, begin, end, labels[begin:end], before, after, distance)


def _batches(model: Any, data: Any, layer: str | None) -> Iterator[Sequences]:
    first = 0
    for view in _views(model, data):
        passes = passes_of(view.module, view.input)
        name = base_name(passes, layer)
        states, taken = states_of(passes, name)
        labels = view.labels_of(name)
        lengths = tuple(map(len, labels)) if labels else tuple(taken.sum(0).tolist())
        yield Sequences(first, states, lengths, labels, name)
        first += len(lengths)


def _views(model: Any, data: Any) -> Iterator[View]:
    """Look at data a part at a time: at a list for a task's model, some inputs together."""
    if not isinstance(data, list) or isinstance(model, View):
        yield view_of(model, data)
    elif isinstance(model, nn.Module):
        yield from (view_of(model, one) for one in data)
    else:
        for start in range(0, len(data), BATCH_INPUTS):
            part = data[start : start + BATCH_INPUTS]
            view = view_of(model, part)
            if len(part) > 1 and _are_equally_long(view):
                yield from (view_of(model, [one]) for one in part)
            else:
                yield view


def _are_equally_long(view: View) -> bool:
    """Return whether all sequences are: they may be cut, as some tasks do, to the shortest of a batch."""
    return any(len({*map(len, labels)}) == 1 for labels in view.labels.values())


def base_name(passes: Sequence[Layer], layer: str | None) -> str:
    """Return the name of a layer, of both directions; the last one's for None. Raises UsageError if there is
    none."""
    names = list(dict.fromkeys(one.name.removesuffix(" reverse") for one in passes))
    if not names:
        raise UsageError("no recurrent layer was called for this input")
    if layer is None:
        return names[-1]
    name = layer.removesuffix(" reverse")
    if name not in names:
        raise UsageError(f"layer must be one of {', '.join(names)}, not {layer}")
    return name


def states_of(passes: Sequence[Layer], name: str) -> tuple[Tensor, Tensor]:
    """Return the first state of a layer (T, B, H), both directions together, and which steps are taken."""
    ways = [[one for one in passes if one.name == each] for each in (name, f"{name} reverse")]
    states = [torch.cat([one.run.states[0].detach() for one in way]) for way in ways if way]
    taken = torch.cat([one.taken for one in ways[0] or ways[1]])
    return torch.cat(states, 2).cpu(), taken.cpu()
