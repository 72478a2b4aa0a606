"""What may be shown as a link, and what may name a picture."""

import msgspec
import pytest
from msgspec import ValidationError

from nova.kernel.urls import Reference, Url, is_url, url_problem

URLS = [
    "https://cdn.example/1.jpg",
    "HTTP://cdn.example:8080/a?b=c#d",
    "https://bücher.example/å/日本",
    "https://[2606:4700::1]/x",
    "https://cdn.example",
    "https://cdn.example/a(1),b;c=~@!$&'*+%20",
]
IDS = ["media-7", "uploads/2026/11/a.b_c~1@2x=+.jpg", "写真/1", "a" * 1_024]
NEITHER = [
    "",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    " https://cdn.example/",
    "https://cdn.example/a b",
    "https://cdn.example/\n",
    "https://cdn.example/\u202egpj.1",
    "https://cdn.example/\u200b",
    "https://cdn.exa\u00admple/",
    "https://cdn.example\\@evil.example/",
    "https://ada:secret@cdn.example/",
    "https:///x",
    "https://",
    "https:cdn.example",
    "https:/cdn.example",
    "https://[half",
    "//cdn.example/x",
    "/\\cdn.example",
    "/etc/passwd",
    "../up",
    "a/../b",
    "a//b",
    "a/",
    "blob:https://cdn.example/1",
    "file:///etc/passwd",
    "data:image/svg+xml,x",
    "vbscript:x",
    "ftp://cdn.example/",
    "myapp://post/1",
    "a:b",
    "ａ：ｂ",
    'a"onerror=',
    "<svg>",
    "a\0b",
    "a\x7fb",
]


@pytest.mark.parametrize("text", URLS)
def test_http_addresses_are_links_and_references(text: str) -> None:
    assert is_url(text)
    assert msgspec.convert(text, Url) == msgspec.convert(text, Reference) == text


@pytest.mark.parametrize("text", IDS)
def test_ids_of_the_app_are_references_and_no_links(text: str) -> None:
    assert msgspec.convert(text, Reference) == text
    assert not is_url(text)
    with pytest.raises(ValidationError):
        msgspec.convert(text, Url)


@pytest.mark.parametrize("text", NEITHER)
def test_everything_else_is_neither(text: str) -> None:
    assert not is_url(text)
    with pytest.raises(ValidationError):
        msgspec.convert(text, Reference)
    if text:
        with pytest.raises(ValidationError):
            msgspec.convert(text, Url)


def test_what_is_too_long_is_no_link() -> None:
    assert is_url("https://a/" + "x" * 2_038)
    assert not is_url("https://a/" + "x" * 2_039)


NOWHERE = [
    "https://cdn.example:0/x",
    "https://cdn.example:65536/x",
    "https://cdn.example:99999",
    "https://cdn..example/x",
    "https://.example/",
    "https://-cdn.example/",
    "https://cdn-.example/",
    f"https://{'a' * 64}.example/",
    f"https://{'a.' * 127}example/",
    "https://256.1.1.1/",
    "https://1.2.3/",
    "https://1.2.3.4.5/",
    "https://0x7f.1/",
    "https://2130706433/",
    "https://[::1::2]/",
    "https://[1.2.3.4]/",
    "https://[12345::]/",
    "https://%00/",
    "https://c!dn.example/",
    "https://xn--/",
    "https://☃.example:70000/",
]


@pytest.mark.parametrize("text", NOWHERE)
def test_an_address_whose_host_or_port_cannot_be_is_no_link(text: str) -> None:
    assert url_problem(text)
    assert not is_url(text)


@pytest.mark.parametrize("text", [*URLS, *IDS, "http://127.0.0.1:8000/", "https://a.example.:1/"])
def test_other_addresses_and_ids_have_no_problem(text: str) -> None:
    assert url_problem(text) is None
