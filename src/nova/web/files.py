"""Files and other apps that are served below a path: read when asked for, whole or in ranges."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from nova.web.probes import whole
from nova.web.problems import problem
from nova.web.router import MethodNotAllowed, NoSuchRoute
from nova.web.static import SECURITY
from nova.web.traces import joined


class Mount(Struct, frozen=True):
    """An app that answers every path below `path`, which begins and ends with a slash.

    It decides by itself who may have what; routes are asked first.
    """

    path: str
    app: ASGIApp


class Below:
    """Gives a request to the mount that its path is below, and every other to `otherwise`."""

    def __init__(self, mounts: Sequence[Mount], otherwise: ASGIApp) -> None:
        """Raises ValueError for a path that is no folder's, or is below another one's."""
        paths = sorted(each.path for each in mounts)
        for path in paths:
            if not (path.startswith("/") and path.endswith("/") and path.strip("/")):
                raise ValueError(f"{path!r} does not begin and end with a slash")
            if any(path.startswith(other) for other in paths if other != path):
                raise ValueError(f"{path!r} is below another mount")
        if len(set(paths)) < len(paths):
            raise ValueError("two mounts have the same path")
        self._mounts = list(mounts)
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for mount in self._mounts:
            if scope["path"].startswith(mount.path):
                below = {**scope, "path": scope["path"][len(mount.path) - 1 :]}
                await mount.app(below, receive, send)
                return
        await self._otherwise(scope, receive, send)


class Files:
    """Serves the files of a folder, which may grow: streamed, and in ranges (RFC 9110, 14).

    Names that begin with a dot, and what links lead to outside of the folder, are not there.
    """

    def __init__(self, folder: Path) -> None:
        self._files = StaticFiles(directory=folder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] not in {"GET", "HEAD"}:
            await whole(send, problem(MethodNotAllowed("GET, HEAD"), joined(None).id))
            return
        response = await self._found(scope)
        if response is None:
            await whole(send, problem(NoSuchRoute(), joined(None).id))
            return
        response.raw_headers += SECURITY
        await response(scope, receive, send)

    async def _found(self, scope: Scope) -> Response | None:
        path = scope["path"].lstrip("/")
        if "\0" in path or any(part.startswith(".") for part in path.split("/")):
            return None
        try:
            return await self._files.get_response(path, scope)
        except HTTPException:
            return None
