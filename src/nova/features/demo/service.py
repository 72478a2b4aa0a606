"""What the host app of the demo does: it has people, and tells Nova what they do."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from msgspec import Struct

from nova.kernel.clock import Clock
from nova.kernel.errors import NotFound
from nova.kernel.ids import new_id

ACTOR, RECIPIENT = "ada", "ben"
BOTS = {"dora": "Dora", "eve": "Eve", "finn": "Finn", "layla": "ليلى", "cleo": "Cleo"}
EDGES = Path(__file__).with_name("edges.jsonl")
"""Who follows whom when the demo starts; Ada does not know Ben yet, but friends of hers do."""
POSTS = (
    ("ben", "The harbour at dusk. #harbour"),
    ("layla", "صباح الخير من الميناء"),
    ("dora", "Who comes sailing on Sunday? #sailing"),
    ("cleo", "First coffee on the pier. #harbour #coffee"),
)
_PHOTO = {"title": "your photo of the harbour"}
METADATA: Mapping[str, Mapping[str, str]] = {
    "like": _PHOTO,
    "comment": {**_PHOTO, "text": "That light! Where did you stand?"},
}
MAILBOX, PHONE = "ben@harbour.example", "be7" * 21 + "b"
"""Where Ben is reached outside of the app: neither exists, and the outbox keeps what is sent."""
PACES: Mapping[str, Mapping[str, Any]] = {
    "like": {"digests": {"email": {"window_s": 15.0}}},
    "comment": {"urgent": True, "escalate_after_s": {"email": 10.0}},
    "follow": {},
}
"""Delivery policies by type. As an app would have them, but for those who do not want to wait:
likes are mailed as a digest, comments only if they are not seen, and followers at once."""


class DemoPerson(Struct, frozen=True):
    """Somebody of the demo, with a token to be them."""

    id: UUID
    external_id: str
    name: str
    token: str


class HostApp(Protocol):
    """The parts of Nova that a host app's backend calls."""

    async def person(self, external_id: str, name: str) -> DemoPerson:
        """Create a user unless there is one, and sign a token for them."""

    async def follow(self, edges: Path) -> None:
        """Do what `nova import edges` does: nobody's bell rings."""

    async def post(self, author: UUID, text: str) -> None:
        """Do what POST /v1/posts does."""

    async def has_posted(self, author: UUID) -> bool:
        """Tell whether GET /v1/users/{author}/posts has any."""

    async def reach(self, person: UUID, *, email: str, phone: str) -> None:
        """Give somebody a mailbox and an iPhone."""

    async def pace(self, kind: str, policy: Mapping[str, Any]) -> None:
        """Do what PUT /v1/delivery-policies/{type} does."""

    async def outbox(self, person: UUID) -> Any:
        """Return what GET /v1/outbox does of a person."""

    async def tell(self, event: Mapping[str, Any]) -> None:
        """Do what POST /v1/events does with one event."""

    async def retract(self, event: str) -> None:
        """Do what DELETE /v1/events/{id} does."""

    async def trace(self, event: str) -> Any:
        """Return what GET /v1/events/{id}/trace does."""


class Demo:
    """Ada on the left, Ben on the right."""

    def __init__(self, host: HostApp, clock: Clock) -> None:
        self._host = host
        self._clock = clock
        self._settling = asyncio.Lock()
        self._is_settled = False

    async def people(self) -> dict[str, DemoPerson]:
        """Return the two people of the page; the first time, create the people around them."""
        people = {
            ACTOR: await self._host.person(ACTOR, "Ada"),
            RECIPIENT: await self._host.person(RECIPIENT, "Ben"),
        }
        async with self._settling:
            if not self._is_settled:
                await self._settle(people)
                self._is_settled = True
        return people

    async def _settle(self, people: Mapping[str, DemoPerson]) -> None:
        """Create the others, who follows whom, and posts; kept data has them already."""
        last, _ = POSTS[-1]
        if await self._host.has_posted((await self._host.person(last, BOTS[last])).id):
            return
        await self._host.reach(people[RECIPIENT].id, email=MAILBOX, phone=PHONE)
        for kind, policy in PACES.items():
            await self._host.pace(kind, policy)
        bots = {each: await self._host.person(each, name) for each, name in BOTS.items()}
        await self._host.follow(EDGES)
        for author, text in POSTS:
            await self._host.post({**people, **bots}[author].id, text)

    async def act(self, act: str) -> dict[str, Any]:
        """Let Ada do something to Ben, and return the event that Nova was told."""
        event = {
            "id": f"{act}-{new_id()}",
            "event_type": act,
            "recipient_id": RECIPIENT,
            "actor_id": ACTOR,
            "related_entity_id": "photo-1",
            "timestamp": self._clock.now().isoformat(),
            "metadata": METADATA[act],
        }
        await self._host.tell(event)
        return event

    async def outbox(self) -> Any:
        """Return what left for Ben's phone and mailbox, rendered, the newest first."""
        person = await self._host.person(RECIPIENT, "Ben")
        return await self._host.outbox(person.id)

    async def retract(self, event: str) -> None:
        """Let Ada take back what she did."""
        await self._host.retract(event)

    async def why(self, event: str) -> Any:
        """Return the story of an event, which only the backend may ask for.

        Nova makes an event of a follow a moment later, so one that is unknown is pending.
        """
        try:
            return await self._host.trace(event)
        except NotFound:
            return {"outcome": "pending", "says": "Nova has not decided yet.", "steps": []}
