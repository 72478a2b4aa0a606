"""Carriers from settings, against simulators that run as programs."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import msgspec
import pytest

from nova.app.carriers import PLATFORMS, carriers
from nova.bench.transports import Plan, run, simulated
from nova.cli.doctor import carried
from nova.kernel.clock import SystemClock
from nova.ports.carriers import Verdict
from nova.settings import Misconfigured, Outgoing, load
from support.carried import android, iphone, mailbox, parcel, vapid_key
from support.waiting import SOON_S

TARGETS = {"fcm": android("ben"), "apns": iphone("ab12"), "smtp": mailbox("ben@example.net")}
TINY = Plan(pushes=20, mails=5, rounds=1, at_once=4, mails_at_once=2, subscriptions=3)


@pytest.mark.parametrize("name", TARGETS)
async def test_a_simulator_writes_the_settings_by_which_it_is_reached(name: str) -> None:
    async with simulated(name) as folder:
        settings = load([folder / "nova.toml"], {}, {}).settings
        assert (folder / "nova.toml").stat().st_mode & 0o077 == 0
        async with carriers(settings, SystemClock()) as opened:
            assert list(opened) == [name]
            assert (await opened[name].ping()).startswith("connected to 127.0.0.1:")
            outcome = await opened[name].send(parcel(TARGETS[name]))
            assert (outcome.verdict, opened[name].name) == (Verdict.SENT, name)


async def test_a_simulator_is_told_what_to_answer_while_it_runs() -> None:
    async with simulated("fcm") as folder:
        settings = load([folder / "nova.toml"], {}, {}).settings
        trust = ssl.create_default_context(cafile=folder / "ca.pem")
        opener = build_opener(ProxyHandler({}), HTTPSHandler(context=trust))

        def ask(method: str, path: str, body: object = None) -> bytes:
            data = None if body is None else json.dumps(body).encode()
            url = f"{settings.fcm.url}/simulator/{path}"
            request = Request(url, data, method=method)  # noqa: S310  # the simulator's
            with opener.open(request, timeout=300) as answer:
                found: bytes = answer.read()
                return found

        async with carriers(settings, SystemClock()) as opened:
            rule = {"match": "ben", "answer": "UNAVAILABLE", "retry_after": "30", "times": 1}
            ask("POST", "rules", rule)
            outcome = await opened["fcm"].send(parcel(android("ben")))
            assert (outcome.code, outcome.retry_after_s) == ("UNAVAILABLE", 30)
            assert (await opened["fcm"].send(parcel(android("ben")))).verdict is Verdict.SENT
            seen = json.loads(ask("GET", "received"))
            assert [item["answered"] for item in seen["items"]] == ["UNAVAILABLE", ""]
            with pytest.raises(OSError, match="422"):
                ask("POST", "rules", {"answer": "NONSENSE"})


async def test_the_bench_measures_every_carrier() -> None:
    found = await run(TINY, lambda _: None)
    assert list(found) == [
        "fcm_cpu_us_per_send",
        "apns_cpu_us_per_send",
        "webpush_cpu_us_per_send",
        "mail_cpu_us_per_send",
        "apns_per_s",
    ]
    assert min(found.values()) > 0


async def test_nothing_is_opened_that_is_not_configured() -> None:
    async with carriers(load([], {}, {}).settings, SystemClock()) as opened:
        assert opened == {}
    reachable = {name for names in PLATFORMS.values() for name in names}
    assert reachable == {"fcm", "apns", "webpush", "smtp"}


async def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_text("{}")
    flags = {
        "fcm.credentials": str(bad),
        "apns.key": str(tmp_path / "none"),
        "webpush.private_key": vapid_key(),
        "smtp.host": "localhost",
    }
    with pytest.raises(Misconfigured) as told:
        async with carriers(load([], {}, flags).settings, SystemClock()):
            pass
    names = [problem.split(":")[0] for problem in told.value.problems]
    assert names == ["fcm", "apns", "webpush", "smtp"]
    assert "webpush.subject" in told.value.problems[2]


@pytest.mark.parametrize(
    ("missing", "flags", "extra"),
    [
        ("hpack", {"fcm.credentials": "x"}, "push"),
        ("hpack", {"webpush.private_key": "x", "webpush.subject": "mailto:a@b"}, "push"),
        ("aiosmtplib", {"smtp.host": "localhost", "smtp.sender": "a@b.example"}, "mail"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    missing: str, flags: dict[str, str], extra: str
) -> None:
    program = f"""
