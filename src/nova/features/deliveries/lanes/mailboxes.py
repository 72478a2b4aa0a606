"""The mail lane: renders each mail with the app's templates, and limits mails per recipient."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import structs

from nova.features.deliveries.asks import People
from nova.features.deliveries.lanes.mail_bound import MailBound
from nova.features.deliveries.lanes.platforms import Claims, Platform, PlatformLane
from nova.features.deliveries.mail.templates import MailTemplates
from nova.features.deliveries.mail.writing import NOVA, Letter
from nova.features.deliveries.models import Claimed
from nova.features.deliveries.store import Noted
from nova.kernel.errors import Unavailable
from nova.ports.carriers import Carrier, Outcome, Verdict


class MailLane(PlatformLane):
    """Sends mails, the words of which are put together at the last moment."""

    def __init__(
        self,
        platform: Platform,
        carrier: Carrier,
        *,
        mails: MailTemplates,
        people: People,
        links: Callable[[UUID, str], str | None],
        bound: MailBound,
        **rest: Any,
    ) -> None:
        """`links` makes the address that unsubscribes a user from a type's mail."""
        super().__init__(platform, carrier, **rest)
        self._mails = mails
        self._people = people
        self._links = links
        self._bound = bound

    async def _sifted(self, claimed: Claims) -> tuple[Claims, list[Noted]]:
        to_send, not_tried = await super()._sifted(claimed)
        return await self._bound.passed(to_send), not_tried

    async def _unread(self, claimed: Sequence[Claimed]) -> Mapping[UUID, int]:
        del claimed
        return {}

    async def _out(self, one: Claimed, badge: int | None) -> Outcome:
        try:
            letter = await self._letter(one)
            mail = await self._mails.write(letter)
        except Unavailable as away:
            return Outcome(Verdict.RETRY, "4.3.0", f"Not written: {away}", None, None, None)
        parcel = structs.replace(
            self._parcel(one, badge),
            title=mail.subject,
            body=mail.text,
            html=mail.html,
            locale=mail.locale,
            unsubscribe_url=letter.unsubscribe_url,
            image=mail.image,
        )
        outcome = await self.carrier.send(parcel)
        if mail.fault is None:
            return outcome
        return structs.replace(outcome, text=f"{outcome.text} {mail.fault}")

    async def _letter(self, one: Claimed) -> Letter:
        letter = Letter(
            type=one.type,
            title=one.title,
            body=one.body,
            url=one.url,
            unsubscribe_url=self._links(one.user, one.type),
            locale=one.locale,
            reader=one.reader,
            is_many=one.kind == "digest" or one.summary,
            count=one.count,
            about=one.about,
            actor=one.actor_name,
            metadata=one.metadata,
        )
        if (await self._mails.design()).template(letter) == NOVA:
            return letter
        profiles = await self._people.profiles([one.user])
        name = profiles[one.user].name if one.user in profiles else None
        return structs.replace(letter, recipient=name)
