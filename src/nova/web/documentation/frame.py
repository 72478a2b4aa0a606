"""The frame of a documentation page: head, navigation and text."""

from collections.abc import Iterator, Sequence
from html import escape

from msgspec import Struct


class Link(Struct, frozen=True):
    """A page, as the navigation and the search name it."""

    title: str
    url: str


class Section(Struct, frozen=True):
    """A list of pages in the navigation."""

    title: str
    links: Sequence[Link]


class Found(Struct, frozen=True):
    """A part of a page, as the search finds it."""

    title: str
    within: str
    """The page or list that it is a part of."""
    url: str
    text: str


class Page(Struct, frozen=True):
    """The text of a page, and what the search may find in it."""

    title: str
    html: str
    parts: Sequence[Found] = ()


_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/favicon.svg"><link rel="stylesheet" href="/shared/style.css">
<link rel="stylesheet" href="/docs/docs.css"><script type="module" src="/docs/docs.js"></script>
"""
_TOP = """</head><body><header><p class="name"><a href="/docs">Nova documentation</a></p>
<p class="to-contents"><a href="#contents">Contents</a></p>
<search hidden><input type="search" placeholder="Search" aria-label="Search the documentation">
<ol class="found" aria-live="polite"></ol></search></header>
"""


def framed(page: Page, here: str, sections: Sequence[Section]) -> str:
    """Return the whole page; `here` is its address."""
    return "".join(
        (
            f"{_HEAD}<title>{escape(page.title)} · Nova</title>{_TOP}",
            f'<div class="sides"><main>{page.html}</main>',
            f'<nav id="contents" aria-label="Contents">{"".join(_navigation(sections, here))}',
            "</nav></div></body></html>",
        )
    )


def _navigation(sections: Sequence[Section], here: str) -> Iterator[str]:
    for section in sections:
        is_open = any(link.url == here for link in section.links)
        yield f"<details{' open' if is_open else ''}><summary>{escape(section.title)}</summary><ul>"
        for link in section.links:
            current = ' aria-current="page"' if link.url == here else ""
            yield f'<li><a href="{escape(link.url)}"{current}>{escape(link.title)}</a></li>'
        yield "</ul></details>"
