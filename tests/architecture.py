"""Reads the imports of the two packages and says what breaks the rules of the house.

The rules: `translators` is pure, its two wings know nothing of each other; each library has one home; rooms
of `gateway` import downwards only; the simulator shares nothing with what it simulates; no cycles, no
imports inside functions, nothing but definitions at import time.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGES: Final = ("translators", "gateway")

# What of the standard library is pure: no clock, no randomness, no input or output.
PURE: Final = frozenset({
    "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses", "email", "enum", "functools",
    "hashlib", "itertools", "json", "math", "operator", "re", "string", "typing",
    "urllib.parse",
})  # fmt: skip

# Library -> the rooms that may import it. A library that is not here has no home yet.
HOMES: Final = {
    "aiohappyeyeballs": ("gateway.pool",),
    "click": ("gateway.cli",),
    "hiredis": ("gateway.store",),
    "httptools": ("gateway.connection", "gateway.cli"),
    "httpx": ("gateway.cli", "gateway.health", "gateway.images"),
    "jsonschema_rs": ("translators.schemas",),
    "litestar": ("gateway.app", "gateway.api", "gateway.dashboard"),
    "msgspec": PACKAGES,
    "prometheus_client": ("gateway.metrics",),
    "pydantic": ("gateway.settings", "gateway.api.admin"),
    "pydantic_core": ("gateway.settings",),
    "redis": ("gateway.store",),
    "rich": ("gateway.cli",),
    "rich_click": ("gateway.cli",),
    "subprocess": ("gateway.store", "gateway.credentials"),
    "uvicorn": ("gateway.cli",),
    "yaml": ("gateway.settings", "gateway.cli.keys.importing"),
}

# From the top down: a room imports from the lines below its own.
LINES: Final = (
    ("cli",),
    ("app",),
    ("api", "dashboard"),
    ("pipeline",),
    ("dispatch", "relay", "cache", "admission", "ledger", "gauges"),
    ("translation", "balance"),
    (
        "keys",
        "limits",
        "budgets",
        "routing",
        "health",
        "deadlines",
        "overload",
        "estimates",
        "origin",
        "cors",
        "suspects",
    ),
    ("upstream", "images", "store", "metrics", "logs", "catalogue", "memory"),
    ("pool", "tallies", "credentials"),
    ("connection", "exchange", "settings"),
    ("errors", "outbox", "quota"),
)
_LINE_OF: Final = {room: number for number, line in enumerate(LINES) for room in line}

# Calls that do something, where only definitions belong.
_EFFECTS: Final = frozenset({
    "connect", "getenv", "now", "open", "print", "read_bytes", "read_text", "run", "time", "token_hex",
    "urandom",
})  # fmt: skip

_DEFINITIONS: Final = (
    ast.AnnAssign, ast.Assign, ast.AsyncFunctionDef, ast.ClassDef, ast.FunctionDef, ast.Import,
    ast.ImportFrom,
)  # fmt: skip


@dataclass(frozen=True)
class Module:
    """One file."""

    name: str
    is_package: bool
    tree: ast.Module


@dataclass(frozen=True)
class Import:
    """One name that a module imports, and where."""

    source: str
    target: str
    line: int


def read_modules(root: Path) -> dict[str, Module]:
    """The modules of both packages by name."""
    modules: dict[str, Module] = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            modules[name] = Module(name, is_package, ast.parse(path.read_text(), str(path)))
    return modules


def violations(root: Path) -> list[str]:
    """Everything that breaks a rule, in words."""
    modules = read_modules(root)
    imports = [each for module in modules.values() for each in _imports(module, modules)]
    return [
        *(text for each in imports for text in _broken_rules(each)),
        *_cycles(imports),
        *(text for module in modules.values() for text in _late_imports(module)),
        *(text for module in modules.values() for text in _effects(module)),
    ]


def _imports(module: Module, modules: dict[str, Module]) -> Iterator[Import]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (Import(module.name, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(module, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(module.name, inner if inner in modules else base, node.lineno)


def _base(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    up = node.level - 1 if module.is_package else node.level
    return ".".join([*parts[: len(parts) - up], *([node.module] if node.module else [])])


def _broken_rules(each: Import) -> Iterator[str]:
    top = each.target.partition(".")[0]
    where = f"{each.source}:{each.line} imports {each.target}"
    if top in PACKAGES:
        reasons = _inner_rules(each)
    elif top in HOMES:
        homes = HOMES[top]
        reasons = [] if _within(each.source, homes) else [f"{top} is at home in {', '.join(homes)}"]
    elif top not in sys.stdlib_module_names:
        reasons = [f"{top} has no home"]
    else:
        impure = _within(each.source, ("translators",)) and not {top, each.target} & PURE
        reasons = ["translators is pure"] if impure else []
    yield from (f"{where}: {reason}" for reason in reasons)


def _inner_rules(each: Import) -> list[str]:
    source, target = each.source, each.target
    if _within(source, ("translators",)):
        if _within(target, ("gateway",)):
            return ["translators never imports gateway"]
        return _wing_rules(source, target)
    if _within(source, ("gateway.simulator",)):
        ours = _within(target, ("gateway.simulator",))
        return [] if ours else ["the simulator shares nothing with what it simulates"]
    if _within(target, ("gateway.simulator",)):
        return [] if _within(source, ("gateway.cli",)) else ["the simulator is for the command line alone"]
    return _line_rules(source, target) if _within(target, ("gateway",)) else []


def _wing_rules(source: str, target: str) -> list[str]:
    wings = ("translators.clients", "translators.backends")
    for wing, other in (wings, wings[::-1]):
        if _within(source, (wing,)) and _within(target, (other,)):
            return ["clients and backends never import each other"]
    inside = any(_within(source, (wing,)) and _within(target, (wing,)) for wing in wings)
    return ["what is common knows no dialect"] if _within(target, wings) and not inside else []


def _line_rules(source: str, target: str) -> list[str]:
    own, other = _room(source), _room(target)
    if not own or own == other:
        return []
    missing = [room for room in (own, other) if room not in _LINE_OF]
    if missing:
        return [f"the room '{missing[0]}' stands on no line"]
    return [] if _LINE_OF[own] < _LINE_OF[other] else [f"'{own}' imports only from the lines below its own"]


def _room(module: str) -> str:
    """`gateway.api.raw` -> `api`; the package itself is no room."""
    return module.split(".")[1] if "." in module else ""


def _within(module: str, rooms: Iterable[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def _cycles(imports: list[Import]) -> Iterator[str]:
    """The modules that cannot be put into any order: what is left when all that import nothing are gone."""
    graph: dict[str, set[str]] = {}
    for each in imports:
        if each.target.partition(".")[0] in PACKAGES and each.source != each.target:
            graph.setdefault(each.source, set()).add(each.target)
            graph.setdefault(each.target, set())
    while free := [name for name, targets in graph.items() if not targets]:
        for name in free:
            del graph[name]
        for targets in graph.values():
            targets.difference_update(free)
    # Modules above a cycle are left as well; only those that are imported themselves belong to one.
    while above := graph.keys() - {target for targets in graph.values() for target in targets}:
        for name in above:
            del graph[name]
    if graph:
        yield f"these import each other in a circle: {', '.join(sorted(graph))}"


def _late_imports(module: Module) -> Iterator[str]:
    inner = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for outer in ast.walk(module.tree):
        if isinstance(outer, inner):
            for node in ast.walk(outer):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield f"{module.name}:{node.lineno} imports inside '{outer.name}'"
        if isinstance(outer, ast.Call) and ast.unparse(outer.func) in {
            "__import__",
            "importlib.import_module",
        }:
            yield f"{module.name}:{outer.lineno} imports by name"


def _effects(module: Module) -> Iterator[str]:
    """What a module does when it is imported, beside defining things."""
    for node in module.tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # the docstring
        if isinstance(node, ast.If) and module.name.endswith(".__main__"):
            continue  # where a module is run and not imported
        if isinstance(node, ast.If) and _chooses_imports(node):
            continue
        if not isinstance(node, _DEFINITIONS):
            yield f"{module.name}:{node.lineno} does something at import time"
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for call in _calls_at_once(node.value):
                yield f"{module.name}:{call.lineno} calls {ast.unparse(call.func)} at import time"


def _chooses_imports(node: ast.If) -> bool:
    """Whether it does nothing but import what the system has."""
    by_system = "sys.platform" in ast.unparse(node.test)
    return by_system and all(
        isinstance(each, ast.Import | ast.ImportFrom) for each in node.body + node.orelse
    )


def _calls_at_once(value: ast.expr) -> Iterator[ast.Call]:
    """Calls with an effect that are made when the value is: not those inside a lambda."""
    if isinstance(value, ast.Lambda):
        return
    if isinstance(value, ast.Call):
        name = value.func.attr if isinstance(value.func, ast.Attribute) else ast.unparse(value.func)
        if name in _EFFECTS:
            yield value
    for child in ast.iter_child_nodes(value):
        if isinstance(child, ast.expr):
            yield from _calls_at_once(child)
