"""`nova doctor`: every engine, reached or not, and the fix."""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from msgspec import Struct

from nova import app
from nova.app import access
from nova.app import broadcast as app_broadcast
from nova.app import graph as app_graph
from nova.app.carriers import carriers, caught
from nova.app.starting import EMBEDDED, CannotStart
from nova.app.truth import ClocksApart, clocks, database_named
from nova.backbone import migrations
from nova.cli.arguments import Verbs
from nova.cli.options import add as add_options
from nova.cli.options import add_json, settings
from nova.cli.output import show
from nova.cli.running_server import RunningServer, asked
from nova.kernel.clock import SystemClock
from nova.kernel.errors import Unavailable
from nova.ports.database import DatabaseUnavailable, Pool
from nova.ports.graph import GraphUnavailable
from nova.settings import Misconfigured, Settings
from nova.web import file_descriptors
from nova.web.jwks import KeysUnavailable
from nova.web.realtime.socket_limits import BOUNDS

LETTERS = """
select (select count(*) from backbone.dead_letters) as dead,
    (select count(*) from backbone.retries) as again
"""


def add(verbs: Verbs) -> None:
    doctor = verbs.add_parser("doctor", help="check every engine, and tell how to fix what fails")
    add_json(doctor)
    add_options(doctor)
    doctor.set_defaults(run=_doctor)


class Finding(Struct, frozen=True):
    """The state of one thing that was checked."""

    name: str
    healthy: bool
    detail: str
    fix: str = ""


class Findings(Struct, frozen=True):
    """The state of everything."""

    healthy: bool
    data: list[Finding]


def _doctor(args: argparse.Namespace) -> int:
    found = asyncio.run(_found(args))
    findings = Findings(all(one.healthy for one in found), found)
    show(args, findings, lambda: "\n".join(map(_line, found)))
    return 0 if findings.healthy else 1


def _line(one: Finding) -> str:
    fix = f" Fix: {one.fix}" if one.fix else ""
    return f"{'ok  ' if one.healthy else 'FAIL'} {one.name}: {one.detail}{fix}"


async def _found(args: argparse.Namespace) -> list[Finding]:
    return [finding async for finding in _examined(args)]


async def _examined(args: argparse.Namespace) -> AsyncIterator[Finding]:
    loaded = settings(args)
    given = sum(origin != "default" for origin in loaded.origins.values())
    yield Finding("configuration", healthy=True, detail=f"valid; settings given: {given}.")
    server = await asyncio.to_thread(asked, loaded.settings)
    yield _running(server)
    yield _descriptors(server)
    yield _sockets(server)
    given_keys = loaded.settings.tokens
    if given_keys.jwks_url:
        yield await _keys(loaded.settings)
    elif not given_keys.secret and not given_keys.jwks_file:
        yield Finding(
            "tokens",
            healthy=False,
            detail="no user token can be verified.",
            fix="run 'nova init', or set tokens.secret, tokens.jwks_url or tokens.jwks_file.",
        )
    for caller in callers(loaded.settings, server):
        yield caller
    for look in (_outside, _broadcast, carried):
        async for finding in look(loaded.settings):
            yield finding
    if lanes := caught(loaded.settings):
        yield _mail_catcher(lanes)
    try:
        async with app.truth(loaded.settings) as pool:
            start = time.perf_counter()
            version = await database_named(loaded.settings, pool)()
            took = (time.perf_counter() - start) * 1000
            yield Finding("database", healthy=True, detail=f"{version}, answered in {took:.1f} ms.")
            pending = [
                one for one in await migrations.show(pool, app.all_rooms()) if not one.applied_at
            ]
            yield Finding(
                "schema",
                healthy=not pending,
                detail=f"migrations to apply: {len(pending)}.",
                fix="run 'nova migrate'; 'nova serve' does so by itself." if pending else "",
            )
            if not pending:
                yield await _clock(pool)
                yield await _lag(pool)
                if loaded.settings.graph == EMBEDDED:
                    yield await _index(pool, loaded.settings.graph_memory_mb)
    except (CannotStart, DatabaseUnavailable, migrations.Unmigratable) as wrong:
        yield Finding("database", healthy=False, detail=str(wrong))


def callers(chosen: Settings, server: RunningServer) -> Iterator[Finding]:
    """Yield who may call, and what a running server says about its proxy."""
    http, names = chosen.http, ", ".join
    yield Finding(
        "browsers",
        healthy=True,
        detail=f"pages of these origins may call, besides the server's own: "
        f"{names(access.origins(chosen)) or 'none'}; others are added to http.allowed_origins.",
    )
    yield Finding(
        "hosts",
        healthy=True,
        detail="answers by address, as localhost, and as "
        f"{names(access.hosts(chosen).names) or 'nothing else'}; further names are added to "
        "http.allowed_hosts.",
    )
    unnamed = server.ready.checks.get("clients") if server.ready else None
    if unnamed is None and chosen.deliveries.public_url.startswith("https:"):
        unnamed = None if http.trusted_proxies else "an https address needs a proxy"
    if unnamed is not None:
        yield Finding(
            "proxy",
            healthy=False,
            detail=f"{unnamed}. All who come through it are one address, with one limit.",
            fix="name it in the setting http.trusted_proxies, and have it send X-Forwarded-For.",
        )


def _running(server: RunningServer) -> Finding:
    """Say whether a server runs here, and whether it is ready."""
    if server.ready is None:
        return Finding(
            "server",
            healthy=True,
            detail=f"none answers at {server.address}.",
            fix="'nova serve' starts one.",
        )
    unready = "; ".join(f"{name}: {said}" for name, said in server.ready.checks.items())
    healthy = server.ready.status == "ready"
    return Finding(
        "server",
        healthy=healthy,
        detail=f"answers at {server.address}, and is {server.ready.status}"
        + ("." if healthy else f" ({unready})."),
    )


