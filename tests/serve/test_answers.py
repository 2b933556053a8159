"""Errors as OpenAI's clients read them, and JSON that can hold anything."""

import json
import math

import pytest
from starlette.exceptions import HTTPException

from elman.errors import DataError, NotFinite, UsageError
from elman.serve.answers import ApiError, answer_error, as_error, encode


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (ApiError(404, "no", "model", "model_not_found"), 404, "invalid_request_error", "model_not_found"),
        (UsageError("no"), 422, "invalid_request_error", "invalid_value"),
        (DataError("no"), 422, "invalid_request_error", "invalid_value"),
        (NotFinite(), 422, "invalid_request_error", "not_finite"),
        (TimeoutError(), 503, "server_error", "deadline"),
        (HTTPException(405), 405, "invalid_request_error", "method_not_allowed"),
        (ApiError(429, "wait"), 429, "rate_limit_error", "queue_full"),
    ],
)
def test_every_error_has_its_status(error: Exception, status: int, kind: str, code: str) -> None:
    response = answer_error(error)
    told = json.loads(bytes(response.body))["error"]
    assert (response.status_code, told["type"], told["code"]) == (status, kind, code)
    assert told["message"] and set(told) == {"message", "type", "param", "code"}
    assert ("retry-after" in response.headers) == (status in (429, 503))


def test_a_mistake_of_the_server_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("/home/me/secret")
    except KeyError as error:
        told = as_error(error)
    assert told.status == 500 and "secret" not in told.message
    logged = capsys.readouterr().err
    assert "KeyError" in logged and "test_answers.py" in logged and "secret" not in logged


def test_any_value_becomes_json() -> None:
    assert json.loads(encode({"a": [math.nan, math.inf, 1.5], "é": "ü"})) == {
        "a": [None, None, 1.5],
        "é": "ü",
    }
    assert json.loads(encode(["\ud800", math.nan])) == ["\ud800", None]
    assert encode("é") == '"é"'.encode()