import asyncio, sys
sys.modules[{missing!r}] = None
from nova.app.carriers import carriers
from nova.kernel.clock import SystemClock
from nova.settings import load
async def main():
    async with carriers(load([], {{}}, {flags!r}).settings, SystemClock()): pass
asyncio.run(main())
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert f"{missing} is not installed; run: pip install 'nova-social[{extra}]'" in ended.stderr


async def test_the_doctor_tries_every_carrier() -> None:
    async with simulated("smtp") as folder:
        settings = load([folder / "nova.toml"], {}, {}).settings
        [found] = [finding async for finding in carried(settings)]
        assert (found.name, found.healthy) == ("smtp", True), found
    settings = msgspec.structs.replace(settings, outgoing=Outgoing())
    [found] = [finding async for finding in carried(settings)]
    assert (found.name, found.healthy, "smtp.host" in found.fix) == ("smtp", False, True), found
    broken = load([], {}, {"apns.key": "/nowhere"}).settings
    [found] = [finding async for finding in carried(broken)]
    assert (found.name, found.healthy) == ("apns", False), found


def test_a_vapid_key_is_made_that_the_settings_take(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "nova", "vapid"], capture_output=True, text=True, check=True
    ).stdout
    file = tmp_path / "nova.toml"
    file.write_text(made)
    assert len(load([file], {}, {}).settings.webpush.private_key) == 43
    assert "# Browsers subscribe with this key: B" in made


def test_simulators_do_not_write_over_each_others_settings(tmp_path: Path) -> None:
    def begun(which: str, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "nova", "simulate", which, *more],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    with begun("fcm") as first, begun("apns") as other:
        assert first.stdout is not None
        assert other.stdout is not None
        assert "nova-simulated/fcm/nova.toml" in first.stdout.readline()
        assert "nova-simulated/apns/nova.toml" in other.stdout.readline()
        wanted = (tmp_path / "nova-simulated/fcm/nova.toml").read_text()
        for more in ((), ("--folder", "nova-simulated/fcm")):
            third = begun("fcm", *more)
            said, _ = third.communicate(timeout=300)
            assert (third.returncode, "choose another with --folder" in said) == (1, True), said
        assert (tmp_path / "nova-simulated/fcm/nova.toml").read_text() == wanted
        first.terminate()
        other.terminate()


async def reachable(file: Path) -> set[str]:
    """Return the providers that settings name; all of them have to be reached."""
    found = [finding async for finding in carried(load([file], {}, {}).settings)]
    assert all(each.healthy for each in found), found
    return {each.name for each in found}


@pytest.mark.parametrize("apart", [False, True])
async def test_the_last_settings_printed_are_those_of_all_simulators_that_run(
    tmp_path: Path, *, apart: bool
) -> None:
    block = tmp_path / "pasted.toml"
    running: list[Process] = []

    async def begin(*words: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nova", "simulate", *words), cwd=tmp_path, stdout=PIPE
        )
        running.append(process)
        assert process.stdout is not None
        printed = b""
        async with asyncio.timeout(SOON_S):
            while not printed.endswith(b"\n\n") or b"ca_file" not in printed:
                printed += await process.stdout.readline()
        block.write_bytes(printed)

    wanted = ["smtp", "fcm", "webpush", "apns"]
    try:
        for names in wanted if apart else ["all"]:
            await begin(names)
        assert await reachable(block) == set(wanted)
        if apart:
            running[0].terminate()  # the one of mail
            await running[0].wait()
            await begin("fcm", "--folder", "elsewhere")
            assert await reachable(block) == {"fcm"}
            running[1].terminate()
            await running[1].wait()
            await begin("fcm")
            assert await reachable(block) == {"fcm", "webpush", "apns"}
    finally:
        for process in running:
            if process.returncode is None:
                process.terminate()
                await process.wait()


def test_without_its_packages_the_simulator_names_the_extra() -> None:
    program = "import sys; sys.modules['h2'] = None; from nova.cli import main; sys.exit(main())"
    ended = subprocess.run(
        [sys.executable, "-c", program, "simulate", "fcm"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert ended.returncode == 1
    assert "pip install 'nova-social[simulate]'" in ended.stderr
