"""The site's files: read once, so that a request can name nothing else on the disk."""

from collections.abc import Mapping
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path

from msgspec import Struct
from starlette.types import Receive, Scope, Send

from nova.web.problems import Answer, problem
from nova.web.router import MethodNotAllowed, NoSuchRoute
from nova.web.traces import joined

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types mail"
)
"""Nothing from elsewhere, no script or sheet inline, in nobody's frame.

Text never becomes markup (trusted types), but for mail, which the policy `mail` puts into a frame
without scripts. Such a frame inherits this policy, and mail has its style in attributes.
"""

SECURITY = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


class File(Struct, frozen=True):
    """One file, ready to send."""

    body: bytes
    kind: bytes
    etag: bytes


class Site:
    """Serves a folder's files, `index.html` for a folder; pages are revalidated by ETag."""

    def __init__(self, folder: Path, *, home: str = "", most_bytes: int = 32 << 20) -> None:
        """`home` is the folder inside whose page is shown at `/`.

        More than `most_bytes`, all files together, is a folder given by mistake: ValueError.
        """
        files = _read(folder, most_bytes)
        if home and f"/{home}" in files:
            files["/"] = files[f"/{home}"]
        self._files: Mapping[str, File] = files

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send_file(scope, send, self._files.get(scope["path"]))


async def send_file(scope: Scope, send: Send, file: File | None) -> None:
    """Answer a request with a file, or with 404 if there is none."""
    answer = _answer(scope, file)
    length = (b"content-length", b"%d" % len(answer.body))
    headers = answer.headers if answer.status == 304 else [*answer.headers, length]  # noqa: PLR2004  # HTTP
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


def _answer(scope: Scope, file: File | None) -> Answer:
    trace = joined(None)
    if file is None:
        return problem(NoSuchRoute(), trace.id)
    if scope["method"] not in {"GET", "HEAD"}:
        return problem(MethodNotAllowed("GET, HEAD"), trace.id)
    headers = [*SECURITY, (b"etag", file.etag), (b"cache-control", b"no-cache")]
    if dict(scope["headers"]).get(b"if-none-match") == file.etag:
        return Answer(304, headers, b"")
    return Answer(200, [(b"content-type", file.kind), *headers], file.body)


def _read(folder: Path, most: int) -> dict[str, File]:
    files: dict[str, File] = {}
    total = 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_symlink() or not path.is_file() or any(p.startswith(".") for p in name.parts):
            continue
        total += path.stat().st_size
        if total > most:
            raise ValueError(f"{folder} holds more than {most} bytes")
        file = _file(path)
        files[f"/{name.as_posix()}"] = file
        if path.name == "index.html":
            parent = name.parent.as_posix()
            pages = ["/"] if parent == "." else [f"/{parent}", f"/{parent}/"]
            files.update(dict.fromkeys(pages, file))
    return files


def _file(path: Path) -> File:
    kind = guess_type(path.name)[0] or "application/octet-stream"
    if path.suffix in {".js", ".mjs"}:
        kind = "text/javascript"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return file_of(path.read_bytes(), kind)


def file_of(body: bytes, kind: str) -> File:
    """Return a file of this media type."""
    return File(body, kind.encode(), b'"%s"' % sha256(body).hexdigest()[:20].encode())
