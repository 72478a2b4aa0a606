"""X-Forwarded-For is a claim: believed from known proxies only."""

import pytest

from nova.web.clients import Clients

PROXIES = ["10.0.0.0/8", "::1"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, nonsense"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::1", ["2001:db8::1"], "2001:db8::1"),
    ],
)
def test_the_nearest_stranger_is_the_client(peer: str, forwarded: list[str], address: str) -> None:
    headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
    assert Clients(PROXIES).address({"client": (peer, 1), "headers": headers}) == address


def test_without_proxies_nobody_is_believed() -> None:
    headers = [(b"x-forwarded-for", b"6.6.6.6")]
    assert Clients().address({"client": ("10.0.0.1", 1), "headers": headers}) == "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("::1", "::/64"),
        ("", ""),
    ],
)
def test_limits_count_an_address_or_the_network_that_one_client_has(
    peer: str, counted: str
) -> None:
    assert Clients().network({"client": (peer, 1), "headers": []}) == counted
