"""The addresses that outsiders name: only public ones are called."""

import asyncio
import socket

import pytest

from nova.wire.addresses import ForbiddenAddress, Guard, is_public, place
from nova.wire.outgoing import Outgoing, trust

FORBIDDEN = {
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],  # noqa: S104
    "private": [
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "fc00::1",
        "fd00:ec2::254",
    ],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0", "fec0::1"],
    "carrier-grade NAT": ["100.64.0.1", "100.100.100.200", "100.127.255.255"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a9fe:a9fe"],
    "compatible": ["::127.0.0.1", "::8.8.8.8"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1"],
    "6to4": ["2002:7f00:1::1", "2002:808:808::1", "192.88.99.1"],
    "SIIT": ["::ffff:0:7f00:1", "::ffff:0:808:808"],
    "Teredo and ORCHID": ["2001::1", "2001:10::1", "2001:20::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.0.8", "198.18.0.1", "198.19.255.255"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "clouds": ["168.63.129.16"],
    "others": ["5f00::1", "100::1", "4000::1", "nonsense", ""],
}
PUBLIC = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.32.0.1", "223.255.255.254",
          "2606:4700:4700::1111", "2a00:1450:4001::1", "2003::1"]  # fmt: skip


@pytest.mark.parametrize("kind", FORBIDDEN)
def test_what_is_not_public_is_refused(kind: str) -> None:
    assert [each for each in FORBIDDEN[kind] if is_public(each)] == []


def test_what_is_public_is_called() -> None:
    assert [each for each in PUBLIC if not is_public(each)] == []


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:7f00:1]/",
        "https://0/",
    ],
)
async def test_every_way_to_write_loopback_is_refused(url: str) -> None:
    with pytest.raises((ForbiddenAddress, OSError)) as refused:
        await Guard().addresses(place(url))
    if isinstance(refused.value, OSError):
        assert isinstance(refused.value, socket.gaierror)  # not even a name here


@pytest.mark.parametrize(
    "url",
    [
        "http://push.example/",
        "ftp://push.example/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:secret@push.example/",
        "https://push.example:0/",
        "https://push.example:99999/",
        "https://push.example/\r\nx: y",
        "https://push.example/ä",
        "https://push example/",
        "https://[::1",
        "https://push.example/" + "a" * 3000,
        "",
    ],
)
def test_what_is_no_url_of_a_service_is_refused_without_a_look_up(url: str) -> None:
    with pytest.raises(ForbiddenAddress):
        Guard().check(place(url))


async def test_a_name_with_one_private_address_among_public_ones_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [["8.8.8.8", "10.0.0.1"], ["8.8.8.8"]]
    _names(monkeypatch, answers)
    with pytest.raises(ForbiddenAddress, match=r"10\.0\.0\.1"):
        await Guard().addresses(place("https://push.example/"))
    assert await Guard().addresses(place("https://push.example/")) == ["8.8.8.8"]


async def test_a_name_that_changes_its_address_gets_no_second_look_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rebinding: the first answer is public, the next one is not; only the first one is used."""
    looked, dialled = _names(monkeypatch, [["8.8.8.8"], ["127.0.0.1"]]), []

    async def create(_protocol: object, host: str, port: int, **more: object) -> None:
        dialled.append((host, port, more["server_hostname"]))
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", create)
    outgoing = Outgoing(guard=Guard(), tls=trust())
    with pytest.raises(Exception, match=r"time|reached|already"):
        await outgoing.post("https://push.example/", (), b"x", deadline_s=0.02)
    await outgoing.close()
    assert dialled[0] == ("8.8.8.8", 443, "push.example")
    assert {host for host, *_ in dialled} == {"8.8.8.8"}
    assert looked[0] == "push.example"


def _names(monkeypatch: pytest.MonkeyPatch, answers: list[list[str]]) -> list[str]:
    """Answer look-ups with these addresses, one list after the other; return who was asked for."""
    looked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        looked.append(host)
        found = answers.pop(0)
        return [(0, 0, 0, "", (each, port)) for each in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    return looked


async def test_networks_of_ones_own_may_be_allowed() -> None:
    guard = Guard(also=["127.0.0.0/8"])
    assert await guard.addresses(place("https://127.0.0.1:8443/")) == ["127.0.0.1"]
    with pytest.raises(ForbiddenAddress):
        await guard.addresses(place("https://10.0.0.1/"))
