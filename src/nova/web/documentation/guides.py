"""The guides: Markdown files, read once, that become pages when they are first asked for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import NamedTuple
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from nova.web.documentation.frame import Found, Link, Page, Section

BESIDE = ("README.md", "CONTRIBUTING.md")
"""Files beside the folder of guides that they link to."""
_markdown = MarkdownIt("commonmark").enable("table")


class Guide(NamedTuple):
    """A file, by its path below the folder that holds the guides' folder."""

    path: str
    url: str
    text: str

    @property
    def title(self) -> str:
        return self.text.partition("\n")[0].lstrip("# ").strip()


class Guides:
    """The guides of a folder, by their address."""

    def __init__(self, folder: Path) -> None:
        files = sorted(folder.rglob("*.md"))
        files += [folder.parent / name for name in BESIDE if (folder.parent / name).exists()]
        guides = [_read(file, folder) for file in files]
        self.by_url: Mapping[str, Guide] = {guide.url: guide for guide in guides}
        self._urls = {guide.path: guide.url for guide in guides}

    def sections(self) -> list[Section]:
        """Return the lists of the first page, with what stands beside the folder."""
        home = self.by_url.get("/docs")
        if home is None:
            return []
        beside = [Link(one.title, one.url) for one in self.by_url.values() if one.path in BESIDE]
        tree = SyntaxTreeNode(_markdown.parse(home.text))
        found = [Section("Start", [Link("Contents", "/docs"), *beside])]
        title = ""
        for node in tree.children:
            if node.type == "heading":
                title = _plain(node.to_tokens())
            elif node.type == "bullet_list":
                found.append(Section(title, list(self._listed(node))))
        return found

    def _listed(self, of: SyntaxTreeNode) -> Iterator[Link]:
        for node in of.walk():
            if node.type == "link":
                yield Link(
                    _plain(node.to_tokens()), self._led("docs/index.md", str(node.attrs["href"]))
                )

    def page(self, url: str) -> Page:
        """Return the page at an address that `by_url` has."""
        guide = self.by_url[url]
        tokens = _markdown.parse(guide.text)
        for token in tokens:
            for inner in token.children or ():
                if inner.type == "link_open":
                    inner.attrSet("href", self._led(guide.path, str(inner.attrGet("href"))))
        parts = list(_parts(tokens, guide))
        html = _markdown.renderer.render(tokens, _markdown.options, {})
        html = html.replace("<table>", '<div class="wide"><table>')
        return Page(guide.title, html.replace("</table>", "</table></div>"), parts)

    def _led(self, path: str, href: str) -> str:
        """Return where a link of a file leads on the server."""
        parts = urlsplit(href)
        if parts.scheme or not parts.path:
            return href
        target = self._urls.get(normpath(join(dirname(path), parts.path)), href)
        return f"{target}#{parts.fragment}" if parts.fragment else target


def _read(file: Path, folder: Path) -> Guide:
    if file.parent == folder.parent:
        return Guide(file.name, f"/docs/{file.stem.lower()}", file.read_text("utf-8"))
    name = file.relative_to(folder).with_suffix("").as_posix()
    url = "/docs" if name == "index" else f"/docs/{name}"
    return Guide(f"docs/{name}.md", url, file.read_text("utf-8"))


def _parts(tokens: Sequence[Token], guide: Guide) -> Iterator[Found]:
    """Give each heading its id, as GitHub names it; yield what stands below each."""
    title, url, said, names = guide.title, guide.url, list[str](), set[str]()
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            if said:
                yield Found(title, guide.title, url, " ".join(said))
            title, said = _plain(tokens[number + 1 : number + 2]), []
            name = slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            count = 0
            while name in names:
                count += 1
                name = f"{slug}-{count}"
            names.add(name)
            token.attrSet("id", name)
            url = f"{guide.url}#{name}"
        elif token.type in {"inline", "fence"}:
            said.append(_plain([token]))
    yield Found(title, guide.title, url, " ".join(said))


def _plain(tokens: Sequence[Token]) -> str:
    """Return the words of tokens, without marks."""
    return "".join(
        _plain(token.children)
        if token.children
        else " " * (token.type == "softbreak") + token.content
        for token in tokens
    )
