"""Run the server until it is told to end."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import uvicorn
from starlette.applications import Starlette

from elman.errors import UsageError
from elman.serve.log import note
from elman.serve.traffic import Traffic

ENDING: Final = (signal.SIGTERM, signal.SIGINT)
GRACE_SECONDS: Final = 3  # to close what is open after all
POLL_SECONDS: Final = 0.02
BACKLOG: Final = 2048  # connections that wait to be accepted


class Server(uvicorn.Server):
    """A server that leaves signals to `run`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(app: Starlette, host: str, port: int) -> None:
    """Serve an application until SIGTERM or Ctrl-C. Raises UsageError if there can be no server at this
    address."""
    listening = _listen(host, port)
    address, chosen = listening.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    print(f"elman serves at http://{shown}:{chosen}", file=sys.stderr, flush=True)
    asyncio.run(_serve(app, listening))


async def _serve(app: Starlette, listening: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=app.state.limits.message_bytes,
        ws_per_message_deflate=False,  # small messages, of which there are many, only get slower
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config)
    ending: list[asyncio.Task[None]] = []

    def end() -> None:
        """Begin to end; at the second signal, end."""
        if ending:
            server.should_exit = True
        else:
            ending.append(asyncio.create_task(_end(server, app.state.traffic, app.state.limits.drain)))

    for number in ENDING:
        asyncio.get_running_loop().add_signal_handler(number, end)
    await server.serve(sockets=[listening])


async def _end(server: Server, traffic: Traffic, seconds: float) -> None:
    """Take nothing new, wait for what is open, and end."""
    note("ending", open=traffic.open, seconds=seconds)
    traffic.end(seconds)
    last = time.monotonic() + seconds
    while traffic.open and time.monotonic() < last:
        await asyncio.sleep(POLL_SECONDS)
    server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as stack:
            listening = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)  # before anybody is told
            stack.pop_all()  # it stays open
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"can't listen on {host}, port {port} ({reason}): choose others") from None
    return listening
