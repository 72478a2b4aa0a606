"""The demo page's own calls. They hand out tokens to anybody, so they exist in the demo alone."""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from nova.features.demo.service import Demo, DemoPerson
from nova.web.actors import Rule
from nova.web.routes import Call, Limit, Route

PACE = Limit("demo", per_s=50, burst=100)


class Session(Struct, frozen=True):
    """The people of the demo."""

    people: dict[str, DemoPerson]


class Act(Struct, frozen=True, forbid_unknown_fields=True):
    """Something that Ada does in the app, and not in Nova."""

    act: Literal["like", "comment"]


class Acted(Struct, frozen=True):
    """The event that the backend told Nova: the body of POST /v1/events."""

    event: dict[str, Any]


def routes(demo: Demo) -> Sequence[Route]:
    async def session(_call: Call[Any, Any]) -> Session:
        return Session(await demo.people())

    async def act(call: Call[Act, Any]) -> Acted:
        return Acted(await demo.act(call.body.act))

    async def outbox(_call: Call[Any, Any]) -> Any:
        return await demo.outbox()

    async def retract(call: Call[Any, Any]) -> None:
        await demo.retract(call.path["id"])

    async def trace(call: Call[Any, Any]) -> Any:
        return await demo.why(call.path["id"])

    return (
        Route(
            method="GET",
            path="/demo/session",
            rule=Rule.PUBLIC,
            handler=session,
            summary="Be Ada and Ben",
            returns=Session,
            limit=PACE,
        ),
        Route(
            method="POST",
            path="/demo/acts",
            rule=Rule.PUBLIC,
            handler=act,
            summary="Let Ada do something",
            body=Act,
            returns=Acted,
            limit=PACE,
        ),
        Route(
            method="GET",
            path="/demo/outbox",
            rule=Rule.PUBLIC,
            handler=outbox,
            summary="Look at Ben's phone and into his mailbox",
            limit=PACE,
        ),
        Route(
            method="DELETE",
            path="/demo/events/{id}",
            rule=Rule.PUBLIC,
            handler=retract,
            summary="Let Ada take back what she did",
            status=204,
            limit=PACE,
        ),
        Route(
            method="GET",
            path="/demo/events/{id}/trace",
            rule=Rule.PUBLIC,
            handler=trace,
            summary="Ask why nothing rang",
            limit=PACE,
        ),
    )
