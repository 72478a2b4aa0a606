"""The site at /docs: each page is made when it is first asked for, and kept."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from starlette.types import ASGIApp, Receive, Scope, Send

from nova.web.documentation import api
from nova.web.documentation.frame import Page, Section, framed
from nova.web.documentation.guides import Guides
from nova.web.static import File, file_of, send_file

SEARCH = "/docs/search.json"


class Documentation:
    """Makes the pages of the guides in a folder and of an OpenAPI document."""

    def __init__(self, document: Mapping[str, Any], folder: Path) -> None:
        guides = Guides(folder)
        self._pages: dict[str, Callable[[], Page]] = {
            url: partial(guides.page, url) for url in guides.by_url
        }
        self._pages[api.ROOT] = partial(api.overview, document)
        self._pages[api.PROBLEMS] = partial(api.problems, document)
        for name in api.groups(document):
            self._pages[f"{api.ROOT}/{name}"] = partial(api.group, document, name)
        self._pages["/docs"] = partial(_home, guides, document)
        self._sections = [*guides.sections(), Section("HTTP API", api.links(document))]
        self._files: dict[str, File] = {}

    @property
    def paths(self) -> list[str]:
        """Return every address that is answered."""
        return [*self._pages, "/docs/", SEARCH]

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].rstrip("/")
        file = self._files.get(path)
        if file is None:
            # Some pages take longer than sockets should wait for the loop.
            file = self._files[path] = await asyncio.to_thread(self._made, path)
        await send_file(scope, send, file)

    def _made(self, path: str) -> File:
        if path == SEARCH:
            parts = [part for make in self._pages.values() for part in make().parts]
            return file_of(msgspec.json.encode(parts), "application/json")
        html = framed(self._pages[path](), path, self._sections)
        return file_of(html.encode(), "text/html; charset=utf-8")


def _home(guides: Guides, document: Mapping[str, Any]) -> Page:
    """Return the first page: the guides' own, and the groups of the API."""
    if "/docs" not in guides.by_url:
        return api.overview(document)
    home = guides.page("/docs")
    return replace(home, html=f"{home.html}<h2>The HTTP API</h2>{api.listed(document)}")


def pages(document: Mapping[str, Any], folder: Path) -> dict[str, ASGIApp]:
    """Return the mounts of the documentation, and `/openapi.json`.

    `folder` has the guides; without an index.md, the first page is the overview of the API.
    """
    site = Documentation(document, folder)
    raw = file_of(msgspec.json.encode(document), "application/json")

    async def spec(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send_file(scope, send, raw)

    return {"/openapi.json": spec, **dict.fromkeys(site.paths, site)}
