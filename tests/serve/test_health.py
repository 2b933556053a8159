"""Health and numbers."""

import re

from elman.version import __version__
from serving import Served


def numbers(served: Served) -> dict[str, float]:
    """The numbers of /metrics by name and labels."""
    answer = served.http.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    values = {}
    for line in answer.text.splitlines():
        if not line.startswith("# "):
            name, value = re.fullmatch(r"([a-z_]+(?:\{.*\})?) (\S+)", line).groups()  # type: ignore[union-attr]
            values[name] = float(value)
        else:
            assert re.fullmatch(r"# (HELP \w+ .+|TYPE \w+ (counter|gauge|histogram))", line)
    return values


def test_the_server_is_up(served: Served) -> None:
    assert served.http.get("/health").json() == {"status": "ok", "version": __version__}
    assert served.http.get("/ready").json() == {"status": "ready"}


def test_numbers_follow_what_happens(served: Served) -> None:
    served.predict("generate", "I love")
    before = numbers(served)
    served.predict("generate", "I love")
    with served.live("generate") as live:
        live.say(push="I love ")
        during = numbers(served)
        assert during['elman_sessions{model="generate"}'] == 1 and during["elman_open_requests"] == 1
    served.sessions("generate")
    after = numbers(served)
    route = 'route="/v1/predict/{model}"'
    name = f'elman_requests_total{{{route},status="200"}}'
    assert after[name] == before[name] + 1
    count = f"elman_request_seconds_count{{{route}}}"
    assert after[count] >= before[count] + 1
    assert after[f'elman_request_seconds_bucket{{{route},le="+Inf"}}'] == after[count]
    assert after['elman_model_loaded{model="generate"}'] == 1
    assert after['elman_ticks_total{model="generate"}'] > before['elman_ticks_total{model="generate"}']
    assert after["process_resident_memory_bytes"] > 1e7 and after["process_cpu_seconds_total"] > 0
