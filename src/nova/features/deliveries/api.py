"""The routes of deliveries: parse and answer; nothing is decided here."""

from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from nova.features.deliveries.delivery_log import NoSuchDelivery
from nova.features.deliveries.explain import Explained, Supposed
from nova.features.deliveries.funnel import DeliveryFunnel, Lately
from nova.features.deliveries.mail.models import (
    Drafted,
    MailLayout,
    MailPreview,
    MailTemplate,
    MailTrial,
    TemplateList,
    TemplateOf,
    Tried,
)
from nova.features.deliveries.models import (
    Detail,
    LaneState,
    Receipt,
    Redrive,
    Redriven,
    Rendereds,
    Seek,
    Which,
)
from nova.features.deliveries.policies import BUILT_IN, Policy
from nova.features.deliveries.quiet import Schedule
from nova.features.deliveries.quiet_hours import QuietHours, Trial
from nova.features.deliveries.service import Deliveries
from nova.features.deliveries.webhooks import (
    CreatedWebhook,
    NewWebhook,
    NoSuchWebhook,
    Webhook,
    WebhookChange,
    WebhookList,
)
from nova.kernel.errors import BadTypeName, NoSuchUser
from nova.kernel.text import Name, Slug
from nova.web.actors import User
from nova.web.routes import Call, Html, Paged


