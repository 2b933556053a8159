"""Run the server until it is told to end."""

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

import uvicorn
from starlette.applications import Starlette

from elman.errors import UsageError
from elman.serve.log import Lines, note
from elman.serve.traffic import Traffic
from elman.serve.workers import supervise

ENDING: Final = (signal.SIGTERM, signal.SIGINT)
GRACE_SECONDS: Final = 3  # to close what is open after all
KEEP_ALIVE_SECONDS: Final = 30  # that a connection waits for its next request
POLL_SECONDS: Final = 0.02
BACKLOG: Final = 2048  # connections that wait to be accepted


class Server(uvicorn.Server):
    """A server that leaves signals to `run`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(make: Callable[[], Starlette], host: str, port: int, workers: int = 1, show: bool = False) -> int:
    """Serve until SIGTERM or Ctrl-C. Several processes return the exit code; one ends with code 0.

    Args:
        make: the application, in each process anew.
        port: 0 for any that is free.
        workers: processes.
        show: whether to open the page in a browser.

    Raises UsageError if there can be no server at this address.
    """
    _allow_connections()
    logging.basicConfig(handlers=[Lines()])
    app = make()  # before anybody is told that it serves
    if workers > 1:
        with _bound(host, port, False):  # or this server would share the port with another one
            pass
    with _bound(host, port, workers > 1) as listening:
        address, chosen = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        print(f"elman serves at http://{shown}:{chosen}", file=sys.stderr, flush=True)
        if show:
            webbrowser.open(f"http://{shown}:{chosen}/")
        if workers == 1:
            asyncio.run(_serve(app, listening))
            sys.stderr.flush()
            os._exit(0)  # Python would wait for threads whose answers nobody takes any more

        def work() -> None:
            with _bound(host, chosen, True) as shared:
                shared.listen(BACKLOG)
                asyncio.run(_serve(make(), shared, is_worker=True))

        return supervise(workers, work)


def _allow_connections() -> None:
    """Raise the number of files that this process may open, each connection one, to what the system allows:
    mostly it is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # where no limit is none that can be asked for
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(app: Starlette, listening: socket.socket, is_worker: bool = False) -> None:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws_max_size=app.state.limits.message_bytes,
        ws_per_message_deflate=False,  # small messages, of which there are many, only get slower
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
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
    # others may outlive the shell that started them, as under nohup
    watching = asyncio.create_task(_watch_parent(end)) if is_worker else None
    await server.serve(sockets=[listening])
    if watching is not None:
        watching.cancel()


async def _end(server: Server, traffic: Traffic, seconds: float) -> None:
    """Accept nothing new, wait for open requests, and shut down."""
    note("ending", open=traffic.open, seconds=seconds)
    traffic.end(seconds)
    last = time.monotonic() + seconds
    while traffic.open and time.monotonic() < last:
        await asyncio.sleep(POLL_SECONDS)
    server.should_exit = True


async def _watch_parent(end: Callable[[], None]) -> None:
    """End when the process that started this one has gone."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
    end()


@contextmanager
def _bound(host: str, port: int, shared: bool) -> Iterator[socket.socket]:
    """Bind a socket, which others can share, or listen if it is not to be `shared`."""
    with ExitStack() as stack:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            bound = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(address)
            if not shared:
                bound.listen(BACKLOG)  # before anybody is told
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(f"can't listen on {host}, port {port} ({reason}): choose others") from None
        yield bound
