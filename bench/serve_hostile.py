"""Mutated requests, by the thousand: the server must answer none with an error of its own.

    python bench/serve_hostile.py SPEECH_MODEL [--requests 10000] [--seed 0]

Serves a model of speech and those in tests/tasks/saved. Valid HTTP requests and websocket messages are
changed at random: bytes flipped, cut, repeated and inserted, numbers made huge, names exchanged, lengths
that are not true, frames that are none. Prints how many answers had which status. It fails for a 500, an
answer that does not come, a server that has ended or has logged a mistake of its own, a session that stays
open, and if a good request afterwards is not answered.
"""

import argparse
import asyncio
import io
import json
import random
import re
import sys
import time
import urllib.request
import wave
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from serve_process import ServerProcess, serving

HERE: Final = str(Path(__file__).parents[1]).encode()  # a path of the host, which no answer may name

SAVED: Final = Path(__file__).parents[1] / "tests" / "tasks" / "saved"
TASKS: Final = ("generate", "classify", "chat", "translate", "forecast")
TOGETHER: Final = 8
SECONDS: Final = 30.0  # within which an answer has to come
INSERTED: Final = (
    *(b"\x00", b"\xff\xfe", b"\r\n", b'"', b"{", b"[[[[[[", b"\xed\xa0\x80", b"\\ud800", b"%00", b"../../"),
    *(b"1e999", b"-1", b"NaN", b"9" * 40, b"null", b"true", b"{}", b"[]", b'""', b"\xf0\x9f\x98\x80"),
)


def sound() -> bytes:
    """Return a WAV file of half a second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(random.Random(0).randbytes(8000))
    return file.getvalue()


def _json(path: str, **body: Any) -> bytes:
    return _request(path, json.dumps(body).encode(), "application/json")


def _request(path: str, body: bytes, kind: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _form(**fields: str) -> bytes:
    parts = [
        f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()
    ]
    body = b"".join(b"--cut\r\n" + part.encode() + b"\r\n" for part in parts)
    file = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + sound()
    return body + file + b"\r\n--cut--\r\n"


REQUESTS: Final = (
    *(
        b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path
        for path in (b"/v1/models", b"/", b"/v1/models/chat")
    ),
    _json("/v1/completions", model="generate", prompt="I love ", max_tokens=5, temperature=0.7, stop=["a"]),
    _json("/v1/completions", model="generate", prompt="I love ", max_tokens=5, stream=True, top_k=3),
    _json("/v1/chat/completions", model="chat", messages=[{"role": "user", "content": "Hi"}], seed=1),
    _json("/v1/predict/classify", input=["good film", "bad"], options={"at_least": 0.5}),
    _json("/v1/predict/forecast", input=None, options={"horizon": 2}),
    _json("/v1/predict/translate", input="pomon vidas", options={"count": 2}),
    _json("/v1/look/classify", input="good film", views=["states", "attribution", "gates"]),
    _request("/v1/predict/classify", b"text\ngood film\nbad\n", "text/csv"),
    _request("/v1/audio/transcriptions", _form(model="speech"), "multipart/form-data; boundary=cut"),
    _request(
        "/v1/audio/transcriptions",
        _form(model="speech", response_format="verbose_json", stream="true", keywords="one"),
        "multipart/form-data; boundary=cut",
    ),
)
TALKS: Final[dict[str, tuple[bytes | str, ...]]] = {
    "/v1/stream/generate": (
        '{"push": "I "}',
        '{"result": {"count": 2}}',
        '{"write": {"length": 9, "seed": 1}}',
    ),
    "/v1/stream/classify": (
        '{"open": {}}',
        '{"push": "good "}',
        '{"result": {"at_least": 0.5}}',
        '{"save": {}}',
    ),
    "/v1/stream/forecast": ('{"push": 3.5}', '{"push": {"value": null}}', '{"result": {"horizon": 2}}'),
    "/v1/stream/chat": ('{"push": "Hi"}', '{"result": {}}', '{"why": {}}', '{"reset": {}}'),
    "/v1/stream/speech": ('{"open": {"rate": 8000}}', bytes(800), '{"push": [0, 0.5]}', '{"finish": {}}'),
    "/vosk/speech": (
        '{"config": {"sample_rate": 8000, "words": true}}',
        bytes(800),
        '{"reset": 1}',
        '{"eof": 1}',
    ),
    "/v1/realtime?model=speech": (
        '{"type": "session.update", "session": {"audio": {"input": {"format": {"rate": 8000}}}}}',
        '{"type": "input_audio_buffer.append", "audio": "AAAAAAAA"}',
        '{"type": "input_audio_buffer.commit"}',
    ),
}


class Mutator:
    """Changes bytes at random, the same for a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def __call__(self, content: bytes) -> bytes:
        """Return the bytes with one to four changes."""
        changed = bytearray(content)
        for _ in range(self.random.randint(1, 4)):
            at = self.random.randint(0, len(changed))
            until = min(at + self.random.choice((1, 4, 30)), len(changed))
            match self.random.randrange(6):
                case 0 if at < len(changed):
                    changed[at] ^= 1 << self.random.randrange(8)
                case 1:
                    del changed[at:until]
                case 2:
                    changed[at:at] = changed[at:until] * self.random.choice((1, 3, 200))
                case 3:
                    changed[at:at] = self.random.choice(INSERTED)
                case 4 if numbers := [*re.finditer(rb"\d+", changed)]:
                    number = self.random.choice(numbers)
                    changed[number.start() : number.end()] = self.random.choice(INSERTED[10:])
                case 5:
                    changed[at:until] = self.random.randbytes(until - at)
        return bytes(changed)


