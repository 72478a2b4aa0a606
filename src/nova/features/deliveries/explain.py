"""A dry run: what would become of an event, channel by channel, and why. Nothing is written."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from nova.features.deliveries import plan, quiet, store_throttles
from nova.features.deliveries.lanes.mail_bound import MailBound
from nova.features.deliveries.mail.templates import MailTemplates
from nova.features.deliveries.mail.writing import Letter
from nova.features.deliveries.models import CHANNEL_OF
from nova.features.deliveries.plan import Choice, Person
from nova.features.deliveries.planner import EVERYBODY, Planner
from nova.features.deliveries.policies import Policies, Policy
from nova.features.deliveries.quiet_hours import within_reason
from nova.features.deliveries.tale import WHERE, WHY
from nova.features.notifications.events import NotificationStored
from nova.kernel.clock import Clock
from nova.kernel.errors import BigMetadata
from nova.kernel.text import Name, beginning
from nova.ports.database import Queries
from nova.web.people import UnknownPerson

_Key = Annotated[str, Meta(max_length=128)]
MOST_METADATA = 8_192


class Supposed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event that might happen."""

    event_type: _Key
    """A built-in type or one that the app registered."""
    recipient_id: Name
    """Whom it would tell, by either id."""
    actor_id: Name | None = None
    """Who would have done it, by either id."""
    related_entity_id: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    """What it would be about."""
    metadata: dict[_Key, Any] = {}
    """What the templates need."""
    at: Annotated[datetime, Meta(tz=True)] | None = None
    """When; now when absent."""
    locale: Annotated[str, Meta(min_length=2, max_length=35)] | None = None
    """To see the words in another language than the recipient's."""


