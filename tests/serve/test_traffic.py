"""Numbers and log lines of requests, which hold nothing that a client said."""

import json
import time

import pytest
from websockets.exceptions import InvalidStatus

from elman.serve.traffic import BUCKETS, Traffic
from saved_models import SAVED
from serving import Served, serving

SECRET = "hush-hush"


def test_every_request_is_a_line_without_contents(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    answer = served.predict("classify", SECRET)
    served.http.get(f"/v1/models/{SECRET}?{SECRET}", headers={"x-api-key": SECRET})
    served.http.get(f"/{SECRET}")
    served.http.request(SECRET.upper(), "/v1/models")
    served.predict("classify", [SECRET, 3])
    with served.live("classify") as live:
        live.say(push=SECRET)
        live.error(push=3)
    served.sessions("classify")
    time.sleep(0.05)
    logged = capfd.readouterr().err
    assert SECRET not in logged.lower()
    lines = [line for line in map(json.loads, logged.splitlines()) if line["event"] == "answered"]
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/v1/predict/{model}", 200),
        ("/v1/models/{model}", 404),
        ("other", 404),
        ("/v1/models", 405),
        ("/v1/predict/{model}", 422),
        ("/v1/stream/{model}", 101),
    ]
    assert lines[0]["model"] == "classify" and "model" not in lines[1] and lines[0]["method"] == "POST"
    assert lines[0]["id"] == answer.headers["x-request-id"]
    assert lines[0]["bytes"] == len(answer.content) and 0 < lines[0]["seconds"] < 10


def test_a_histogram() -> None:
    traffic = Traffic()
    for seconds in (0.001, 0.005, 0.02, 100.0):
        traffic.count("/a", 200, seconds)
    counts, total = traffic.seconds["/a"]
    assert (
        counts[:3] == [2, 0, 1] and counts[-1] == 1 and sum(counts) == 4 and len(counts) == len(BUCKETS) + 1
    )
    assert total == pytest.approx(100.026) and traffic.requests["/a", 200] == 4


def test_a_server_that_is_ending_takes_nothing_new() -> None:
    with serving({"c": SAVED / "classify"}) as one, one.live("c") as live:
        live.say(push="good ")
        traffic = one.app.state.traffic
        assert traffic.open == 1
        traffic.end(5)  # `set` of an event only wakes tasks; the next message does the rest
        live.socket.send(json.dumps({"result": {}}))
        answers = [live.heard(), live.heard()]
        assert {"ending": {"seconds": 5}} in answers and any("result" in answer for answer in answers)
        answer = one.http.get("/v1/models")
        assert one.error(answer).startswith("503 this server is ending") and answer.headers["retry-after"]
        assert one.http.get("/health").status_code == 200 and one.http.get("/ready").status_code == 503
        with pytest.raises(InvalidStatus, match="503"), one.live("c"):
            pass
        assert "result" in live.say(result={})  # what is open goes on
