"""Many live streams of one model, whose network calls are made together.

A method of a stream that needs the network is written as a generator: it yields requests to the network and
gets the answers. Called alone, each request is answered at once; in a pool, those of all streams are answered
together, in as few kernel calls as can be. The kernels give a row the same bits among any others, so both
ways give the same answers.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial, wraps
from typing import Any, Concatenate, Final, Generic, NamedTuple, ParamSpec, Protocol, TypeVar

import numpy as np

from elman.errors import ElmanError, NotFinite, UsageError
from elman.settings import is_whole, plain
from elman.stepping import driven
from elman.tasks.entry import entry

P = ParamSpec("P")
R = TypeVar("R")
Steps = Generator[Any, Any, R]  # yields requests, gets their answers
MAX_STREAMS: Final = 2**31 - 1


class Network(Protocol):
    """A network prepared for the requests of many streams."""

    def answer(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests, each as if it were alone; with a NotFinite where an answer holds a NaN."""


class Stream(Protocol):
    """What a pool holds. Its methods made by `stepwise` can be called for many streams at once."""

    @property
    def network(self) -> Network: ...

    def reset(self) -> None:
        """Begin anew."""


S = TypeVar("S", bound=Stream)


def stepwise(method: Callable[Concatenate[S, P], Steps[R]]) -> Callable[Concatenate[S, P], R]:
    """Let a generator of requests be called as a plain method; pools take it as it is."""

    @wraps(method)
    def alone(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return _alone(self, method(self, *args, **kwargs))

    entered = entry(alone)
    entered.steps = method  # type: ignore[attr-defined]
    return entered


def _alone(stream: Stream, steps: Steps[R]) -> R:
    try:
        return driven(steps, lambda request: answered(stream.network, request))
    except NotFinite:
        stream.reset()
        raise


def pieces(steps: Steps[None], answer: Callable[[Any], Any]) -> Iterator[str]:
    """Yield the pieces of text among a generator's requests, each of which is answered at once."""
    value: Any = None
    while True:
        try:
            request = steps.send(value)
        except StopIteration:
            return
        value = None
        if isinstance(request, str):
            yield request
        else:
            value = answer(request)


def answered(network: Network, request: Any) -> Any:
    """Return the answer to one request. Raises NotFinite where the state became NaN."""
    (answer,) = network.answer([request])
    if isinstance(answer, NotFinite):
        raise answer
    return answer


class Answers(NamedTuple, Generic[S]):
    """What a call for several streams returns.

    Attributes:
        done: what the stream's own method would have returned, by stream.
        failed: the errors of the others, by stream. After a mistake in its input a stream is as it was; one
            whose state became NaN has begun anew, and so has one in which elman itself made a mistake: its
            error is no ElmanError.
    """

    done: dict[S, Any]
    failed: dict[S, Exception]


class Pool(Generic[S]):
    """Room for many streams of one model, which advance together. Made by `pool` of a model.

    A stream answers here as it does alone, bit for bit, whatever else is pushed; its own methods can be used
    as well. Threads may share a pool: they take turns.
    """

    def __init__(self, network: Network, start: Callable[..., S], capacity: int) -> None:
        """`start` begins a stream of the network."""
        capacity = plain(capacity)
        if not is_whole(capacity) or not 1 <= capacity <= MAX_STREAMS:
            raise UsageError(f"capacity must be a whole number from 1 to {MAX_STREAMS}, not {capacity!r}")
        self.capacity, self._network, self._start = capacity, network, start
        self._lock = threading.RLock()
        self._open: dict[S, Steps[Any] | None] = {}  # with what it is writing

    def __len__(self) -> int:
        """Return the number of open streams."""
        return len(self._open)

    def __contains__(self, stream: Any) -> bool:
        return stream in self._open

    def __iter__(self) -> Iterator[S]:
        return iter(list(self._open))

    @entry
    def open(self, **options: Any) -> S:
        """Begin a stream, with the options of the model's `stream`. Raises UsageError if there is no room,
        and as `stream` does."""
        with self._lock:
            if len(self._open) >= self.capacity:
                raise UsageError(f"all {self.capacity} streams of the pool are open: close one")
            stream = self._start(**options)
            self._open[stream] = None
            return stream

    def close(self, stream: S) -> None:
        """Let go of a stream. Raises UsageError if it is not open."""
        with self._lock:
            self._check([stream])
            if (writing := self._open.pop(stream)) is not None:
                writing.close()

    def push(self, items: Mapping[S, Any]) -> Answers[S]:
        """Push an item to each of some streams, as their `push` does; where `push` takes arguments by name, a
        dict of them is an item, too. Raises UsageError for a stream that is
        not open, before any has advanced."""
        calls = {}
        for stream, item in _checked(items).items():
            by_name = isinstance(item, dict) and getattr(stream, "PUSHES_KEYWORDS", False)
            calls[stream] = ((), item) if by_name else ((item,), {})
        return self._call("push", calls)

    def tell(self, messages: Mapping[S, Any]) -> Answers[S]:
        """Add turns to some conversations, as their `tell` does. Raises UsageError as `push` does, and where
        streams are no conversations."""
        return self._call("tell", {stream: ((one,), {}) for stream, one in _checked(messages).items()})

    def result(self, streams: Iterable[S], **options: Any) -> Answers[S]:
        """Return the results of some streams, as their `result` does. Raises UsageError as `push` does."""
        return self._call("result", dict.fromkeys(streams, ((), options)))

    def finish(self, streams: Iterable[S]) -> Answers[S]:
        """End the recordings of some streams, as their `finish` does. Raises UsageError as `push` does, and
        where streams have no end."""
        return self._call("finish", {stream: ((), {}) for stream in streams})

    def write(self, stream: S, **options: Any) -> None:
        """Let a stream write, in the calls of `pieces`: what a language model's `generate` or a translator's
        `words` yields, with these options. What it was writing ends. Raises UsageError for a stream that is
        not open or writes nothing, and for a wrong option."""
        with self._lock:
            self._check([stream])
            steps = getattr(stream, "writing", None)
            if steps is None:
                raise UsageError("these streams write no text in pieces: use result")
            self._open[stream] = steps(**_plain(options))

    def stop(self, stream: S) -> None:
        """End what a stream is writing, if anything. Raises UsageError for a stream that is not open."""
        with self._lock:
            self._check([stream])
            writing, self._open[stream] = self._open[stream], None
            if writing is not None:
                writing.close()

    @entry
    def pieces(self, streams: Iterable[S] | None = None) -> Answers[S]:
        """Return the next piece of every stream that is writing, or of those among some streams: "" for one
        that has ended now. Raises UsageError as `push` does."""
        with self._lock:
            chosen = list(self._open if streams is None else streams)
            self._check(chosen)
            writing = ((stream, self._open[stream]) for stream in chosen)
            return self._together({stream: steps for stream, steps in writing if steps})

    @entry
    def _call(self, name: str, calls: Mapping[S, tuple[tuple[Any, ...], dict[str, Any]]]) -> Answers[S]:
        with self._lock:
            self._check(calls)
            method = getattr(type(next(iter(calls))), name, None) if calls else None
            if calls and method is None:
                raise UsageError(f"these streams have no {name}")
            steps = getattr(method, "steps", partial(_at_once, method))
            return self._together(
                {
                    stream: steps(stream, *map(plain, args), **_plain(options))
                    for stream, (args, options) in calls.items()
                }
            )

    def _check(self, streams: Iterable[Any]) -> None:
        for stream in streams:
            if stream not in self._open:
                raise UsageError(f"this {type(stream).__name__} is not open in the pool: open() returns one")

    def _together(self, running: dict[S, Steps[Any]]) -> Answers[S]:
        """Run generators to their ends, or to a piece of text, and answer their requests together."""
        answers: Answers[S] = Answers({}, {})
        received: dict[S, Any] = dict.fromkeys(running)
        while received:
            requests = {}
            for stream, answer in received.items():
                request = self._resumed(stream, running[stream], answer, answers)
                if request is not None:
                    requests[stream] = request
            results = self._network.answer(list(requests.values())) if requests else []
            received = dict(zip(requests, results, strict=True))
        return answers

    def _resumed(self, stream: S, steps: Steps[Any], answer: Any, answers: Answers[S]) -> Any:
        """Return the next request of a stream, None once its answer or error is known."""
        try:
            if isinstance(answer, NotFinite):
                stream.reset()
                raise answer
            request = steps.send(answer)
        except StopIteration as end:
            answers.done[stream] = "" if self._open[stream] is steps else end.value
        except ElmanError as error:
            answers.failed[stream] = error
        except Exception as error:  # of one stream, which must not stop the others
            stream.reset()
            answers.failed[stream] = error
        else:
            if not isinstance(request, str):
                return request
            answers.done[stream] = request
            return None
        if self._open[stream] is steps:
            self._open[stream] = None
        return None


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in options.items()}


def _at_once(method: Any, *args: Any, **options: Any) -> Steps[Any]:
    """Do what needs no network."""
    yield from ()
    return method(*args, **options)


def _checked(items: Any) -> Mapping[Any, Any]:
    if not isinstance(items, Mapping):
        raise UsageError(f"push takes a dict of items by stream, not {type(items).__name__}")
    return items


def marked(answers: list[Any], outputs: Any, rows: Sequence[slice]) -> list[Any]:
    """Return the answers, with a NotFinite where the outputs (T, N, ·) of their rows hold a NaN."""
    if not np.isnan(outputs.sum()):  # one pass, and mostly the last one
        return answers
    return [
        NotFinite() if np.isnan(outputs[:, part]).any() else answer
        for answer, part in zip(answers, rows, strict=True)
    ]
