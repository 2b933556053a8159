"""Sessions that come, go, stall, send garbage and vanish, for minutes; the server must not care.

    python bench/serve_soak.py MINUTES SPEECH_MODEL [RECORDING ...]

Serves a model of speech and those in tests/tasks/saved. Well-behaved clients compare every answer with the
model's own; beside them, others behave badly. Prints a line a minute. The first fifth of the time is for
warming up. At the end it fails if memory has grown by more than MAX_GROWTH_MB, if a session or a file is
left open, if a well-behaved client was not answered as it should be, or if the server's log tells of a
mistake of its own.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

import elman
from elman.data.audio.read import read_audio
from serve_process import ServerProcess, serving

SAVED: Final = Path(__file__).parents[1] / "tests" / "tasks" / "saved"
MAX_GROWTH_MB: Final = 24
IDLE_SECONDS: Final = 20
EACH: Final = 3  # clients of every kind at a time
RATE: Final = 8000
CHUNK_BYTES: Final = RATE // 5  # 0.1 s
TEXT: Final = "I love "
PROBLEMS: Final = (OSError, WebSocketException, httpx.HTTPError, TimeoutError)


class Soak:
    """The clients, and what became of them."""

    def __init__(self, server: ServerProcess, speech: dict[str, bytes], expected: dict[str, str]) -> None:
        """`speech` are WAV files by name, `expected` what is said in them."""
        self._server, self._speech, self._expected = server, speech, expected
        self._http = httpx.AsyncClient(base_url=server.url, timeout=60)
        self._random = random.Random(0)
        self.counts = Counter[str]()
        self.wrong: list[str] = []

    async def run(self, seconds: float) -> None:
        """Let all clients come and go."""
        end = time.monotonic() + seconds
        kinds = (*GOOD, *BAD)
        await asyncio.gather(*(self._again(kind, end) for kind in kinds for _ in range(EACH)))
        await self._http.aclose()

    async def _again(self, kind: "Kind", end: float) -> None:
        name, is_good = kind.__name__, kind in GOOD
        while time.monotonic() < end:
            try:
                async with asyncio.timeout(120):
                    await kind(self)
                self.counts[name] += 1
            except PROBLEMS as error:
                if is_good:
                    self.wrong.append(f"{name}: {type(error).__name__} {error}")
                self.counts[f"{name} ended"] += 1
            await asyncio.sleep(self._random.expovariate(2))

    def recording(self) -> tuple[str, bytes]:
        return self._random.choice(list(self._speech.items()))

    def check(self, what: str, given: Any, expected: Any) -> None:
        if given != expected:
            self.wrong.append(f"{what}: {given!r:.200} instead of {expected!r:.200}")

    # Clients that behave well.

    async def dictates(self) -> None:
        name, content = self.recording()
        async with connect(f"{self._server.socket}/v1/stream/speech") as socket:
            await socket.send(json.dumps({"open": {"rate": RATE}}))
            await socket.recv()
            words = []
            for start in range(44, len(content), CHUNK_BYTES):
                await socket.send(content[start : start + CHUNK_BYTES])
                words += json.loads(await socket.recv())["pushed"]["words"]
                await asyncio.sleep(0.02)
            await socket.send('{"finish": {}}')
            words += json.loads(await socket.recv())["finished"]["words"]
        self.check("stream", " ".join(word["text"] for word in words), self._expected[name])

    async def dictates_to_vosk(self) -> None:
        name, content = self.recording()
        async with connect(f"{self._server.socket}/vosk/speech") as socket:
            await socket.send(json.dumps({"config": {"sample_rate": RATE}}))
            texts = []
            for start in range(44, len(content), CHUNK_BYTES):
                await socket.send(content[start : start + CHUNK_BYTES])
                texts.append(json.loads(await socket.recv()).get("text"))
            await socket.send('{"eof" : 1}')
            texts.append(json.loads(await socket.recv())["text"])
        self.check("vosk", " ".join(filter(None, texts)), self._expected[name])

    async def uploads(self) -> None:
        name, content = self.recording()
        files = {"file": ("a.wav", content)}
        answer = await self._http.post("/v1/audio/transcriptions", files=files, data={"model": "speech"})
        self.check("upload", answer.json().get("text"), self._expected[name])

    async def completes(self) -> None:
        body = {"model": "generate", "prompt": TEXT, "max_tokens": 12, "seed": 7}
        answer = await self._http.post("/v1/completions", json=body)
        self.check("completion", answer.json()["choices"][0]["text"], self._expected["completion"])

    async def types(self) -> None:
        async with connect(f"{self._server.socket}/v1/stream/classify") as socket:
            for word in ("the ", "film ", "was ", "not ", "good "):
                await socket.send(json.dumps({"push": word}))
                await socket.recv()
            await socket.send('{"result": {}}')
            label = json.loads(await socket.recv())["result"]
        self.check("label", label, self._expected["label"])

    # Clients that do not.

    async def stalls(self) -> None:
        async with connect(f"{self._server.socket}/v1/stream/generate") as socket:
            await socket.send(json.dumps({"push": TEXT}))
            async for _ in socket:
                pass  # until the server has had enough

    async def vanishes(self) -> None:
        path = self._random.choice(["/v1/stream/generate", "/vosk/speech", "/v1/realtime?model=speech"])
        socket = await connect(f"{self._server.socket}{path}")
        await socket.send(bytes(CHUNK_BYTES) if "speech" in path else json.dumps({"write": {"length": 9999}}))
        await asyncio.sleep(self._random.random() / 10)
        socket.transport.abort()

    async def sends_garbage(self) -> None:
        path = self._random.choice(["/v1/stream/classify", "/vosk/speech", "/v1/realtime?model=speech"])
        async with connect(f"{self._server.socket}{path}") as socket:
            for _ in range(12):
                await socket.send(
                    self._random.choice([self._random.randbytes(33), "{", '{"push": []}', "[]"])
                )
                await socket.recv()

    async def does_not_read(self) -> None:
        async with connect(f"{self._server.socket}/v1/stream/generate", max_queue=1) as socket:
            await socket.send(json.dumps({"write": {"length": 50_000}}))
            await asyncio.sleep(5)

    async def leaves_a_stream(self) -> None:
        body = {"model": "generate", "prompt": TEXT, "max_tokens": 5000, "stream": True}
        async with self._http.stream("POST", "/v1/completions", json=body) as answer:
            async for _ in answer.aiter_bytes():
                return

    async def breaks_off_an_upload(self) -> None:
        host, port = self._server.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: {host}\r\nContent-Length: 999999\r\n"
        kind = "Content-Type: multipart/form-data; boundary=cut\r\n\r\n"
        part = '--cut\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        writer.write(f"{head}{kind}{part}".encode() + self._random.randbytes(1000))
        await writer.drain()
        await asyncio.sleep(self._random.random())
        writer.transport.abort()


Kind = Callable[[Soak], Awaitable[None]]
GOOD: Final[tuple[Kind, ...]] = (
    Soak.dictates,
    Soak.dictates_to_vosk,
    Soak.uploads,
    Soak.completes,
    Soak.types,
)
BAD: Final[tuple[Kind, ...]] = (
    Soak.stalls,
    Soak.vanishes,
    Soak.sends_garbage,
    Soak.does_not_read,
    Soak.leaves_a_stream,
    Soak.breaks_off_an_upload,
)


def expectations(folder: Path, recordings: list[Path]) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return recordings as WAV files of 16-bit samples, and what the models say to them and to texts."""
    import io
    import wave

    model, speech, expected = elman.load(folder), dict[str, bytes](), dict[str, str]()
    for path in recordings:
        samples = np.clip(read_audio(path, RATE), -1, 1)
        file = io.BytesIO()
        with wave.open(file, "wb") as writer:
            writer.setnchannels(1)
            writer.setsampwidth(2)
            writer.setframerate(RATE)
            writer.writeframes((samples * 32767).round().astype("<i2").tobytes())
        speech[path.name] = file.getvalue()
        expected[path.name] = model.predict(file.getvalue())
    stream = elman.load(SAVED / "generate").stream()
    stream.push(TEXT)
    expected["completion"] = "".join(stream.generate(10_000, tokens=12, seed=7))
    expected["label"] = elman.load(SAVED / "classify").predict("the film was not good ")
    return speech, expected


