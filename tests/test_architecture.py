"""The rules that CONTRIBUTING.md gives in words, checked on the text of the source, which is not imported."""

import ast
import functools
import graphlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = "errors version lazy pretrained atomic lock ranks settings stepping typed artifact, cells, engine, "
ROOMS += "nn training decode data, lens export, tasks"
LEVEL = {name: k for k, room in enumerate(ROOMS.split(", ")) for name in room.split()}
LEVEL |= {"demo": 6, "serve": 6, "lesson": 7, "sklearn": 7, "cli": 8, "__init__": 9, "__main__": 10}
TENSORS = "tensors|saved|saved_tensors|given|needed|trace|total|everything"
FORBIDDEN = {  # in modules whose name begins so
    "": r"from elman[\w.]* import (.*, )?_[a-z]",
    "engine.cpu.emit": r"(from|import) (torch|numpy)\b",
    "engine.gpu.emit": r"(from|import) (torch|numpy|triton)\b",
    "engine": rf"([\w.]+\.)?({TENSORS})\[[-\d:]*\d[-\d:]*\]$",
    "tasks": r"(from|import) (typer|rich)\b|print\(|sys\.std|\(?(yield|return) .*json\.dumps",
    "cli": r"hasattr\(|.*\bsignature\(|isinstance\((?!.*, \(?(str|list|tuple|dict|bool|Path|Cell)\b)",
}
Module = tuple[str, ...]


@functools.cache
def parsed(root: Path) -> dict[Module, list[ast.AST]]:
    files = {f.relative_to(root / "src/elman"): f.read_text() for f in root.glob("src/elman/**/*.py")}
    return {file.with_suffix("").parts: [*ast.walk(ast.parse(text))] for file, text in files.items()}


def arrows(root: Path) -> Iterator[tuple[Module, Module, str]]:
    """(importer, imported, imported name); imports in functions and under TYPE_CHECKING count."""
    for here, node in ((here, node) for here, nodes in parsed(root).items() for node in nodes):
        for name in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            first, *there = f"{getattr(node, 'module', '')}.{name.name}".lstrip(".").split(".")
            there = there or ["__init__"]
            ways = [(*there,), (*there, "__init__"), (*there[:-1],), (*there[:-1], "__init__")]
            if first == "elman":
                yield here, next((way for way in ways if way in parsed(root)), ways[0]), name.name


def upward(root: Path) -> Iterator[str]:
    """Rooms of one level know nothing of each other, except at the bottom; nor do tasks, except three that
    need a language model."""
    for here, there, _ in arrows(root):
        low, high = LEVEL[there[0]], LEVEL[here[0]]
        ours, theirs = (m[1] if m[0] == "tasks" and m[2:] else "" for m in (here, there))
        beside = here[0] == "tasks" and theirs and ours != theirs and here[1] != "__init__"
        beside = beside and (theirs != "generate" or ours not in ("chat", "classify", "transcribe"))
        if low > high or beside or (low == high and here[0] != there[0] and low):
            yield f"{here} imports {there}"


def circles(root: Path) -> Iterator[str]:
    """An arrow between two modules is one between the neighbours, files or folders, that hold them."""
    graph: dict[Module, set[Module]] = {}
    for here, there, _ in arrows(root):
        differ = [a != b for a, b in zip((*here, ""), (*there, ""), strict=False)]
        same = differ.index(True) if here != there else 0
        graph.setdefault(here[: same + 1], set()).update({there[: same + 1]} - {here[: same + 1]})
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        yield f"{error.args[1]}"


def words(root: Path) -> Iterator[str]:
    kinds = ast.Import | ast.ImportFrom | ast.Call | ast.Subscript | ast.Attribute | ast.Yield | ast.Return
    imported: dict[Module, set[str]] = {}
    for here, _, name in arrows(root):
        imported.setdefault(here, set()).add(name)
    for here, nodes in parsed(root).items():
        rules = [rule for room, rule in FORBIDDEN.items() if ".".join(here).startswith(room)]
        rules.append(rf"({'|'.join(imported.get(here, ['elman']))})\._(?!fields|replace|asdict)[a-z]")
        for text in (ast.unparse(node) for node in nodes if isinstance(node, kinds)):
            yield from (f"{here}: {text}" for rule in rules if re.match(rule, text))


