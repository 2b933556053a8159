"""The first Ctrl-C is a request, the second acts at once; ignored signals stay ignored."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from elman.training.signals import StopSignal


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


def test_nothing_happens_without_a_signal() -> None:
    with StopSignal() as stop:
        assert signal.getsignal(signal.SIGINT) == stop._handle
    assert not stop.stopped


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_noted_the_second_acts(number: int) -> None:
    with pytest.raises(KeyboardInterrupt), StopSignal() as stop:
        os.kill(os.getpid(), number)
        assert stop.stopped
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
            assert not stop.stopped
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.stopped
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
            handlers.append((signal.getsignal(signal.SIGINT), stop.stopped))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [(signal.getsignal(signal.SIGINT), False)]