async def watched(soak: Soak, server: ServerProcess, minutes: float) -> list[tuple[float, int]]:
    """Run the clients; return memory and open files as they were every minute."""
    task = asyncio.create_task(soak.run(60 * minutes))
    seen, start = list[tuple[float, int]](), time.monotonic()
    while not task.done():
        await asyncio.wait([task], timeout=60)
        seen.append((server.megabytes(), server.files()))
        sessions = await asyncio.to_thread(server.metric, "elman_sessions")
        good = sum(soak.counts[kind.__name__] for kind in GOOD)
        print(
            f"{(time.monotonic() - start) / 60:5.1f} min  {seen[-1][0]:6.1f} MB  {seen[-1][1]:4} files  "
            f"{sessions:4.0f} sessions  {good} answered  {len(soak.wrong)} wrong",
            flush=True,
        )
    await task
    return seen


def main() -> int:
    """Soak, and say what was wrong."""
    minutes, folder = float(sys.argv[1]), Path(sys.argv[2])
    speech, expected = expectations(folder, [Path(name) for name in sys.argv[3:]])
    models = {name: SAVED / name for name in ("generate", "classify", "chat", "translate", "forecast")}
    with serving(models | {"speech": folder}, nice=10, idle=IDLE_SECONDS) as server:
        soak = Soak(server, speech, expected)
        seen = asyncio.run(watched(soak, server, minutes))
        time.sleep(IDLE_SECONDS + 5)
        warm = seen[len(seen) // 5]
        growth = max(memory for memory, _ in seen[len(seen) // 5 :]) - warm[0]
        problems = list(soak.wrong[:10])
        problems += [f"memory grew by {growth:.1f} MB"] if growth > MAX_GROWTH_MB else []
        problems += ["a session is left open"] if server.metric("elman_sessions") else []
        problems += [f"{server.files()} files are open, {warm[1]} were"] if server.files() > warm[1] else []
        problems += [line for line in server.log().splitlines() if '"failed"' in line][:10]
        print(f"{dict(sorted(soak.counts.items()))}\nmemory grew by {growth:.1f} MB")
    for problem in problems:
        print(f"PROBLEM {problem}")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
