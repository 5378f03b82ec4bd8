"""Imports run one way, and the pure parts stay pure."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import collab

ROOT = Path(collab.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))

# Each part may use those after it, itself, and errors and settings, which everybody may use.
MAY_USE = {
    "text": set(),
    "log": {"text"},
    "access": set(),
    "storage": {"text", "log", "access"},
    "rooms": {"text", "log", "storage", "access"},
    "live": {"text", "log", "storage", "rooms", "access", "api"},
    "api": {"text", "log", "storage", "rooms", "access", "live"},
    "client": {"text"},
}
EVERYBODY_MAY_USE = {"backoff", "counts", "errors", "settings", "tasks", "waiters"}

PURE = [
    *(ROOT / "text").glob("*.py"),
    ROOT / "log/entry.py",
    ROOT / "log/rebase.py",
    ROOT / "log/blocks.py",
    ROOT / "log/insertions.py",
    ROOT / "log/contract.py",
    ROOT / "rooms/room.py",
    ROOT / "rooms/history.py",
    ROOT / "rooms/chain.py",
    ROOT / "rooms/frames.py",
    ROOT / "rooms/presence.py",
    ROOT / "rooms/neighbours.py",
    ROOT / "rooms/server_messages.py",
]
IMPURE = {"asyncio", "time", "random", "redis", "sqlalchemy", "fastapi", "starlette", "uvicorn"}


def imports(path: Path, *, types_too: bool = True) -> set[str]:
    """The modules that a module imports, by their full names."""
    found: set[str] = set()
    for node in _nodes(ast.parse(path.read_text()), types_too):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _nodes(node: ast.AST, types_too: bool) -> list[ast.AST]:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not types_too:
        return []
    return [
        node,
        *(inner for child in ast.iter_child_nodes(node) for inner in _nodes(child, types_too)),
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    part, *inner = path.relative_to(ROOT).parts
    if not inner:
        return  # the command and the leaves that everybody uses
    allowed = MAY_USE[part] | {part} | EVERYBODY_MAY_USE
    used = {name.split(".")[1] for name in imports(path) if name.startswith("collab.")}
    assert used <= allowed


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_pure_parts_know_no_clock_no_waiting_and_no_engine(path: Path) -> None:
    used = {name.split(".")[0] for name in imports(path, types_too=False)}
    assert not used & IMPURE


def test_the_text_engine_needs_the_standard_library_only() -> None:
    used = {name.split(".")[0] for path in (ROOT / "text").glob("*.py") for name in imports(path)}
    assert not used & {"msgspec", "pydantic", "structlog"}


def test_what_everybody_may_use_are_leaves() -> None:
    for leaf in EVERYBODY_MAY_USE:
        used = {name for name in imports(ROOT / f"{leaf}.py") if name.startswith("collab.")}
        assert {name.split(".")[1] for name in used} <= EVERYBODY_MAY_USE


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_task_has_a_name_and_it_is_no_documents(path: Path) -> None:
    """Names reach the log."""
    for node in _nodes(ast.parse(path.read_text()), types_too=True):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {
            "create_task",
            "ensure_future",
        }:
            names = [each.value for each in node.keywords if each.arg == "name"]
            assert [type(name) for name in names] == [ast.Constant]
