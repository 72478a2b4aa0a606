"""Constructors take up to ten arguments, classes have up to thirty methods."""

import ast
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parents[2] / "src" / "nova"
MOST_ARGUMENTS = 10
MOST_METHODS = 30
LARGER = {
    "adapters/postgres/pool PostgresPool": "the port of the database has 31 methods",
    "features/notifications/pipeline Pipeline": "to be cut",
    "web/realtime/websocket SocketProtocol": "uvicorn says which methods there are",
    "wire/http2 Http2": "one method a frame",
}
"""Classes that are larger, with the reason. The list only shrinks."""


def larger(source: str) -> Iterator[str]:
    """Yield the names of classes that are larger than they may be."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            methods = [
                each
                for each in node.body
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            arguments = max(
                (_count(each) for each in methods if each.name == "__init__"), default=0
            )
            if arguments > MOST_ARGUMENTS or len(methods) > MOST_METHODS:
                yield node.name


def _count(constructor: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = constructor.args
    return len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs) - 1


def test_no_class_is_larger() -> None:
    found = {
        f"{each.relative_to(SRC).with_suffix('')} {name}"
        for each in SRC.rglob("*.py")
        if not each.stem.endswith("_pb2")
        for name in larger(each.read_text("utf-8"))
    }
    assert found == set(LARGER)


def test_a_large_class_is_found() -> None:
    arguments = ", ".join(f"a{number}" for number in range(MOST_ARGUMENTS))
    constructor = f"class A:\n    def __init__(self, {arguments}): ...\n"
    methods = "class B:\n" + "".join(
        f"    async def m{number}(self): ...\n" for number in range(MOST_METHODS)
    )
    assert list(larger(constructor + methods)) == []
    beyond = constructor.replace("a9", "a9, *, a10") + methods + "    def m(self): ...\n"
    assert list(larger(beyond)) == ["A", "B"]
