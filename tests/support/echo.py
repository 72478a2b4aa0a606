"""A tiny feature, and a program that serves it: what bad input is thrown at."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from prometheus_client import CollectorRegistry

from nova.kernel.text import Body, Name
from nova.web import logging
from nova.web.actors import Rule
from nova.web.clients import Clients
from nova.web.connections import Guard
from nova.web.documentation.site import pages
from nova.web.openapi import document
from nova.web.probes import Readiness, healthz, metrics
from nova.web.problems import kinds
from nova.web.routes import Call, Route
from nova.web.serve import bound, serve
from support.http import People, api_of

Int8 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Note(Struct):
    text: Body = ""
    count: Int8 = 0
    share: float = 0.0
    metadata: dict[Name, Any] = {}
    kind: Literal["note", "list"] = "note"


class Filter(Struct):
    q: Body = ""
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    share: float = 0.0
    kind: Literal["note", "list"] = "note"
    sort: Annotated[str, Meta(max_length=8, pattern="^(new|old)$")] = "new"


async def add(call: Call[Note, Any]) -> Note:
    return call.body


async def find(call: Call[Any, Filter]) -> Filter:
    return call.query


async def named(call: Call[Any, Any]) -> dict[str, str]:
    return dict(call.path)


goes_on = asyncio.Event()
"""Set by SIGUSR1."""


async def slow(call: Call[Any, Any]) -> dict[str, bool]:
    say("asked")
    await goes_on.wait()
    return {"done": True}


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def broken(call: Call[Any, Any]) -> int:
    return int(call.path["number"])


ROUTES = [
    Route(
        method="POST",
        path="/notes",
        rule=Rule.PUBLIC,
        handler=add,
        body=Note,
        returns=Note,
        summary="Add",
    ),
    Route(
        method="GET",
        path="/notes",
        rule=Rule.PUBLIC,
        handler=find,
        query=Filter,
        returns=Filter,
        summary="Find",
    ),
    Route(
        method="GET",
        path="/notes/{note}",
        rule=Rule.PUBLIC,
        handler=named,
        returns=dict[str, str],
        summary="Get",
    ),
    Route(
        method="GET",
        path="/slow",
        rule=Rule.PUBLIC,
        handler=slow,
        returns=dict[str, bool],
        summary="Wait",
    ),
    Route(
        method="GET",
        path="/mine",
        rule=Rule.USER,
        handler=named,
        returns=dict[str, str],
        summary="Mine",
    ),
]

BROKEN = Route(
    method="GET",
    path="/broken/{number}",
    rule=Rule.PUBLIC,
    handler=broken,
    returns=int,
    summary="Break",
)


HASTY = Guard(head_within_s=0.5, body_within_s=1.0, linger_s=0.5)
FEW = Guard(connections=2, head_within_s=600.0, linger_s=0.5)
FAIR = Guard(
    connections=100,
    per_address=2,
    counted=Clients(["127.0.0.9"]).counted,
    head_within_s=600.0,
    linger_s=0.5,
)
GUARDS = {"few": FEW, "fair": FAIR}


async def up() -> str:
    return "up"


async def main() -> None:
    """Serve on a free port, print it, and be quick to lose patience.

    `broken` adds a bug; `few` takes two connections, and is patient with them; `fair` takes two of
    each address, but of 127.0.0.9, which is a proxy.
    """
    routes = [*ROUTES, BROKEN] if "broken" in sys.argv else ROUTES
    logging.configure()
    registry = CollectorRegistry()
    ready = Readiness({"echo": up})
    about = document(routes, version="0", kinds=list(kinds("nova")))
    probes = {"/healthz": healthz, "/readyz": ready, "/metrics": metrics(registry)}
    mounts = {**probes, **pages(about, Path(__file__).parents[2] / "docs")}
    app = api_of(routes, People("ada"), registry=registry, mounts=mounts)

    async def drained() -> None:
        say("drained")

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, goes_on.set)
    await serve(
        app,
        listener=bound(),
        listening=lambda _host, port: say(port),
        draining=ready.drain,
        drain=[drained],
        guard=next((GUARDS[each] for each in sys.argv if each in GUARDS), HASTY),
        keep_alive_s=2,
    )


if __name__ == "__main__":
    asyncio.run(main())
