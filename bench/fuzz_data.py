"""Read mutated data files by every reader: `python bench/fuzz_data.py COUNT [SEED]`.

A wrong ending is anything but a value or an ElmanError, or one that takes over 2 seconds or 500 MB. It is
printed with the seed that makes it again: `python bench/fuzz_data.py 1 SEED`.
"""

import contextlib
import gzip
import io
import json
import logging
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest import mock

import numpy as np
import polars as pl
import soundfile

from elman.data.audio.pcm import pipe_blocks
from elman.data.audio.read import read_audio
from elman.data.audio.recordings import read_recordings
from elman.data.series.panel import read_panel
from elman.data.table.formats import input_lines
from elman.data.table.table import read_table
from elman.data.text.conversations import read_conversations
from elman.data.text.corpus import read_corpus
from elman.data.text.pairs import read_pairs
from elman.errors import ElmanError

MAX_SECONDS: Final = 2.0
MAX_MEGABYTES: Final = 500
TOKENS: Final = (
    *(b'"', b'""', b",", b";", b"\t", b"|", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xe9"),
    *(b"{}", b"[", b"]", b"{", b"}", b":", b"null", b"NaN", b"Infinity", b"-1e999", b"1" * 400, b"9" * 5000),
    *(b"2024-02-30", b"1/2/3", b"0001-01-01", b"9999-12-31", b"1e300", b"-0", b"0x10", b"\xe2\x80\xa8"),
    *(b"'s" * 300, b"[" * 300, b'{"a":' * 300, b"user", b"system", b"12:00", b"+99:99", b"2024-W53-7"),
    *(b"<unk>", b"\x1f\x8b", b"PAR1", b"\\ud83d"),
)


def originals() -> dict[str, bytes]:
    """Return small valid files by name."""
    rows = [("good film, really", "pos", "2024-01-01", 1.5), ('a "bad" one', "neg", "2024-01-02", 2.0)] * 8
    days = [f"2024-01-{day:02}" for day in range(1, 17)]
    frame = pl.DataFrame(rows, schema=["text", "label", "ds", "y"], orient="row").with_columns(
        ds=pl.Series(days)
    )
    csv, quoted = frame.drop("text").write_csv(), frame.write_csv()
    parquet = io.BytesIO()
    frame.with_columns(turns=pl.Series([["a", "b"]] * 16), at=pl.col("ds").str.to_date()).write_parquet(
        parquet
    )
    messages = [{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hello."}]
    talks = json.dumps({"messages": messages}) + "\n" + json.dumps({"turns": ["Hi!", "Hello."]}) + "\n"
    return {
        "plain.csv": csv.encode(),
        "quoted.csv": quoted.encode(),
        "semicolons.csv": quoted.replace(",", ";").encode(),
        "a.tsv": frame.write_csv(separator="\t", quote_style="never").encode(),
        "a.jsonl": frame.write_ndjson().encode(),
        "talks.jsonl": (talks * 4).encode(),
        "talks.tsv": b"question\tanswer\n" + b"Hi!\tHello.\nWho?\tMe.\n" * 4,
        "pairs.tsv": b"en\tde\n" + "Go.\tGeh.\nYes, “naïve”.\tJa, „naiv“.\n".encode() * 4,
        "a.txt": "The cat sat. 中文 don't\n\nA 3.14 👍🏽 <br /> end.\n".encode() * 8,
        "a.csv.gz": gzip.compress(csv.encode(), mtime=0),
        "a.txt.gz": gzip.compress(b"The cat sat on the mat.\n" * 20, mtime=0),
        "a.parquet": parquet.getvalue(),
        **recordings(),
    }


def recordings() -> dict[str, bytes]:
    """Return short recordings of a noisy tone in every format."""
    generator = np.random.default_rng(0)
    tone = 0.3 * np.sin(np.arange(4000) * 0.3) + 0.05 * generator.standard_normal(4000)
    formats = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III", "aiff": "PCM_16"}
    formats |= {"au": "PCM_16", "nist": "PCM_16"}
    kinds = [("a." + kind, kind, code) for kind, code in formats.items()]
    kinds += [("float.wav", "wav", "FLOAT"), ("law.wav", "wav", "ULAW"), ("adpcm.wav", "wav", "MS_ADPCM")]
    kinds += [
        ("extensible.wav", "wavex", "PCM_24"),
        ("long.wav", "rf64", "PCM_16"),
        ("opus.ogg", "ogg", "OPUS"),
    ]
    files = {}
    for name, kind, code in kinds:
        file = io.BytesIO()
        soundfile.write(file, np.stack([tone, tone], 1), 8000, format=kind.upper(), subtype=code)
        files[name] = file.getvalue()
    return files


def mutate(data: bytes, draw: random.Random) -> bytes:
    """Change a file in one to four places, or as a whole."""
    for _ in range(draw.randint(1, 4)):
        at, to = sorted(draw.randrange(len(data) + 1) for _ in range(2))
        change = draw.randrange(10)
        if change == 0:
            data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
        elif change == 1:
            data = data[:at] + data[to:]
        elif change == 2:
            data = data[:at]
        elif change == 3:
            data = data[:to] + data[at:to] * draw.choice((1, 1, 2, 50)) + data[to:]
        elif change in (4, 5):
            data = data[:at] + draw.choice(TOKENS) + data[at:]
        elif change == 6:
            token = draw.choice(TOKENS)
            data = data.replace(
                draw.choice((b",", b"\n", b'"', b"2024", b"1")), token, draw.choice((1, 3, -1))
            )
        elif change == 7:
            encoding = draw.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252"))
            data = data.decode("utf-8", "replace").encode(encoding, "replace")
        elif change == 9:  # a number in a binary header
            at = draw.randrange(64)
            number = draw.choice((b"\xff" * 4, b"\0" * 4, b"\x80\0\0\0", b"\0\0\0\x80", draw.randbytes(4)))
            data = data[:at] + number[: draw.randint(1, 4)] + data[at + 4 :]
        else:
            data = draw.choice((b"", b"\xef\xbb\xbf", b"\n", b"\0")) + data.replace(
                b"\n", draw.choice((b"\r", b"\r\n", b"\n"))
            )
    return data[: 1 << 20]


def readers(path: Path, draw: random.Random) -> Iterator[tuple[str, Callable[[], Any]]]:
    skip, header = draw.random() < 0.5, draw.random() < 0.8

    def table() -> None:
        read = read_table(path, header=header, skip_bad=skip)
        for column in read.frame.columns[:8]:
            for method in (read.texts, read.numbers, read.complete, read.usable):
                with contextlib.suppress(ElmanError):
                    method(column)
        read.report()

    def from_stdin() -> None:
        with mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes()))):
            draw.choice((read_table, read_pairs, read_conversations, lambda data: read_corpus(data)))("-")

    yield "table", table
    yield "pairs", lambda: read_pairs(path, skip_bad=skip)
    yield "parallel pairs", lambda: read_pairs((path, path), skip_bad=skip)
    yield "conversations", lambda: read_conversations(path, skip_bad=skip)
    yield (
        "corpus",
        lambda: read_corpus(path, tokens=draw.choice(("character", "word", "space")), skip_bad=skip),
    )
    yield "panel", lambda: read_panel(read_table(path, header=header, skip_bad=skip))
    yield "lines", lambda: list(input_lines(str(path)))
    yield "standard input", from_stdin
    yield "audio", lambda: read_audio(path, 16000)
    yield "audio in memory", lambda: read_audio(path.read_bytes(), 8000, draw.choice((None, 8000)))
    yield "audio pipe", lambda: list(pipe_blocks(io.BytesIO(path.read_bytes()), "pipe", 16000, 8000))
    yield "recordings", lambda: read_recordings(path, labelled=False).load(8000, len)


