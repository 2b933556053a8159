"""A server of this process, in a thread, and clients of it."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import uvicorn
from websockets.sync.client import ClientConnection, connect

from elman.serve.app import make_app
from elman.serve.limits import Limits
from elman.serve.shelf import Shelf
from saved_models import SAVED

TASKS: Final = ("chat", "classify", "forecast", "generate", "transcribe", "translate")
FOLDERS: Final = {task: SAVED / task for task in TASKS}


class Served:
    """A running server: its application, its address, and an HTTP client."""

    def __init__(self, app: Any, port: int) -> None:
        self.app, self.port = app, port
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=100)

    def predict(self, model: str, given: Any, **options: Any) -> httpx.Response:
        """Ask for the answers to an input."""
        return self.http.post(f"/v1/predict/{model}", json={"input": given, "options": options})

    def error(self, answer: httpx.Response) -> str:
        """Return the status of a refusal and its sentence."""
        return f"{answer.status_code} {answer.json()['error']['message']}"

    @contextmanager
    def live(self, model: str, **settings: Any) -> Iterator["Live"]:
        """Open a websocket."""
        with connect(f"ws://127.0.0.1:{self.port}/v1/stream/{model}", **settings) as socket:
            yield Live(socket)

    def sessions(self, model: str) -> int:
        """Return how many sessions of a model are open, waiting for those that are being closed."""
        deadline = time.monotonic() + 30
        while (count := self.app.state.shelf[model].tally.sessions) and time.monotonic() < deadline:
            time.sleep(0.01)
        return int(count)


class Live:
    """A live session."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def say(self, **message: Any) -> dict[str, Any]:
        """Send a message and return the answer, the last one where it is written in pieces: those are then
        its "pieces"."""
        self.socket.send(json.dumps(message))
        return self.heard()

    def heard(self) -> dict[str, Any]:
        """Return the next answer."""
        pieces = []
        while "piece" in (reply := json.loads(self.socket.recv(60))):
            pieces.append(reply["piece"])
        return reply | ({"pieces": pieces} if pieces else {})

    def error(self, **message: Any) -> str:
        """Send a message that is wrong and return the sentence about it."""
        return str(self.say(**message)["error"]["message"])


@contextmanager
def serving(
    folders: Mapping[str, Path] = FOLDERS,
    key: str | None = None,
    origins: Sequence[str] = (),
    **limits: Any,
) -> Iterator[Served]:
    """Serve models on a free port."""
    chosen = Limits(**limits)
    app = make_app(Shelf(folders, chosen), chosen, key, origins)
    settings: dict[str, Any] = {
        "log_config": None,
        "lifespan": "on",
        "timeout_keep_alive": 30,
        "ws_per_message_deflate": False,
    }
    server = uvicorn.Server(uvicorn.Config(app, port=0, **settings, ws_max_size=chosen.message_bytes))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    served = Served(app, server.servers[0].sockets[0].getsockname()[1])
    try:
        yield served
    finally:
        served.http.close()
        server.should_exit = True
        thread.join(10)
