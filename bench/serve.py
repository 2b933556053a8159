"""How many clients in real time a server holds: speech, and the next word while people type.

    python bench/serve.py speech MODEL RECORDING ... [--streams 50 100 200]
    python bench/serve.py words MODEL [--streams 250 500 1000]

`elman serve` and the clients are two processes on this machine. A client of speech sends a piece of sound of
--piece seconds whenever one is there, on one of the server's protocols; one of words sends a word a second,
and asks what comes next. A time is that from when a piece is there, by the clock and not by when the client
came to send it, to when its text is back. Prints a row for each number of clients: percentiles of the times
in milliseconds, the cores that the server took, the sessions that shared a kernel call (of one of several
workers), and its memory.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from elman.data.audio.read import read_audio
from serve_process import ServerProcess, serving

WORD_SECONDS: Final = 1.0
RATE: Final = 8000
STREAMS: Final = {"speech": (25, 50, 100, 200, 300, 400), "words": (250, 500, 1000)}
TYPIST: Final = "she said that the old man was not at home and would come back in the morning"
WORDS: Final = TYPIST.split()
Message = str | bytes


class Protocol:
    """What a client says and how often it is answered.

    Attributes:
        path: of the websocket.
        first: what is said first, which is answered if `is_answered`.
        messages: a piece of the input → what is sent for it.
        answers: how many come to that; the last ends its time.
    """

    def __init__(
        self, path: str, first: str, is_answered: bool, messages: Callable[[Any], list[Message]]
    ) -> None:
        self.path, self.first, self.is_answered, self.messages = path, first, is_answered, messages
        self.answers = len(messages(""))


OPEN: Final = json.dumps({"open": {"rate": RATE}})
CONFIG: Final = json.dumps({"config": {"sample_rate": RATE}})
PROTOCOLS: Final = {
    "elman": Protocol("/v1/stream/model", OPEN, True, lambda piece: [piece]),
    "vosk": Protocol("/vosk/model", CONFIG, False, lambda piece: [piece]),
}
TYPED: Final = Protocol(
    "/v1/stream/model",
    '{"open": {}}',
    True,
    lambda word: [json.dumps({"push": word}), '{"result": {"count": 3}}'],
)


class Starting:
    """Lets clients begin when all are connected: at first the server loads its model."""

    def __init__(self, count: int) -> None:
        self._barrier, self._start = asyncio.Barrier(count), 0.0

    async def wait(self) -> float:
        """Return the time at which to begin, the same for all."""
        await self._barrier.wait()
        self._start = self._start or time.monotonic() + 0.5
        return self._start


class Client:
    """A client in real time.

    Attributes:
        times: seconds from each piece to its text.
    """

    def __init__(self, protocol: Protocol, pieces: Iterator[Any], every: float) -> None:
        self._protocol, self._pieces, self._every = protocol, pieces, every
        self.times: list[float] = []

    async def run(self, server: ServerProcess, ready: "Starting", delay: float, seconds: float) -> None:
        """Once all clients are connected, and `delay` has passed, send pieces for so many seconds."""
        address = f"{server.socket}{self._protocol.path}"
        async with connect(address, compression=None, ping_interval=None, open_timeout=60) as socket:
            await socket.send(self._protocol.first)
            if self._protocol.is_answered:
                await socket.recv()
            due: asyncio.Queue[float | None] = asyncio.Queue()
            reading = asyncio.create_task(self._read(socket, due))
            at = await ready.wait() + delay
            end = at + seconds
            for piece in self._pieces:
                if (at := at + self._every) > end:
                    break
                await asyncio.sleep(max(at - time.monotonic(), 0))
                due.put_nowait(at)
                for message in self._protocol.messages(piece):
                    await socket.send(message)
            due.put_nowait(None)
            await reading

    async def _read(self, socket: ClientConnection, due: "asyncio.Queue[float | None]") -> None:
        answers = self._protocol.answers
        while (at := await due.get()) is not None:
            for _ in range(answers):
                reply = await socket.recv()
            self.times.append(time.monotonic() - at)
            assert "error" not in str(reply)[:10], reply


def spoken(recordings: Sequence[bytes], number: int, seconds: float) -> Iterator[bytes]:
    """Yield pieces of so many seconds, of one recording after another, from the client's own."""
    size = 2 * int(seconds * RATE)
    while True:
        sound = recordings[number % len(recordings)]
        for start in range(0, len(sound) - size + 1, size):
            yield sound[start : start + size]
        number += 1


def typed(number: int) -> Iterator[str]:
    """Yield a word after another, from the client's own."""
    while True:
        yield f"{WORDS[number % len(WORDS)]} "
        number += 1


async def load(server: ServerProcess, clients: Sequence[Client], seconds: float, every: float) -> list[float]:
    """Run clients that begin one after another within an interval; return the times after the first
    second."""
    ready = Starting(len(clients))
    runs = (one.run(server, ready, every * k / len(clients), seconds) for k, one in enumerate(clients))
    await asyncio.gather(*runs)
    skipped = max(round(1 / every), 1)
    return [value for client in clients for value in client.times[skipped:]]


def measured(server: ServerProcess, clients: Sequence[Client], seconds: float, every: float) -> str:
    """Return a row of the table."""
    before = server.cpu_seconds(), server.metric("elman_ticks_total"), server.metric("elman_rows_total")
    began = time.monotonic()
    times = np.array(asyncio.run(load(server, clients, seconds, every)))
    elapsed = time.monotonic() - began
    ticks = server.metric("elman_ticks_total") - before[1]
    rows = server.metric("elman_rows_total") - before[2]
    p50, p95, p99 = np.percentile(times, [50, 95, 99]) * 1000
    core = (server.cpu_seconds() - before[0]) / elapsed
    return (
        f"| {len(clients)} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {1000 * times.max():.0f} | {core:.2f} | "
        f"{rows / max(ticks, 1):.1f} | {server.megabytes():.0f} |"
    )


def pcm(path: Path) -> bytes:
    """Return a recording as 16-bit samples."""
    samples = np.clip(read_audio(path, RATE), -1, 1)
    return bytes((samples * 32767).round().astype("<i2").tobytes())


def main() -> None:
    """Measure what is named."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=STREAMS)
    parser.add_argument("model", type=Path)
    parser.add_argument("recordings", type=Path, nargs="*")
    parser.add_argument("--streams", type=int, nargs="+")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--piece", type=float, default=0.1, help="seconds of sound in a message")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="elman")
    parser.add_argument("--workers", type=int, default=1, help="processes, as of elman serve")
    parser.add_argument("--tick", type=float, default=2.0, help="milliseconds, as of elman serve")
    given = parser.parse_args()
    recordings = [pcm(path) for path in given.recordings]
    speech = given.kind == "speech"
    every = given.piece if speech else WORD_SECONDS
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    print("| streams | p50 ms | p95 ms | p99 ms | most ms | cores | sessions a call | MB |")
    print("|---|---|---|---|---|---|---|---|")
    limits = {"sessions": 10_000, "tick": given.tick, "workers": given.workers}
    with serving({"model": given.model}, **limits) as server:
        for count in given.streams or STREAMS[given.kind]:
            clients: list[Client] = []
            for k in range(count):
                pieces: Any = spoken(recordings, k, every) if speech else typed(k)
                clients.append(Client(PROTOCOLS[given.protocol] if speech else TYPED, pieces, every))
            print(measured(server, clients, given.seconds, every), flush=True)


if __name__ == "__main__":
    main()
