"""Who may ask."""

import json
from collections.abc import Iterator

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from elman.serve.guard import is_local
from saved_models import SAVED
from serving import Served, serving

KEY = "secret/key+1"


@pytest.fixture(scope="module")
def locked() -> Iterator[Served]:
    with serving({"c": SAVED / "classify"}, key=KEY) as running:
        yield running


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY}"},
        {"authorization": KEY},
        {"x-api-key": KEY},
    ],
)
def test_the_key_opens(locked: Served, headers: dict[str, str]) -> None:
    assert locked.http.get("/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["secret", KEY + "1", KEY.upper(), "é", "secret%2Fkey"])
def test_another_does_not(locked: Served, key: str) -> None:
    for path in ("/v1/models", "/metrics", "/v1/nothing", "/v1/stream/c"):
        headers = [(b"authorization", f"Bearer {key}".encode())]
        answer = locked.http.get(path, headers=headers)  # type: ignore[arg-type]
        assert locked.error(answer).startswith("401 this server needs its key")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_page_and_the_health_need_none(locked: Served) -> None:
    for path in ("/", "/index.html", "/health", "/ready", "/openapi.json"):
        assert locked.http.get(path).status_code == 200


def test_websockets_send_it_as_a_header_or_a_subprotocol(locked: Served) -> None:
    address = f"ws://127.0.0.1:{locked.port}/v1/stream/c"
    with pytest.raises(InvalidStatus, match="401"), connect(address):
        pass
    with connect(address, additional_headers={"authorization": f"Bearer {KEY}"}) as socket:
        socket.send(json.dumps({"result": {}}))
        assert "result" in json.loads(socket.recv())
    protocols = ["elman", "openai-insecure-api-key.secret%2Fkey%2B1"]
    with connect(address, subprotocols=protocols) as socket:  # type: ignore[arg-type]
        assert socket.subprotocol == "elman"
    # the page needs no key, but the websocket of the same path does
    with pytest.raises(InvalidStatus, match="401"), connect(f"ws://127.0.0.1:{locked.port}/"):
        pass


def test_pages_of_other_servers_may_not_ask(served: Served) -> None:
    own = {"origin": served.url}
    assert served.http.get("/v1/models", headers=own).status_code == 200
    for origin in ("https://evil.example", "null", served.url.replace("127.0.0.1", "localhost")):
        answer = served.http.post("/v1/predict/classify", content="{}", headers={"origin": origin})
        assert served.error(answer).startswith("403 a page of another server may not ask here")
    with pytest.raises(InvalidStatus, match="403"), served.live("classify", origin="https://evil.example"):
        pass


def test_pages_of_a_server_that_is_named_may_ask_and_read_the_answer() -> None:
    page, other = "https://page.example", "https://evil.example"
    asking = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    with serving({"c": SAVED / "classify"}, key=KEY, origins=[page]) as running:
        may = running.http.options("/v1/predict/c", headers={"origin": page} | asking)
        assert may.is_success and may.headers["access-control-allow-origin"] == page
        assert "authorization" in may.headers["access-control-allow-headers"].lower()
        may_not = running.http.options("/v1/predict/c", headers={"origin": other} | asking)
        assert not may_not.is_success and "access-control-allow-origin" not in may_not.headers
        for key, status in ((KEY, 200), ("wrong", 401)):
            headers = {"origin": page, "authorization": f"Bearer {key}"}
            answer = running.http.get("/v1/models", headers=headers)
            assert answer.status_code == status and answer.headers["access-control-allow-origin"] == page


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "", "[::1", "10.0.0.1", "localhost.evil"]
)
def test_another_name_than_this_machine_s_is_refused_without_a_key(served: Served, host: str) -> None:
    answer = served.http.get("/v1/models", headers={"host": host})
    assert answer.status_code in (400, 403)  # 400 by uvicorn, for what is no host at all


@pytest.mark.parametrize("host", ["localhost:8300", "127.0.0.1", "127.1.2.3:1", "[::1]:8300"])
def test_this_machine_has_several_names(served: Served, host: str) -> None:
    assert served.http.get("/v1/models", headers={"host": host}).status_code == 200


def test_local_addresses() -> None:
    assert all(map(is_local, ("localhost", "127.0.0.1", "::1")))
    assert not any(map(is_local, ("0.0.0.0", "::", "", "example.com", "192.168.0.1")))
