"""Previews of mail templates, and test mails sent to one address."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

import msgspec

from nova.features.deliveries.mail.faults import TooManyTrials
from nova.features.deliveries.mail.models import (
    DIGEST,
    Drafted,
    MailPreview,
    MailTrial,
    Tried,
)
from nova.features.deliveries.mail.templates import MailTemplates
from nova.features.deliveries.mail.writing import Design, Letter, Mail, check
from nova.features.deliveries.rendering import link
from nova.kernel.clock import Clock
from nova.kernel.ids import new_id
from nova.ports.carriers import Carrier, Parcel, Target
from nova.web.limits import LocalLimits

TRIALS_AT_ONCE, TRIALS_PER_S = 20, 0.5
WORTH_S = 600.0
_OTHERS = ("Ada Lovelace likes your post", "Grace Hopper follows you", "Alan Turing mentioned you")


class Titles(Protocol):
    """What notifications of a type say."""

    async def sample(
        self, kind: str, locale: str, actor: str, metadata: Mapping[str, object]
    ) -> tuple[str, str, str] | None:
        """Return locale, title and body of one; None for a type that nobody knows."""


class Samples:
    """Writes mails about notifications that nobody got."""

    def __init__(
        self,
        templates: MailTemplates,
        clock: Clock,
        titles: Titles,
        *,
        carrier: Carrier,
        catcher: Carrier,
        schemes: frozenset[str],
        link_of: str,
    ) -> None:
        """`carrier` sends mail; `catcher` keeps it here; `link_of` is where links begin."""
        self._templates = templates
        self._clock = clock
        self._titles = titles
        self._carrier = carrier
        self._catcher = catcher
        self._schemes = schemes
        self._link = f"{link_of.rstrip('/')}/v1/unsubscribe/sample" if link_of else None
        self._limits = LocalLimits()

    async def preview(self, kind: str, drafted: Drafted) -> MailPreview:
        """Return a mail as its reader would see it. Raises BadMailTemplate for a bad draft."""
        design, letter, mail = await self._written(kind, drafted)
        html = mail.html
        for cid, data in design.images().items():
            html = html.replace(cid, data)
        return MailPreview(
            subject=mail.subject,
            text=mail.text,
            html=html,
            locale=mail.locale,
            dir=mail.way,
            template=mail.template,
            locales=design.locales(design.template(letter)),
            fault=mail.fault,
        )

    async def send(self, kind: str, trial: MailTrial) -> Tried:
        """Send a mail to one address, or to the catcher alone. Raises BadMailTemplate."""
        wait_s = await self._limits.take("trials", "", per_s=TRIALS_PER_S, burst=TRIALS_AT_ONCE)
        if wait_s > 0:
            raise TooManyTrials(retry_after=wait_s)
        _, letter, mail = await self._written(kind, trial)
        id_ = new_id()
        parcel = Parcel(
            id=id_,
            target=Target(None, "mail", trial.to or "nobody@localhost"),
            title=mail.subject,
            body=mail.text,
            html=mail.html,
            url=letter.url,
            data={"type": kind, "test": "true"},
            collapse_id=id_.hex,
            urgent=False,
            expires_at=self._clock.now() + timedelta(seconds=WORTH_S),
            locale=mail.locale,
            unsubscribe_url=letter.unsubscribe_url,
            badge=None,
            image=mail.image,
        )
        carrier = self._catcher if trial.to is None else self._carrier
        outcome = await carrier.send(parcel)
        return Tried(
            verdict=outcome.verdict.value,
            code=outcome.code,
            text=outcome.text,
            carrier=carrier.name,
            subject=mail.subject,
            fault=mail.fault,
        )

    async def _written(self, kind: str, drafted: Drafted) -> tuple[Design, Letter, Mail]:
        design = await self._templates.design()
        letter = await self._letter(kind, drafted)
        if drafted.template is None and drafted.layout is None:
            return design, letter, self._templates.written(design, letter)
        templates = dict(design.templates)
        if drafted.template is not None:
            check(drafted.template)
            templates[kind] = drafted.template
        design = Design(drafted.layout or design.given, templates)
        return design, letter, design.write(letter)

    async def _letter(self, kind: str, drafted: Drafted) -> Letter:
        sample = drafted.sample
        is_many = kind == DIGEST
        known = await self._titles.sample(kind, drafted.locale, sample.actor, sample.metadata)
        locale, title, body = known or ("en", _OTHERS[0], "That light! Where did you stand?")
        if is_many:
            title, body = f"{sample.count} new notifications", "\n".join(_OTHERS)
        return Letter(
            type=kind,
            title=title if sample.title is None else sample.title,
            body=body if sample.body is None else sample.body,
            url=link({"url": sample.url}, self._schemes),
            unsubscribe_url=self._link,
            locale=locale,
            reader=drafted.locale,
            is_many=is_many,
            count=sample.count if is_many else 1,
            about="post-1",
            actor=sample.actor,
            recipient=sample.recipient,
            metadata=msgspec.json.encode(sample.metadata),
        )
