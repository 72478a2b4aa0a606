"""A trie of path segments: constant time however many routes there are."""

from collections.abc import Sequence
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from nova.kernel.errors import Malformed, NotFound, Refused

T = TypeVar("T")

LONGEST_PATH = 2048  # bytes, encoded
LONGEST_SEGMENT = 256  # characters, decoded


class NoSuchRoute(NotFound):
    """There is no route at this path."""

    code = "no_such_route"
    hint = "The API is described at /docs and /openapi.json."


class MethodNotAllowed(Refused):
    """This path does not support this method."""

    status, code = 405, "method_not_allowed"

    def __init__(self, allow: str) -> None:
        self.allow = allow
        super().__init__(f"This path answers to {allow}.")


class PathTooLong(Refused):
    """The path is longer than any route of Nova."""

    status, code = 414, "path_too_long"


class Leaf(Struct, Generic[T]):
    """The routes of one path, by method."""

    names: tuple[str, ...]
    methods: dict[str, T]

    @property
    def allow(self) -> str:
        """The Allow header: HEAD comes with GET, and OPTIONS with everything."""
        also = {"OPTIONS"} | ({"HEAD"} if "GET" in self.methods else set())
        return ", ".join(sorted(self.methods.keys() | also))


class _Node(Generic[T]):
    __slots__ = ("any", "fixed", "leaf")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node[T]] = {}
        self.any: _Node[T] | None = None
        self.leaf: Leaf[T] | None = None


class Router(Generic[T]):
    """Finds what answers to a path; fixed segments win over `{named}` ones."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._fixed: dict[str, Leaf[T]] = {}

    def add(self, method: str, path: str, target: T) -> None:
        """Add a route; two routes for the same requests are an error."""
        node = self._root
        names: list[str] = []
        for segment in path.split("/")[1:]:
            if segment.startswith("{") and segment.endswith("}"):
                names.append(segment[1:-1])
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.fixed.setdefault(segment, _Node())
        if node.leaf is None:
            node.leaf = Leaf(tuple(names), {})
        if method in node.leaf.methods or node.leaf.names != tuple(names):
            raise ValueError(f"{method} {path}: there is such a route already")
        node.leaf.methods[method] = target
        if not names:
            self._fixed[path] = node.leaf

    def find(self, path: str, raw: bytes | None = None) -> tuple[Leaf[T], Sequence[str]]:
        """Return the routes at a path and the values of its named segments.

        `path` is decoded; `raw`, as it was sent, decides where segments end, so that
        an encoded slash stays inside its segment.
        """
        leaf = self._fixed.get(path)
        if leaf is not None:
            return leaf, ()
        segments = path.split("/") if raw is None or b"%" not in raw else _decoded(raw)
        if len(path) > LONGEST_PATH:
            raise PathTooLong
        found: list[str] = []
        leaf = _walk(self._root, segments, found)
        if leaf is None:
            raise NoSuchRoute
        for value in found:
            if not value or len(value) > LONGEST_SEGMENT or "\0" in value:
                raise NoSuchRoute
        return leaf, found


def _decoded(raw: bytes) -> list[str]:
    try:
        return [unquote_to_bytes(segment).decode() for segment in raw.split(b"/")]
    except UnicodeDecodeError:
        raise Malformed("The path is not UTF-8.") from None


def _walk(node: _Node[T], segments: Sequence[str], found: list[str]) -> Leaf[T] | None:
    """Follow fixed segments first, and come back to named ones where those led nowhere."""
    at, end = 1, len(segments)
    left: list[tuple[_Node[T], int, int]] = []
    while True:
        if at == end and node.leaf is not None:
            return node.leaf
        step = node.fixed.get(segments[at]) if at < end else None
        if step is not None:
            if node.any is not None:
                left.append((node.any, at, len(found)))
        elif at < end and node.any is not None:
            step = node.any
            found.append(segments[at])
        elif left:
            step, at, kept = left.pop()
            found[kept:] = [segments[at]]
        else:
            return None
        node = step
        at += 1