class Preview(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a channel would show, whether or not the recipient can be reached by it."""

    channel: str
    """`in_app`, `push`, `web_push` or `email`."""
    title: str
    """Its title."""
    body: str
    """Its text."""
    html: str | None = None
    """The mail as a page."""


class Way(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would happen in one channel."""

    channel: str
    """`push`, `web_push` or `email`."""
    decision: str
    """What would be done: `send`, `hold`, `digest`, `standby` or `drop`."""
    says: str
    """The decision in words."""
    reason: str | None = None
    """Why: a word that programs can rely on."""
    rule: str | None = None
    """Which preference or policy decides."""
    at: datetime | None = None
    """When it would go out."""
    targets: Sequence[str] = ()
    """The devices or mailboxes that it would go to, shortened."""


class Explained(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would become of an event."""

    outcome: str
    """What would become of it: `stored` or `suppressed`."""
    says: str
    """The outcome in words."""
    at: datetime
    """The time that was supposed."""
    reason: str | None = None
    """Why it would be suppressed: a word that programs can rely on."""
    rule: str | None = None
    """Which preference decides."""
    title: str | None = None
    """The title in the inbox."""
    body: str | None = None
    """The text in the inbox."""
    locale: str | None = None
    """The locale of the template."""
    local_time: str | None = None
    """Of the recipient."""
    channels: Sequence[Way] = ()
    """What would happen in each channel."""
    previews: Sequence[Preview] = ()
    """What each channel would show."""
    warnings: list[UnknownPerson] = []
    """Whom it names and nobody is."""


class Rehearsed(Protocol):
    """What notifications would decide."""

    @property
    def reason(self) -> str | None: ...
    @property
    def says(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def fact(self) -> NotificationStored | None:
        """What the log would be told; None: it would be suppressed."""

    @property
    def warnings(self) -> list[UnknownPerson]: ...


class Rehearsal(Protocol):
    """Decides about an event without doing anything."""

    async def rehearse(
        self,
        *,
        kind: str,
        recipient: str,
        actor: str | None,
        about: str | None,
        metadata: bytes,
        at: datetime,
        locale: str | None,
    ) -> Rehearsed: ...


class Explainer:
    """Runs the same pure decisions as the planner does."""

    def __init__(
        self,
        db: Queries,
        clock: Clock,
        *,
        rehearsal: Rehearsal,
        planner: Planner,
        policies: Policies,
        links: Callable[[UUID, str], str | None],
        mails: MailTemplates,
        bound: MailBound,
    ) -> None:
        """`links` makes the address that unsubscribes a user from a type's mail."""
        self._db = db
        self._clock = clock
        self._rehearsal = rehearsal
        self._planner = planner
        self._policies = policies
        self._links = links
        self._mails = mails
        self._bound = bound

    async def explain(self, supposed: Supposed) -> Explained:
        at = within_reason(supposed.at or self._clock.now())
        metadata = msgspec.json.encode(supposed.metadata)
        if len(metadata) > MOST_METADATA:
            raise BigMetadata
        said = await self._rehearsal.rehearse(
            kind=supposed.event_type,
            recipient=supposed.recipient_id,
            actor=supposed.actor_id,
            about=supposed.related_entity_id,
            metadata=metadata,
            at=at,
            locale=supposed.locale,
        )
        fact = said.fact
        if fact is None:
            return Explained(
                outcome="suppressed",
                says=said.says,
                at=at,
                reason=said.reason,
                rule=said.rule,
                warnings=said.warnings,
            )
        person = (await self._planner.persons({fact.user}))[fact.user]
        policy = await self._policies.of(fact.type)
        throttles = await self._planner.throttles(self._db, [fact], {fact.type: policy}, at)
        decided = self._planner.decided(fact, person, policy, at, throttles=throttles)
        decided = plan.paced(decided, await self._turn(policy, fact, at), policy, at)
        if "email" in decided and not fact.critical:
            foreseen = await self._bound.foreseen(self._db, fact.user, decided["email"], at)
            decided = {**decided, "email": foreseen}
        return Explained(
            outcome="stored",
            says=said.says,
            at=at,
            rule=said.rule,
            title=fact.title,
            body=fact.body,
            locale=fact.locale,
            local_time=at.astimezone(quiet.zone_of(person.zone)).isoformat(timespec="seconds"),
            channels=[_way(channel, each, person, fact, at) for channel, each in decided.items()],
            previews=await self._previews(fact, person, supposed),
            warnings=said.warnings,
        )

    async def _previews(
        self, fact: NotificationStored, person: Person, supposed: Supposed
    ) -> Sequence[Preview]:
        short = beginning(fact.body, plan.MOST_BODY)
        name = await self._planner.name_of(fact.user)
        mailbox = next((each for each in person.reach if each.device is None), None)
        mail = await self._mails.write(
            Letter(
                type=fact.type,
                title=fact.title,
                body=fact.body,
                url=self._planner.url_of(fact),
                unsubscribe_url=self._links(fact.user, fact.type),
                locale=fact.locale,
                reader=supposed.locale or (mailbox.locale if mailbox else fact.locale),
                about=fact.related_entity_id,
                actor=fact.actor_name,
                recipient=name,
                metadata=bytes(fact.metadata),
            )
        )
        return [
            *(Preview(channel=each, title=fact.title, body=short) for each in ("push", "web_push")),
            Preview(channel="email", title=mail.subject, body=mail.text, html=mail.html),
        ]

    async def _turn(self, policy: Policy, fact: NotificationStored, at: datetime) -> datetime:
        if policy.rate is None or fact.critical:
            return at
        due = await self._db.value(store_throttles.THROTTLE, EVERYBODY, fact.type)
        return plan.slots(policy.rate, max(due or at, at), 1, at)[0]


DECISIONS = {"waiting": "send", "held": "hold", "dropped": "drop"}


def _way(
    channel: str, choice: Choice, person: Person, fact: NotificationStored, at: datetime
) -> Way:
    due = choice.due
    if choice.digest is not None:
        due = plan.closes(choice.digest, fact.user, person.zone, at)
    says = WHY.get(choice.reason or "", choice.reason or "goes out at once")
    if choice.digest is not None:
        says = "gathered into a digest"
    if due is not None and due - at > timedelta(seconds=1):
        says += f", until {due:%Y-%m-%d %H:%M:%S} UTC"
    return Way(
        channel=channel,
        decision=DECISIONS.get(choice.phase, choice.phase),
        says=says[0].upper() + says[1:] + ".",
        reason=choice.reason,
        rule=choice.rule,
        at=due,
        targets=_targets(channel, person),
    )


def _targets(channel: str, person: Person) -> Sequence[str]:
    return [
        f"{WHERE[each.platform]} …{each.address[-6:]}"
        for each in person.reach
        if CHANNEL_OF[each.platform] == channel
    ]
