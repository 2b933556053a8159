"""Run the server until it is told to end."""

import asyncio
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import uvicorn

from elman.errors import UsageError
from elman.serve.app import make_app
from elman.serve.limits import Limits
from elman.serve.shelf import Shelf

ENDING: Final = (signal.SIGTERM, signal.SIGINT)


class Server(uvicorn.Server):
    """A server that leaves signals to `run`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(shelf: Shelf, limits: Limits, host: str, port: int) -> None:
    """Serve the models of a shelf. Raises UsageError if there can be no server at this address."""
    listening = _listen(host, port)
    config = uvicorn.Config(
        make_app(shelf, limits),
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=limits.message_bytes,
        ws_per_message_deflate=False,  # small messages, of which there are many, only get slower
    )
    address, chosen = listening.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    print(f"elman serves at http://{shown}:{chosen}", file=sys.stderr, flush=True)
    asyncio.run(_serve(Server(config), listening))


async def _serve(server: Server, listening: socket.socket) -> None:
    def end() -> None:
        server.should_exit = True

    for number in ENDING:
        asyncio.get_running_loop().add_signal_handler(number, end)
    await server.serve(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with ExitStack() as stack:
            listening = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            stack.pop_all()  # it stays open
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"can't listen on {host}, port {port} ({reason}): choose others") from None
    return listening