def addresses(root: Path) -> Iterator[str]:
    """One module asks tensors for their addresses, so that no kernel reads one that was not looked at."""
    for here, node in ((here, node) for here, nodes in parsed(root).items() for node in nodes):
        asks = isinstance(node, ast.Attribute) and node.attr in (
            "data_ptr",
            "__array_interface__",
            "_data_ptr",
        )
        if asks and here != ("engine", "memory"):
            yield f"{here}: {ast.unparse(node)}"


def files(root: Path) -> Iterator[str]:
    for room in {here[1] for here in parsed(root) if here[0] == "tasks" and here[2:]}:
        training = ["problem", "network"] if room != "chat" else []  # which trains as generate does
        for name in ["settings", "baseline", "scores", "stream", *training]:
            yield from () if ("tasks", room, name) in parsed(root) else (f"tasks/{room}/{name}.py",)
    for here, there, name in arrows(root):
        if here == ("tasks", "__init__") and there[2:] and there[2].replace("_", "") != name.lower():
            yield f"{name} in {there}"
    for *folders, name in (here for here in parsed(root) if not here[-1].startswith(("__", "version"))):
        test = root.joinpath("tests", *folders, f"test_{name}.py")
        yield from () if test.exists() and "def test_" in test.read_text() else (f"{test.relative_to(root)}",)


def rows(root: Path) -> Iterator[str]:
    """Every table of primitives has the same keys."""
    tables = {}
    for here, node in ((here, node) for here, nodes in parsed(root).items() for node in nodes):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) in ("OPS", "EMIT", "ONNX"):
            tables[here] = {key.value for key in node.value.keys}
    yield from (f"{here}: {keys}" for here, keys in tables.items() if keys != tables[("engine", "ops")])


PLANTED: list[tuple[Callable[[Path], Iterator[str]], str, str]] = [
    (upward, "engine/scan", "def f():\n    from elman.nn import LSTM"),
    (upward, "nn/dropin", "if TYPE_CHECKING:\n    from elman.training import loop"),
    (upward, "tasks/chat/stream", "from elman.tasks.classify.stream import Stream"),
    (upward, "data/batches", "import elman"),
    (circles, "engine/cpu/launch", "from elman.engine.scan import scan"),
    (words, "nn/recurrent", "from elman.nn.replace import _swap"),
    (words, "nn/recurrent", "from elman.nn import replace\nreplace._swap()"),
    (words, "engine/cpu/emit/ir", "import torch"),
    (words, "engine/gpu/emit/plan", "import triton"),
    (words, "engine/passes", "x = call.saved[4:]"),
    (words, "tasks/chat/stream", "def f():\n    print('hello')"),
    (words, "tasks/chat/stream", "def f():\n    yield json.dumps({})"),
    (words, "cli/run", "x = hasattr(model, 'generate')"),
    (words, "cli/run", "x = isinstance(model, Chatbot)"),
    (files, "tasks/speak/settings", ""),
    (files, "decode/loop", "def search(): ..."),
    (files, "tasks/__init__", "from elman.tasks.chat.bot import Chatbot"),
    (addresses, "engine/cpu/launch", "def f(x):\n    return x.data_ptr()"),
    (rows, "engine/cpu/emit/functions", "EMIT: dict = {'add': 1}"),
    (rows, "export/equations", "ONNX: dict = {'add': 1}"),
]


@pytest.mark.parametrize("rule", [upward, circles, words, addresses, files, rows])
def test_the_source_keeps(rule: Callable[[Path], Iterator[str]]) -> None:
    assert [*rule(ROOT)] == []


@pytest.mark.parametrize(("rule", "module", "text"), PLANTED)
def test_a_planted_violation_is_found(rule, module, text, tmp_path: Path) -> None:
    tree = {"engine/ops": "OPS: dict = {'a': 1}", "engine/scan": "import elman.engine.cpu.launch"}
    found = []
    for root, planted in ((tmp_path / "clean", {}), (tmp_path / "planted", {module: text})):
        for name, content in (tree | planted).items():
            file = root / "src/elman" / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        found.append({*rule(root)})
    assert found[1] > found[0]
