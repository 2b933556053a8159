"""Hostile model folders: mutants of a small model whose checksums are right, and a use of whatever loads."""

import copy
import hashlib
import json
import random
import struct
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import safetensors.torch
import torch

import elman
from audio_files import encoded
from elman.errors import ArtifactError
from tones import RATE, sentence

Files = dict[str, bytes]

NESTED: Final[Any] = json.loads("[" * 50 + "]" * 50)
VALUES: Final[list[Any]] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        7,
        255,
        2**31,
        2**63,
        -(2**63),
        10**6,
        10**12,
        10**400,
        0.5,
        -0.5,
        1e-320,
        1e308,
    ),
    *("", "x", "a b", "\ud800", "NaT", "today", "lstm", "gru", "word", "\n", "𝄞", "x" * 10_000),
    *([], {}, [[]], [None], [1], ["x"], {"x": 1}, {"": []}, [0] * 1000, NESTED),
]
RAW: Final = [
    "1e999",
    "-1e999",
    "9" * 5000,
    "1" + "0" * 300,
    "0.1e-999",
    "[" * 5000,
    '{"a": 1, "a": [2]}',
    "NaN",
    "-0",
    '"\\udc80"',
]
KINDS: Final = [
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int8,
    torch.int64,
    torch.int32,
    torch.bool,
]
RAW_MARK: Final = "raw text stands here"


def read(folder: Path) -> Files:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def write(files: Files, folder: Path) -> None:
    """Write a folder whose config.json has the checksums of the other files, if it can be read."""
    folder.mkdir(parents=True, exist_ok=True)
    config = files["config.json"]
    try:
        facts = json.loads(config)
        for name in facts["elman"]["files"].keys() & files.keys():
            facts["elman"]["files"][name] = hashlib.sha256(files[name]).hexdigest()
        if RAW_MARK.encode() not in config:
            config = dumped(facts)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    for name, content in (files | {"config.json": config}).items():
        (folder / name).write_bytes(content)


