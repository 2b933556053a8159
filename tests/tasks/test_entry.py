"""What a caller has set in PyTorch neither breaks a task nor is changed by it."""

import contextlib
import copy
import pickle
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch

import elman
from daily_series import daily
from elman.errors import UsageError
from elman.tasks import TASKS, Classifier, Forecaster
from elman.tasks.entry import default_torch, entry, training_entry
from labelled_texts import QUICK, small
from saved_models import SAVED, answers


@contextlib.contextmanager
def dtype(chosen: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(chosen)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SETTINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "float64": lambda: dtype(torch.float64),
    "bfloat16": lambda: dtype(torch.bfloat16),
    "meta": lambda: torch.device("meta"),
}
each_setting = pytest.mark.parametrize("setting", SETTINGS)


def state() -> tuple[Any, ...]:
    """What a caller can set, and the random numbers that come next."""
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_num_threads(),
        torch.get_rng_state().tolist(),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # type: ignore[index]
    )


def fitted() -> Classifier:
    return Classifier.fit(small(), **QUICK, epochs=1)


@pytest.fixture(scope="module")
def label() -> dict[Any, float]:
    return fitted().predict("word1 and word2", probabilities=True)


@each_setting
def test_a_training_is_the_same_whatever_the_caller_has_set(setting: str, label: dict[Any, float]) -> None:
    with SETTINGS[setting]():
        before = state()
        model = fitted()
        assert model.predict("word1 and word2", probabilities=True) == label
        assert state() == before
    assert all(p.requires_grad and not p.is_inference() for p in model.network.parameters())


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_the_same_whatever_the_caller_has_set(task: str) -> None:
    model = elman.load(SAVED / task)
    expected = answers(model)
    for name, setting in SETTINGS.items():
        with setting():
            assert answers(model) == expected, name
    with torch.device("meta"), dtype(torch.float64), torch.inference_mode():
        assert answers(elman.load(SAVED / task)) == expected


def test_a_forecaster_is_the_same_whatever_the_caller_has_set() -> None:
    def forecast() -> Any:
        return Forecaster.fit(daily(60), horizon=np.int64(3), hidden=4, epochs=1, progress=False).predict()

    expected = forecast()
    with torch.inference_mode(), dtype(torch.float64), torch.device("meta"):
        before = state()
        assert forecast().equals(expected)
        assert state() == before


def test_loading_draws_no_random_numbers() -> None:
    for task in TASKS:
        before = state()
        elman.load(SAVED / task)
        assert state() == before


@pytest.mark.parametrize("task", TASKS)
def test_models_are_copied_and_pickled(task: str) -> None:
    model = elman.load(SAVED / task)
    for copied in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert answers(copied) == answers(model)
        assert copied.validation == model.validation


def test_streams_are_the_same_whatever_the_caller_has_set() -> None:
    classifier, language = elman.load(SAVED / "classify"), elman.load(SAVED / "generate")

    def results() -> list[Any]:
        stream = classifier.stream()
        return [stream.push("a text of words "), stream.result(), [*language.generate("the ", 30, seed=1)]]

    expected = results()
    for setting in SETTINGS.values():
        with setting():
            assert results() == expected


def test_trainings_in_threads_give_what_each_gives_alone(label: dict[Any, float]) -> None:
    models: list[Classifier] = []
    before = state()
    threads = [threading.Thread(target=lambda: models.append(fitted())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [model.predict("word1 and word2", probabilities=True) for model in models] == [label] * 3
    assert state() == before


def test_a_training_that_fails_changes_nothing() -> None:
    before = state()
    with pytest.raises(UsageError):
        Classifier.fit(small(), **QUICK, epochs=0)
    assert state() == before


# ---- the pieces


def test_numbers_become_pythons() -> None:
    @entry
    def kinds(*values: Any, **named: Any) -> list[type]:
        return [type(value) for value in (*values, *named.values())]

    assert kinds(np.int8(1), np.array(2.0), a=torch.tensor(3), b=np.bool_(1), c="x") == [
        int,
        float,
        int,
        bool,
        str,
    ]


def test_a_generator_leaves_the_callers_settings_between_its_steps() -> None:
    closed: list[bool] = []

    @entry
    def numbers() -> Iterator[torch.dtype]:
        try:
            while True:
                yield torch.get_default_dtype()
        finally:
            closed.append(True)

    steps = numbers()
    with dtype(torch.float64):
        assert next(steps) == torch.float32
        assert torch.get_default_dtype() == torch.float64
        assert next(steps) == torch.float32
    steps.close()  # type: ignore[attr-defined]
    assert closed == [True]


def test_gradients_and_settings_come_back_after_an_error() -> None:
    @training_entry
    def wrong() -> None:
        assert torch.is_grad_enabled()
        torch.manual_seed(1)
        raise ValueError("wrong")

    with torch.no_grad(), dtype(torch.float64):
        before = state()
        with pytest.raises(ValueError, match="wrong"):
            wrong()
        assert state() == before
    with default_torch():
        assert torch.get_default_dtype() == torch.float32
