"""The application: what is not there, and its own mistakes."""

import json

import pytest
from starlette.testclient import TestClient

from elman.serve.answers import BROKEN
from elman.serve.app import make_app
from elman.serve.limits import Limits
from elman.serve.shelf import Shelf
from serving import Served


def test_what_is_not_there(served: Served) -> None:
    assert served.error(served.http.get("/v1/nothing")).startswith("404 Not Found")
    assert served.error(served.http.get("/v1/predict/classify")).startswith("405 Method Not Allowed")


def test_a_mistake_of_the_server_is_answered_and_logged_as_others_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = make_app(Shelf({}, Limits()), Limits())
    app.state.shelf = None
    answer = TestClient(app, "http://localhost").get("/v1/models")  # would raise what the server raises
    assert answer.status_code == 500 and answer.json()["error"]["message"] == BROKEN
    assert "content-security-policy" in answer.headers and "x-request-id" in answer.headers
    failed, answered = map(json.loads, capsys.readouterr().err.splitlines())
    assert failed["error"] == "TypeError" and answered["status"] == 500