def dumped(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def edited(files: Files, name: str, path: str, value: Any) -> Files:
    """Replace the entry at a path such as "elman/settings/hidden" of a JSON file."""
    whole = json.loads(files[name])
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")] if path else [""]
    inner = {"": whole} if not path else whole
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return files | {name: dumped(whole if path else inner[""])}


def refuse(files: Files, folder: Path, message: str = "can't be used") -> None:
    write(files, folder)
    with pytest.raises(ArtifactError, match=message) as raised:
        elman.load(folder)
    assert str(folder) in str(raised.value) and "\n" not in str(raised.value) and len(str(raised.value)) < 700


def mutated(files: Files, draw: random.Random) -> tuple[str, Files]:
    """Return what was changed, and the files of the mutant."""
    said, mutant = [], dict(files)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        name = draw.choice(["config.json"] * 3 + sorted(mutant.keys() - {"README.md"}))
        if name == "model.safetensors":
            change = draw.choice([change_tensor, change_tensor, change_tensor, change_header, change_bytes])
        elif draw.random() < 0.08:
            change = change_bytes
        else:
            change = change_json
        try:
            what, mutant[name] = change(mutant[name], draw)
        except (ValueError, OverflowError, RecursionError, struct.error, safetensors.SafetensorError):
            continue  # an earlier change made it unreadable
        said.append(f"{name}: {what}")
    return "; ".join(said), mutant


def change_bytes(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    place = draw.randrange(len(content) + 1)
    return draw.choice(
        [
            (f"cut at {place}", content[:place]),
            (f"flip at {place}", content[:place] + bytes([draw.randrange(256)]) + content[place + 1 :]),
            (f"zeros at {place}", content[:place] + b"\0" * draw.choice([1, 8, 4096]) + content[place:]),
        ]
    )


# ---- JSON


def change_json(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """Change one entry, at any depth: each level is as likely as the next, however many entries it has."""
    whole = {"": json.loads(content)}
    parent, key, path = whole, "", ""
    while isinstance(parent[key], dict | list) and parent[key] and (not path or draw.random() < 0.85):
        parent = parent[key]
        key = draw.choice(sorted(parent) if isinstance(parent, dict) else range(len(parent)))
        if key == "files" and draw.random() < 0.9:
            key = draw.choice(sorted(parent))
        path += f"/{key}"[:40]
    what, raw = change_entry(parent, key, draw)
    text = json.dumps(whole[""], indent=1)
    if raw is not None:
        text = text.replace(f'"{RAW_MARK}"', raw, 1)
    return f"{path} {what}", text.encode()


def change_entry(parent: Any, key: Any, draw: random.Random) -> tuple[str, str | None]:
    old = parent[key]
    kind = draw.choice(["value", "value", "value", "raw", "drop", "twice", "like", "like", "like"])
    if kind == "raw":
        raw = draw.choice(RAW)
        parent[key] = RAW_MARK
        return f"is {raw[:20]}", raw
    if kind == "drop" and not (isinstance(parent, dict) and "" in parent):
        del parent[key]
        return "dropped", None
    if kind == "twice":
        if isinstance(parent, list):
            parent.insert(draw.randrange(len(parent) + 1), copy.deepcopy(old))
        elif "" not in parent:
            parent[f"{key}x"] = copy.deepcopy(old)
        return "twice", None
    parent[key] = like(old, draw) if kind == "like" else copy.deepcopy(draw.choice(VALUES))
    return f"is {str(parent[key])[:40]!r}", None


def like(old: Any, draw: random.Random) -> Any:
    """Return another value of the same kind."""
    if isinstance(old, bool):
        return not old
    if isinstance(old, int | float):
        return draw.choice(
            [
                old + 1,
                old - 1,
                old * 2,
                -old,
                old * 10,
                old * 1000,
                old * 10**6,
                old // 2,
                float(old),
                0 * old,
            ]
        )
    if isinstance(old, str):
        return draw.choice([old[::-1], old + "x", old[:-1], old.upper(), old * 2, "\ud83d" + old])
    if isinstance(old, list):
        return draw.choice(
            [old[::-1], old[:-1], old[1:], old * 2, [old], sorted(old, key=str), old[:1] * len(old)]
        )
    if isinstance(old, dict):
        values = list(old.values())
        draw.shuffle(values)
        return draw.choice(
            [dict(zip(old, values, strict=True)), list(old.items()), dict(list(old.items())[1:])]
        )
    return draw.choice(VALUES)


# ---- tensors


def change_tensor(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    tensors = safetensors.torch.load(content)
    name = draw.choice(sorted(tensors))
    old = tensors[name]
    changes: dict[str, Callable[[], torch.Tensor]] = {
        "kind": lambda: old.to(draw.choice(KINDS)),
        "flat": lambda: old.reshape(-1),
        "one more dimension": lambda: old[None],
        "transposed": lambda: old.T if old.dim() == 2 else old.flip(0),
        "longer": lambda: torch.cat([old, old]) if old.dim() else old,
        "shorter": lambda: old[1:] if old.dim() else old,
        "empty": lambda: old[:0] if old.dim() else old.new_empty(0),
        "wider": lambda: torch.cat([old, old], -1) if old.dim() else old,
        "zeros": lambda: torch.zeros_like(old),
        "huge": lambda: torch.full_like(old, 1e38 if old.is_floating_point() else 100),
        "large": lambda: old * 1000,
        "negative": lambda: -old,
        "NaN": lambda: with_value(old, float("nan"), draw),
        "infinity": lambda: with_value(old, float("inf"), draw),
        "another number": lambda: with_value(old, draw.choice([-1, 2**31 - 1, 127, 1e30, 5e-324]), draw),
        "another's": lambda: tensors[draw.choice(sorted(tensors))],
    }
    kind = draw.choice([*changes, "dropped", "renamed"])
    if kind in changes:
        tensors[name] = changes[kind]()
    else:
        value = tensors.pop(name)
        if kind == "renamed":
            tensors[draw.choice([f"{name}x", name.partition(".")[2] or "x", f"network.{name}"])] = value
    return f"{name} {kind}", safetensors.torch.save({k: v.clone().contiguous() for k, v in tensors.items()})


def with_value(old: torch.Tensor, value: float, draw: random.Random) -> torch.Tensor:
    changed = old.clone().reshape(-1)
    if len(changed):
        at = draw.randrange(len(changed))
        changed[at] = (
            value
            if old.is_floating_point()
            else int(max(min(value, 2**31 - 1), -1))
            if value == value
            else -1
        )
    return changed.reshape(old.shape)


def change_header(content: bytes, draw: random.Random) -> tuple[str, bytes]:
    """Change the JSON in front of the tensors, or its length."""
    (size,) = struct.unpack("<Q", content[:8])
    if draw.random() < 0.2:
        wrong = draw.choice([0, 1, size - 1, size + 1, 2**31, 2**63, 2**64 - 1])
        return f"header of {wrong}", struct.pack("<Q", wrong) + content[8:]
    what, header = change_json(content[8 : 8 + size], draw)
    return f"header {what}", struct.pack("<Q", len(header)) + header + content[8 + size :]


# ---- the use of what loads

ROWS: Final = {
    "text": ["good film", "bad plot", "the film was not good"] * 4,
    "label": ["good", "bad", "bad"] * 4,
}
PAIRS: Final = {
    "source": ["pomon vidas la kato", "la hundo 77"],
    "target": ["the cat sees an apple", "dog 77"],
}
TALK: Final = [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]] * 3
TEXT: Final = "I love the old book. They read it, and I read it.\n" * 3


def use(model: Any, folder: Path) -> None:
    """Do with a model what its users do. May raise UsageError and DataError for the input."""
    str(model.validation), model.card(), json.dumps(model.validation.to_dict(), allow_nan=False)
    model.save(folder, overwrite=True)
    USES[model.task](model, folder)


def _classify(model: Any, folder: Path) -> None:
    model.predict("good film", probabilities=True), model.predict(["", "x"], probabilities=True)
    list(map(str, model.answers("good film")))
    labels = [model.classes[i % len(model.classes)] for i in range(12)]
    str(model.evaluate({"t": ROWS["text"], "l": labels}, text="t", label="l"))
    if not model.settings.bidirectional:
        stream = model.stream()
        stream.push("the film was "), stream.result(), stream.result(probabilities=True)


def _generate(model: Any, folder: Path) -> None:
    model.predict(["I love", ""], 3), list(map(str, model.answers("They read")))
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    str(model.evaluate(folder / "text.txt")), str(model.evaluate(folder / "text.txt", adapt=True))
    "".join(islice(model.generate("I ", length=20, seed=1), 100))
    stream = model.stream(adapt=True)
    stream.push("I love the "), stream.result()


def _translate(model: Any, folder: Path) -> None:
    model.predict(["pomon vidas la kato 1234.", ""]), model.predict("la hundo", 3)
    list(map(str, model.answers("la hundo"))), "".join(model.generate("la hundo"))
    str(model.evaluate(PAIRS, source="source", target="target"))
    stream = model.stream()
    stream.push("la kato"), stream.result()


def _chat(model: Any, folder: Path) -> None:
    model.predict("Hi, I am Ada."), model.predict("What?", 3)
    list(map(str, model.answers("Hello")))
    stream = model.stream(fallback=5.0) if model.baseline else model.stream()
    stream.push("Hi"), stream.result()
    if model.settings.num_samples * model.settings.max_tokens <= 100:  # a conversation of 50 turns
        str(model.evaluate(TALK))


def _transcribe(model: Any, folder: Path) -> None:
    if model.settings.input == "frames":
        frames = np.random.default_rng(0).normal(size=(60, model.settings.bins))
        model.predict(frames), str(model.evaluate([{"frames": frames, "text": "one two"}]))
        return
    samples = sentence("one two", 1)
    model.predict(samples, RATE), model.predict([samples.tobytes()], RATE, words=True)
    (folder / "said").mkdir(exist_ok=True)
    (folder / "said" / "one_1.wav").write_bytes(encoded(samples, RATE))
    list(map(str, model.answers(str(folder / "said"))))
    str(model.evaluate(folder / "said", pattern="{label}_{n}.wav"))
    if not model.settings.bidirectional:
        stream = model.stream(hot_words=[model.alphabet.labels[-1]])
        stream.push(samples), stream.result(), stream.finish()


def _forecast(model: Any, folder: Path) -> None:
    columns = model.history.columns
    stream = model.stream(model.history.series[0].name)
    for _ in range(3):
        stream.push(1.0, **dict.fromkeys(columns.future, 1.0))
    if not columns.future:
        model.predict(), list(map(str, islice(model.answers(), 3))), stream.result()
    frame = {columns.value: [float(i % 12) for i in range(90)]}
    if columns.time is not None:
        stamps = model.history.stamps(model.history.series[0], 0, 90)
        frame[columns.time] = stamps.tolist()
    frame |= {name: [1.0] * 90 for name in columns.future}
    frame |= {name: ["x"] * 90 for name in columns.static}
    str(model.evaluate(frame))


USES: Final = {
    "classify": _classify,
    "generate": _generate,
    "translate": _translate,
    "chat": _chat,
    "forecast": _forecast,
    "transcribe": _transcribe,
}