class Resume(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do about addresses that were called dead while purging was paused."""

    suspects: Literal["bury", "forgive"]
    """`bury` removes them; `forgive` keeps them."""


class PolicyOf(Struct, frozen=True, kw_only=True):
    """The policy of a type."""

    type: str
    """The type of notification, or `default`."""
    policy: Policy
    """How its deliveries go about."""
    changed: bool
    """Whether it is not, or no longer, the built-in policy; DELETE goes back to that."""


class LaneStates(Struct, frozen=True):
    """Every lane."""

    data: list[LaneState]
    """One row for each provider's queue."""


class LogHandlers:
    """Answers about deliveries and their queues."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._all = deliveries

    async def _named(self, reference: Name | None) -> UUID | None:
        if reference is None:
            return None
        found = await self._all.people.resolve([reference])
        if reference not in found:
            raise NoSuchUser
        return found[reference]

    async def listed(self, call: Call[Any, Which]) -> Paged[Any]:
        return await self._all.log.page(call.query, await self._named(call.query.user))

    async def funnel(self, call: Call[Any, Lately]) -> DeliveryFunnel:
        return await self._all.log.funnel(call.query.hours)

    async def one(self, call: Call[Any, Any]) -> Detail:
        return await self._all.log.one(call.id_of("id", NoSuchDelivery))

    async def redrive_one(self, call: Call[Any, Any]) -> Redriven:
        return await self._all.log.redrive_one(call.id_of("id", NoSuchDelivery))

    async def redrive(self, call: Call[Redrive, Any]) -> Redriven:
        return await self._all.log.redrive(call.body, await self._named(call.body.user))

    async def receipt(self, call: Call[Receipt, Any]) -> None:
        user = call.actor.id if isinstance(call.actor, User) else None
        await self._all.log.receipt(call.id_of("id", NoSuchDelivery), user, call.body.status)

    async def lanes(self, _call: Call[Any, Any]) -> LaneStates:
        return LaneStates(await self._all.states())

    async def resume(self, call: Call[Resume, Any]) -> LaneStates:
        await self._all.resume(call.path["lane"], call.body.suspects)
        return LaneStates(await self._all.states())

    async def outbox(self, call: Call[Any, Seek]) -> Rendereds:
        query = call.query
        return await self._all.log.outbox(await self._named(query.user), query.limit, query.lane)

    async def explain(self, call: Call[Supposed, Any]) -> Explained:
        return await self._all.explainer.explain(call.body)

    async def unsubscribe_page(self, call: Call[Any, Any]) -> Html:
        return Html(self._all.unsubscribe.page(call.path["token"]))

    async def unsubscribe(self, call: Call[Any, Any]) -> Html:
        return Html(await self._all.unsubscribe.obey(call.path["token"]))


class QuietHandlers:
    """Answers about quiet hours."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._all = deliveries

    async def quiet(self, call: Call[Any, Any]) -> QuietHours:
        return await self._all.quiet.get(call.subject())

    async def put_quiet(self, call: Call[Schedule, Any]) -> QuietHours:
        return await self._all.quiet.put(call.subject(), call.body)

    async def delete_quiet(self, call: Call[Any, Any]) -> None:
        await self._all.quiet.remove(call.subject())

    async def simulate(self, call: Call[Trial, Any]) -> QuietHours:
        return await self._all.quiet.simulate(call.subject(), call.body)


class PolicyHandlers:
    """Answers about delivery policies."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._all = deliveries

    async def policies(self, _call: Call[Any, Any]) -> list[PolicyOf]:
        known = await self._all.policies.known()
        return [_policy(kind, policy) for kind, policy in sorted(known.items())]

    async def put_policy(self, call: Call[Policy, Any]) -> PolicyOf:
        kind = _type(call)
        return _policy(kind, await self._all.policies.put(kind, call.body))

    async def delete_policy(self, call: Call[Any, Any]) -> None:
        await self._all.policies.delete(_type(call))


class MailTemplateHandlers:
    """Answers about templates and the layout of mails."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._all = deliveries

    async def mail_templates(self, _call: Call[Any, Any]) -> TemplateList:
        return await self._all.mails.list()

    async def mail_template(self, call: Call[Any, Any]) -> TemplateOf:
        return await self._all.mails.get(_type(call))

    async def put_mail_template(self, call: Call[MailTemplate, Any]) -> TemplateOf:
        return await self._all.mails.put(_type(call), call.body)

    async def delete_mail_template(self, call: Call[Any, Any]) -> None:
        await self._all.mails.delete(_type(call))

    async def preview_mail(self, call: Call[Drafted, Any]) -> MailPreview:
        return await self._all.samples.preview(_type(call), call.body)

    async def test_mail(self, call: Call[MailTrial, Any]) -> Tried:
        return await self._all.samples.send(_type(call), call.body)

    async def mail_layout(self, _call: Call[Any, Any]) -> MailLayout:
        return await self._all.mails.layout()

    async def put_mail_layout(self, call: Call[MailLayout, Any]) -> MailLayout:
        return await self._all.mails.put_layout(call.body)

    async def delete_mail_layout(self, _call: Call[Any, Any]) -> None:
        await self._all.mails.delete_layout()


class WebhookHandlers:
    """Answers about webhooks."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._all = deliveries

    async def webhooks(self, _call: Call[Any, Any]) -> WebhookList:
        return await self._all.webhooks.list()

    async def add_webhook(self, call: Call[NewWebhook, Any]) -> CreatedWebhook:
        return await self._all.webhooks.add(call.body)

    async def change_webhook(self, call: Call[WebhookChange, Any]) -> Webhook:
        return await self._all.webhooks.change(call.id_of("webhook", NoSuchWebhook), call.body)

    async def remove_webhook(self, call: Call[Any, Any]) -> None:
        await self._all.webhooks.remove(call.id_of("webhook", NoSuchWebhook))

    async def enable_webhook(self, call: Call[Any, Any]) -> Webhook:
        return await self._all.webhooks.enable(call.id_of("webhook", NoSuchWebhook))

    async def test_webhook(self, call: Call[Any, Any]) -> Detail:
        return await self._all.log.one(
            await self._all.webhooks.test(call.id_of("webhook", NoSuchWebhook))
        )


def _policy(kind: str, policy: Policy) -> PolicyOf:
    return PolicyOf(type=kind, policy=policy, changed=policy != BUILT_IN.get(kind))


def _type(call: Call[Any, Any]) -> str:
    try:
        name: str = msgspec.convert(call.path["type"], Slug)
    except msgspec.ValidationError:
        raise BadTypeName from None
    return name