class Attack:
    """Sends what is mutated, and counts what comes back."""

    def __init__(self, server: ServerProcess, seed: int) -> None:
        self._server, self._mutated = server, Mutator(seed)
        self.answers, self.problems = Counter[str](), list[str]()
        host, port = server.url.removeprefix("http://").split(":")
        self._address = host, int(port)

    async def run(self, count: int) -> None:
        """Make so many requests, a few at a time."""
        left = iter(range(count))

        async def some() -> None:
            for number in left:
                await (self._talk() if number % 3 == 0 else self._request())

        await asyncio.gather(*(some() for _ in range(TOGETHER)))

    async def _request(self) -> None:
        random = self._mutated.random
        request = random.choice(REQUESTS)
        head, _, body = request.partition(b"\r\n\r\n")
        if random.random() < 0.7:  # only the body, and its length is true
            body = self._mutated(body)
            head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head)
            request = head + b"\r\n\r\n" + body
        else:
            request = self._mutated(request)
        try:
            answer = await self._answered(request)
        except TimeoutError:
            self.problems.append(f"no answer to {request!r:.300}")
            return
        except OSError:
            self.answers["cut off"] += 1
            return
        status = answer[9:12].decode(errors="replace") if answer.startswith(b"HTTP/1.1 ") else "none"
        self.answers[status] += 1
        if status == "500" or b"internal_error" in answer or b"Traceback" in answer or HERE in answer:
            self.problems.append(f"{answer[:300]!r} to {request!r:.600}")

    async def _answered(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            async with asyncio.timeout(SECONDS):
                writer.write(request)
                await writer.drain()
                with suppress(TimeoutError):
                    return await asyncio.wait_for(reader.read(1 << 20), 1)
                writer.write_eof()  # nothing more comes, if the server waits for that
                return await reader.read(1 << 20)
        finally:
            writer.close()

    async def _talk(self) -> None:
        """Hold a conversation of mutated messages, or send frames that are none after the handshake."""
        random = self._mutated.random
        path = random.choice([*TALKS])
        try:
            async with (
                asyncio.timeout(SECONDS),
                connect(f"{self._server.socket}{path}", ping_interval=None) as one,
            ):
                if random.random() < 0.2:
                    one.transport.write(random.randbytes(random.randint(1, 200)))
                for _ in range(random.randint(1, 8)):
                    message = random.choice(TALKS[path])
                    if random.random() < 0.7:
                        content = message if isinstance(message, bytes) else message.encode()
                        changed = self._mutated(content)
                        is_text = isinstance(message, str) and random.random() < 0.9
                        message = changed.decode(errors="replace") if is_text else changed
                    await one.send(message)
                    self._check(message, await asyncio.wait_for(one.recv(), 0.5))
        except TimeoutError:
            self.answers["silent"] += 1  # to a configuration, or while it writes
        except (OSError, WebSocketException) as error:
            self.answers[f"closed {getattr(getattr(error, 'rcvd', None), 'code', '')}"] += 1

    def _check(self, message: bytes | str, reply: bytes | str) -> None:
        self.answers["error" if '"error"' in str(reply)[:200] else "reply"] += 1
        if "internal_error" in str(reply):
            self.problems.append(f"{reply!r:.300} to {message!r:.300}")


def main() -> int:
    """Attack, and say what was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("speech", type=Path)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    models = {name: SAVED / name for name in TASKS} | {"speech": given.speech}
    with serving(models, nice=5, idle=20, deadline=20) as server:
        attack = Attack(server, given.seed)
        start = time.monotonic()
        asyncio.run(attack.run(given.requests))
        counts = dict(attack.answers.most_common())
        print(f"{given.requests} requests in {time.monotonic() - start:.0f} s: {counts}", flush=True)
        time.sleep(25)
        problems = (
            attack.problems[:20] + [line for line in server.log().splitlines() if '"failed"' in line][:20]
        )
        problems += [] if server.is_running else ["the server has ended"]
        problems += ["a session is left open"] if server.metric("elman_sessions") else []
        problems += ["a request is left open"] if server.metric("elman_open_requests") else []
        problems += ["an upload is left open"] if server.metric("elman_uploads") else []
        with urllib.request.urlopen(f"{server.url}/v1/models/classify", timeout=20) as answer:
            problems += [] if answer.status == 200 else ["a good request is not answered"]
    for problem in problems:
        print(f"PROBLEM {problem}")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
