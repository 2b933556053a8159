"""The first Ctrl-C is a request, the second acts at once; ignored signals stay ignored."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from elman.training.signals import STOPPING, Interrupted, StopSignal, end, time_limit


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGALRM)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


def test_nothing_happens_without_a_signal() -> None:
    with StopSignal() as stop:
        assert signal.getsignal(signal.SIGINT) == stop._handle
    assert stop.number is None


@pytest.mark.parametrize("number", STOPPING)
def test_first_signal_is_noted_the_second_acts(number: int) -> None:
    with pytest.raises(KeyboardInterrupt), StopSignal() as stop:
        os.kill(os.getpid(), number)
        assert stop.number == number
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the second signal did nothing")


def test_an_earlier_handler_gets_the_second_signal() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with StopSignal():
            os.kill(os.getpid(), signal.SIGINT)
            assert heard == []
            os.kill(os.getpid(), signal.SIGTERM)
            assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopSignal() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.number is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_come_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="mine"), StopSignal():
        raise ValueError("mine")


def test_in_another_thread_nothing_is_caught() -> None:
    handlers: list[Any] = []

    def work() -> None:
        with StopSignal() as stop:
            handlers.append((signal.getsignal(signal.SIGINT), stop.number))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [(signal.getsignal(signal.SIGINT), None)]


def test_a_signal_is_announced_when_it_arrives() -> None:
    heard: list[int] = []
    with StopSignal(heard.append):
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]


def test_work_that_can_be_repeated_is_cut_short() -> None:
    with StopSignal() as stop:
        with pytest.raises(Interrupted), stop.aborting():
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("the work went on")
        with pytest.raises(Interrupted), stop.aborting():
            pytest.fail("the work began")
    with StopSignal() as stop:
        with stop.aborting():
            pass
        os.kill(os.getpid(), signal.SIGTERM)  # nothing more to cut short


def test_a_time_limit_ends_the_work_and_leaves_the_clock_as_it_was() -> None:
    signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 50)
    try:
        with pytest.raises(Interrupted), time_limit(0.02):
            time.sleep(5)
        with time_limit(5):
            pass
        assert 40 < signal.getitimer(signal.ITIMER_REAL)[0] <= 50
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("number", "raised", "code", "said"),
    [
        (signal.SIGINT, KeyboardInterrupt, "all is saved", []),
        (signal.SIGTERM, SystemExit, "143", ["all is saved"]),
        (signal.SIGHUP, SystemExit, "129", ["all is saved"]),
    ],
)
def test_the_end_is_that_of_the_signal(number: int, raised: Any, code: str, said: list[str]) -> None:
    sentences: list[str] = []
    with pytest.raises(raised, match=f"^{code}$"):
        end(number, "all is saved", sentences.append)
    assert sentences == said


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_handler_of_the_caller_hears_of_the_signal_at_the_end(number: int, raised: Any) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda number, frame: heard.append(number))
    try:
        with pytest.raises(raised):
            end(number, "all is saved", print)
        assert heard == [number]
    finally:
        signal.signal(number, before)