def _sockets(server: RunningServer) -> Finding:
    """Say how many sockets are open, and how many were one too many since the server's start."""
    opened = server.metric("nova_sockets")
    refused = {
        setting: int(number)
        for whose, setting in BOUNDS.items()
        if (number := server.metric("nova_sockets_refused_total", whose))
    }
    if opened is None:
        detail = "a running server would say how many are open, and how many were refused."
    else:
        by = ", ".join(f"{number:,} by {setting}" for setting, number in refused.items())
        detail = f"{int(opened):,} are open; refused since the start: {by or 'none'}."
    return Finding(
        "sockets",
        healthy=True,
        detail=detail,
        fix="if these were not one client that connects too often, raise that setting."
        if refused
        else "",
    )


def _mail_catcher(lanes: list[str]) -> Finding:
    """Say what has no provider."""
    return Finding(
        "mail catcher",
        healthy=True,
        detail=f"keeps what is for {', '.join(lanes)}, since no provider is set for that: it does "
        "not leave this machine. The console shows it.",
        fix="to send it, set smtp.host, apns.key, fcm.credentials or webpush.private_key.",
    )


def _descriptors(server: RunningServer) -> Finding:
    """Say how many files a server may open here, and how many a running one has open."""
    most = file_descriptors.hard_limit()
    kept = file_descriptors.reserve(most)
    used = server.metric("nova_descriptors_in_use")
    state = "no server says how many are in use" if used is None else f"{int(used):,} are in use"
    healthy = most >= file_descriptors.FEW and (used or 0) < most - kept
    return Finding(
        "descriptors",
        healthy=healthy,
        detail=f"up to {most:,} open files, {kept} of them in reserve; {state}.",
        fix="" if healthy else "raise the limit of open files (ulimit -Hn, LimitNOFILE=).",
    )


async def _keys(settings: Settings) -> Finding:
    _, keys = app.verifier(settings, SystemClock())
    if keys is None:
        raise RuntimeError("there is an address of keys, and nothing that asks it")
    try:
        return Finding("public keys", healthy=True, detail=f"fetched from {await keys.ping()}.")
    except KeysUnavailable as wrong:
        return Finding("public keys", healthy=False, detail=wrong.detail, fix=wrong.hint or "")
    finally:
        await keys.close()


async def _outside(chosen: Settings) -> AsyncIterator[Finding]:
    """Yield how the graph index is, if it is outside of Nova's processes."""
    try:
        async with app_graph.outside(chosen) as outside:
            if outside is not None:
                yield Finding("graph index", healthy=True, detail=f"{await outside.ping()}.")
    except (CannotStart, GraphUnavailable) as wrong:
        yield Finding(
            "graph index",
            healthy=False,
            detail=str(wrong),
            fix="check the setting 'graph', and that the server runs; "
            "a running Nova answers from the database meanwhile.",
        )


async def _broadcast(chosen: Settings) -> AsyncIterator[Finding]:
    """Yield how Redis is, if it carries messages between the sockets of several processes."""
    try:
        async with app_broadcast.outside(chosen) as engine:
            if engine is not None:
                state = await app_broadcast.reached(engine)
                fix = "give each master a replica." if app_broadcast.AT_RISK in state else ""
                yield Finding("broadcast", healthy=True, detail=f"{state}.", fix=fix)
    except CannotStart as wrong:
        fix = "see the setting 'sockets'; a running Nova reads from the history meanwhile."
        yield Finding("broadcast", healthy=False, detail=str(wrong), fix=fix)


async def _index(pool: Pool, most_mb: int) -> Finding:
    """Say whether the graph's index has room in each process."""
    follows, mb = await app_graph.needs(pool)
    return Finding(
        "graph index",
        healthy=mb <= most_mb,
        detail=f"{follows:,} follows take about {mb} of {most_mb} MB in each process.",
        fix=""
        if mb <= most_mb
        else "raise the setting 'graph_memory_mb', or use Neo4j; the database answers meanwhile.",
    )


async def carried(chosen: Settings) -> AsyncIterator[Finding]:
    """Try every configured carrier of push and mail."""
    try:
        async with carriers(chosen, SystemClock()) as opened:
            for name, carrier in opened.items():
                try:
                    yield Finding(name, healthy=True, detail=f"{await carrier.ping()}.")
                except Unavailable as wrong:
                    fix = wrong.hint or ""
                    yield Finding(name, healthy=False, detail=wrong.detail, fix=fix)
    except Misconfigured as wrong:
        for problem in wrong.problems:
            name, _, detail = problem.partition(": ")
            fix = f"see the settings of '{name}'."
            yield Finding(name, healthy=False, detail=f"{detail}.", fix=fix)


async def _clock(pool: Pool) -> Finding:
    """Say whether the database's clock and this machine's agree."""
    try:
        return Finding("clock", healthy=True, detail=await clocks(pool, SystemClock())())
    except ClocksApart as wrong:
        return Finding("clock", healthy=False, detail=wrong.detail, fix=wrong.hint or "")


async def _lag(pool: Pool) -> Finding:
    row = await pool.row(LETTERS)
    dead, again = (row["dead"], row["again"]) if row else (0, 0)
    return Finding(
        "event log",
        healthy=dead == 0,
        detail=f"waiting for another attempt: {again}; dead letters: {dead}.",
        fix="see GET /v1/dead-letters, then run 'nova replay'." if dead else "",
    )
