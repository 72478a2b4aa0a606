"""The app's mail templates and layout in the database, cached, and mails written with them."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs
from structlog import get_logger

from nova.backbone.database import Database
from nova.features.deliveries.mail import store_templates
from nova.features.deliveries.mail.faults import (
    BadMailTemplate,
    NoSuchMailTemplate,
    Place,
    TooManyMailTemplates,
)
from nova.features.deliveries.mail.layout import Layout
from nova.features.deliveries.mail.models import (
    MailLayout,
    MailTemplate,
    TemplateList,
    TemplateOf,
)
from nova.features.deliveries.mail.writing import LAYOUT, Design, Letter, Mail, check
from nova.kernel.clock import Clock

SIGNAL = "mail_templates"
MOST, MOST_BYTES = 500, 65_536
MOST_FAULTS = 100
"""Faults that are told of in the log; each once until something changes."""


_log = get_logger()
_template = msgspec.json.Decoder(MailTemplate)
_layout = msgspec.json.Decoder(MailLayout)


class MailTemplates:
    """Keeps templates, and writes mails. A change is known everywhere once it is signalled."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._own = Design()
        self._known: Design | None = None
        self._forgotten = 0
        self._told: set[tuple[str, str]] = set()

    def forget(self, _payload: str | None) -> None:
        self._known = None
        self._forgotten += 1
        self._told.clear()

    async def design(self) -> Design:
        """Return what the app says of its mails; what cannot be read is told by `write`."""
        if self._known is not None:
            return self._known
        forgotten = self._forgotten
        rows = await self._db.fetch(store_templates.ALL)
        found = Design.stored({row["type"]: row["template"] for row in rows}, _read)
        if forgotten == self._forgotten:
            self._known = found
        return found

    async def write(self, letter: Letter) -> Mail:
        """Write a mail with the app's words and layout; in Nova's own where those fail."""
        return self.written(await self.design(), letter)

    def written(self, design: Design, letter: Letter) -> Mail:
        """Write a mail by a design."""
        if not design.uses_app(letter):
            return self._own.write(letter)
        try:
            return design.write(letter)
        except Exception as wrong:  # noqa: BLE001  # whatever is wrong with a template, the mail goes
            why = str(wrong) or type(wrong).__name__
            name = design.template(letter)
            if (name, why) not in self._told and len(self._told) < MOST_FAULTS:
                self._told.add((name, why))
                _log.warning("mail_template_failed", template=name, type=letter.type, why=why)
            fault = f"Nova's own words were used: the app's mail template '{name}' failed: {why}"
            return structs.replace(self._own.write(letter), fault=fault)

    async def list(self) -> TemplateList:
        templates = (await self.design()).templates
        return TemplateList(
            data=[TemplateOf(type=kind, template=each) for kind, each in sorted(templates.items())]
        )

    async def get(self, kind: str) -> TemplateOf:
        templates = (await self.design()).templates
        if kind not in templates:
            raise NoSuchMailTemplate(f"The app has no mail template '{kind}'.")
        return TemplateOf(type=kind, template=templates[kind])

    async def put(self, kind: str, template: MailTemplate) -> TemplateOf:
        """Set the template of a type, whether or not that is registered yet."""
        check(template)
        text = msgspec.json.encode(template)
        if len(text) > MOST_BYTES:
            says = f"It has {len(text)} bytes, more than {MOST_BYTES}; say less."
            raise BadMailTemplate([Place("templates", says)])
        await self._put(kind, text)
        return TemplateOf(type=kind, template=template)

    async def delete(self, kind: str) -> None:
        """Go back to Nova's own words."""
        if not await self._delete(kind):
            raise NoSuchMailTemplate(f"The app has no mail template '{kind}'.")

    async def layout(self) -> MailLayout:
        return (await self.design()).given

    async def put_layout(self, layout: MailLayout) -> MailLayout:
        Layout(layout)
        await self._put(LAYOUT, msgspec.json.encode(layout))
        return layout

    async def delete_layout(self) -> None:
        """Go back to Nova's own layout; doing so again is fine."""
        await self._delete(LAYOUT)

    async def images(self) -> Mapping[str, str]:
        """Return what the HTML of mails refers to as `cid:…`, as data."""
        return (await self.design()).images()

    async def _put(self, kind: str, text: bytes) -> None:
        async with self._db.transaction() as tx:
            if await tx.value(store_templates.COUNT, kind) >= MOST:
                raise TooManyMailTemplates
            await tx.run(store_templates.PUT, kind, text.decode(), self._clock.now())
            self._changed(tx, kind)

    async def _delete(self, kind: str) -> int:
        async with self._db.transaction() as tx:
            count = await tx.run(store_templates.DELETE, kind)
            self._changed(tx, kind)
        return count

    def _changed(self, tx: Any, kind: str) -> None:
        tx.signal(SIGNAL, kind)
        tx.after_commit(lambda: self.forget(kind))


def _read(name: str, text: str) -> MailTemplate | MailLayout:
    return _layout.decode(text) if name == LAYOUT else _template.decode(text)