def wrong_endings(seed: int, folder: Path, files: dict[str, bytes]) -> Iterator[str]:
    """Yield a line for each reader that ends wrongly on the file of this seed."""
    draw = random.Random(seed)
    name = draw.choice(list(files))
    path = folder / draw.choice((name, name, name, "a" + Path(draw.choice(list(files))).suffix))
    path.write_bytes(mutate(files[name], draw))
    for reader, read in readers(path, draw):
        start, before = time.process_time(), _megabytes()
        try:
            read()
        except ElmanError as problem:
            if "\n" in str(problem) or len(str(problem)) > 20_000:
                yield f"{seed} {path.name} {reader}: not one sentence: {str(problem)[:300]!r}"
        except BaseException as problem:  # polars' panics are none of Exception
            if isinstance(problem, KeyboardInterrupt):
                raise
            yield f"{seed} {path.name} {reader}: {type(problem).__name__}: {str(problem)[:300]!r}"
        seconds, memory = time.process_time() - start, _megabytes() - before
        if seconds > MAX_SECONDS or memory > MAX_MEGABYTES:
            yield f"{seed} {path.name} {reader}: {seconds:.1f} s, {memory} MB"
    path.unlink()


def _megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(count: int, first: int = 0) -> int:
    logging.getLogger("elman").setLevel(logging.ERROR)
    files, wrong = originals(), 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("ELMAN_CACHE", folder)
        for seed in range(first, first + count):
            if seed % 1000 == 0:
                print(f"seed {seed}", file=sys.stderr, flush=True)
            for line in wrong_endings(seed, Path(folder), files):
                wrong += 1
                print(line, flush=True)
    print(f"{count} files, {wrong} wrong endings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
