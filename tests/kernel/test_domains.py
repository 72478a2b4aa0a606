"""Domains in ASCII, as IDNA2008 has them."""

import pytest

from nova.kernel.idna_domains import BadDomain, ascii_domain


@pytest.mark.parametrize(
    ("name", "ascii_name"),
    [
        ("example.org", "example.org"),
        ("Example.ORG", "Example.ORG"),
        ("localhost", "localhost"),
        ("faß.de", "xn--fa-hia.de"),
        ("FAß.DE", "xn--fa-hia.de"),
        ("xn--fa-hia.de", "xn--fa-hia.de"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("münchen\u3002de", "xn--mnchen-3ya.de"),
        ("ｅｘａｍｐｌｅ.ｏｒｇ", "example.org"),
        ("βόλος.gr", "xn--nxasmm1c.gr"),
        ("نامه\u200cای.com", "xn--mgba3gch31f060k.com"),
        ("例子.广告", "xn--fsqu00a.xn--4rr70v"),
        ("עברית.קום", "xn--5dbqzzl.xn--9dbq2a"),
    ],
)
def test_a_domain_is_written_in_ascii(name: str, ascii_name: str) -> None:
    assert ascii_domain(name) == ascii_name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "a..b", ".a", "a.", "-a.de", "a-.de", "a b.de", "[127.0.0.1]", "a" * 64 + ".de"),
        *("ü" * 64 + ".de", "i❤.ws", "a\u200db.de", "xn--zzzzzz.de", "אa.com", "\u0301a.de"),
        *(".".join(["a" * 63] * 4), "a\u202eb.de", "a/b.de", "ﷺ.com"),
    ],
)
def test_what_is_no_domain_is_refused(name: str) -> None:
    with pytest.raises(BadDomain):
        ascii_domain(name)
