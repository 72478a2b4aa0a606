"""The table of routes of deliveries."""

from collections.abc import Sequence

from nova.features.deliveries.api import (
    LaneStates,
    LogHandlers,
    MailTemplateHandlers,
    PolicyHandlers,
    PolicyOf,
    QuietHandlers,
    Resume,
    WebhookHandlers,
)
from nova.features.deliveries.explain import Explained, Supposed
from nova.features.deliveries.funnel import DeliveryFunnel, Lately
from nova.features.deliveries.mail.models import (
    LAYOUT_EXAMPLE,
    SAMPLE_EXAMPLE,
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
    Delivery,
    Detail,
    Receipt,
    Redrive,
    Redriven,
    Rendereds,
    Seek,
    Which,
)
from nova.features.deliveries.policies import Policy
from nova.features.deliveries.quiet import Schedule
from nova.features.deliveries.quiet_hours import QuietHours, Trial
from nova.features.deliveries.service import Deliveries
from nova.features.deliveries.unsubscribe import PATH
from nova.features.deliveries.webhooks import (
    CreatedWebhook,
    NewWebhook,
    Webhook,
    WebhookChange,
    WebhookList,
)
from nova.web.actors import Rule
from nova.web.routes import Limit, Paged, Route

CLICKS = Limit("unsubscribe", per_s=5, burst=50, of_failures=True)
"""Mail providers click for all of their people from few addresses: only wrong links count."""


def routes(deliveries: Deliveries) -> Sequence[Route]:
    log = LogHandlers(deliveries)
    return (
        *_log(log),
        *_lanes(log),
        *_quiet(QuietHandlers(deliveries)),
        *_policies(PolicyHandlers(deliveries)),
        *_mail_templates(MailTemplateHandlers(deliveries)),
        *_explain(log),
        *_webhooks(WebhookHandlers(deliveries)),
        *_unsubscribe(log),
    )


def _log(do: LogHandlers) -> Sequence[Route]:
    base = "/v1/deliveries"
    return (
        Route(
            method="GET",
            path=base,
            rule=Rule.SERVER,
            handler=do.listed,
            summary="List deliveries, newest first",
            query=Which,
            returns=Paged[Delivery],
        ),
        Route(
            method="POST",
            path=f"{base}/redrive",
            rule=Rule.SERVER,
            handler=do.redrive,
            summary="Try dead letters again, by filter",
            body=Redrive,
            returns=Redriven,
        ),
        Route(
            method="GET",
            path=f"{base}/funnel",
            rule=Rule.SERVER,
            handler=do.funnel,
            summary="Count how far the deliveries of the last hours came, by channel",
            query=Lately,
            returns=DeliveryFunnel,
        ),
        Route(
            method="GET",
            path=f"{base}/{{id}}",
            rule=Rule.SERVER,
            handler=do.one,
            summary="Return a delivery with every attempt",
            returns=Detail,
        ),
        Route(
            method="POST",
            path=f"{base}/{{id}}/redrive",
            rule=Rule.SERVER,
            handler=do.redrive_one,
            summary="Try a dead letter again",
            returns=Redriven,
        ),
        Route(
            method="POST",
            path=f"{base}/{{id}}/receipt",
            rule=Rule.EITHER,
            handler=do.receipt,
            summary="Say that a push came, or was opened",
            description="The delivery's id comes with the push, as `delivery`.",
            body=Receipt,
            status=204,
        ),
        Route(
            method="GET",
            path="/v1/outbox",
            rule=Rule.SERVER,
            handler=do.outbox,
            summary="List the newest push and mail that the sink took, as they were rendered",
            query=Seek,
            returns=Rendereds,
        ),
    )


def _lanes(do: LogHandlers) -> Sequence[Route]:
    return (
        Route(
            method="GET",
            path="/v1/delivery-lanes",
            rule=Rule.SERVER,
            handler=do.lanes,
            summary="Tell how every lane does: ios, android, web and mail",
            returns=LaneStates,
        ),
        Route(
            method="POST",
            path="/v1/delivery-lanes/{lane}/resume",
            rule=Rule.SERVER,
            handler=do.resume,
            summary="End a lane's pause, and decide about addresses called dead meanwhile",
            body=Resume,
            returns=LaneStates,
        ),
    )


def _quiet(do: QuietHandlers) -> Sequence[Route]:
    found: list[Route] = []
    for path, rule in (
        ("/v1/quiet-hours", Rule.USER),
        ("/v1/users/{user}/quiet-hours", Rule.SELF),
    ):
        found += [
            Route(
                method="GET",
                path=path,
                rule=rule,
                handler=do.quiet,
                summary="Return quiet hours, and what they mean for the next day",
                returns=QuietHours,
            ),
            Route(
                method="PUT",
                path=path,
                rule=rule,
                handler=do.put_quiet,
                summary="Replace quiet hours",
                description="Hours are in the user's time zone. Critical types go out anyway.",
                body=Schedule,
                returns=QuietHours,
            ),
            Route(
                method="DELETE",
                path=path,
                rule=rule,
                handler=do.delete_quiet,
                summary="Have no quiet hours",
                status=204,
            ),
            Route(
                method="POST",
                path=f"{path}/simulate",
                rule=rule,
                handler=do.simulate,
                summary="Try quiet hours out, at any time; nothing is changed",
                body=Trial,
                returns=QuietHours,
            ),
        ]
    return found


def _policies(do: PolicyHandlers) -> Sequence[Route]:
    base = "/v1/delivery-policies"
    return (
        Route(
            method="GET",
            path=base,
            rule=Rule.SERVER,
            handler=do.policies,
            summary="List how deliveries of each type go about",
            returns=list[PolicyOf],
        ),
        Route(
            method="PUT",
            path=f"{base}/{{type}}",
            rule=Rule.SERVER,
            handler=do.put_policy,
            summary="Set a type's urgency, throttle, digests and escalation",
            description=(
                "Types of your own go out at once in every channel until you say otherwise."
            ),
            body=Policy,
            returns=PolicyOf,
        ),
        Route(
            method="DELETE",
            path=f"{base}/{{type}}",
            rule=Rule.SERVER,
            handler=do.delete_policy,
            summary="Go back to the built-in policy of a type",
            status=204,
        ),
    )


def _mail_templates(do: MailTemplateHandlers) -> Sequence[Route]:
    base, layout = "/v1/mail-templates", "/v1/mail-layout"
    return (
        Route(
            method="GET",
            path=base,
            rule=Rule.SERVER,
            handler=do.mail_templates,
            summary="List the app's mail templates",
            returns=TemplateList,
        ),
        Route(
            method="GET",
            path=f"{base}/{{type}}",
            rule=Rule.SERVER,
            handler=do.mail_template,
            summary="Return the mail template of a type",
            returns=TemplateOf,
        ),
        Route(
            method="PUT",
            path=f"{base}/{{type}}",
            rule=Rule.SERVER,
            handler=do.put_mail_template,
            summary="Set the words of a type's mails, in each language",
            description=(
                "The type is one of notifications, `default` for all that have none of their own, "
                "or `digest` for mails that tell of several. A template is refused with everything "
                "that is wrong with it."
            ),
            body=MailTemplate,
            returns=TemplateOf,
        ),
        Route(
            method="DELETE",
            path=f"{base}/{{type}}",
            rule=Rule.SERVER,
            handler=do.delete_mail_template,
            summary="Go back to Nova's own words",
            status=204,
        ),
        Route(
            method="POST",
            path=f"{base}/{{type}}/preview",
            rule=Rule.SERVER,
            handler=do.preview_mail,
            summary="Show a mail as its reader would see it; nothing is changed or sent",
            description="A template or layout in the body is tried out without being stored.",
            body=Drafted,
            example=SAMPLE_EXAMPLE,
            returns=MailPreview,
        ),
        Route(
            method="POST",
            path=f"{base}/{{type}}/test",
            rule=Rule.SERVER,
            handler=do.test_mail,
            summary="Send a mail to one address, or to the mail catcher, to try a template",
            description="Up to 20 at once, and then one every two seconds.",
            body=MailTrial,
            example=SAMPLE_EXAMPLE,
            returns=Tried,
        ),
        Route(
            method="GET",
            path=layout,
            rule=Rule.SERVER,
            handler=do.mail_layout,
            summary="Return what all mails have in common",
            returns=MailLayout,
        ),
        Route(
            method="PUT",
            path=layout,
            rule=Rule.SERVER,
            handler=do.put_mail_layout,
            summary="Set name, logo, colours, footer and HTML of all mails",
            description="A layout is refused with everything that is wrong with it.",
            body=MailLayout,
            example=LAYOUT_EXAMPLE,
            returns=MailLayout,
        ),
        Route(
            method="DELETE",
            path=layout,
            rule=Rule.SERVER,
            handler=do.delete_mail_layout,
            summary="Go back to Nova's own layout",
            status=204,
        ),
    )


def _webhooks(do: WebhookHandlers) -> Sequence[Route]:
    base = "/v1/webhooks"
    return (
        Route(
            method="GET",
            path=base,
            rule=Rule.SERVER,
            handler=do.webhooks,
            summary="List webhooks",
            description="Their calls and attempts: GET /v1/deliveries?webhook={id}.",
            returns=WebhookList,
        ),
        Route(
            method="POST",
            path=base,
            rule=Rule.SERVER,
            handler=do.add_webhook,
            summary="Add an address that is told of deliveries, signed as Standard Webhooks says",
            body=NewWebhook,
            returns=CreatedWebhook,
            status=201,
            secret=True,
        ),
        Route(
            method="PATCH",
            path=f"{base}/{{webhook}}",
            rule=Rule.SERVER,
            handler=do.change_webhook,
            summary="Change a webhook's address or events",
            description="Its secret stays, and calls that wait go to the new address at once.",
            body=WebhookChange,
            example={"url": "https://example.com/nova", "events": ["delivery.dead"]},
            returns=Webhook,
        ),
        Route(
            method="DELETE",
            path=f"{base}/{{webhook}}",
            rule=Rule.SERVER,
            handler=do.remove_webhook,
            summary="Remove a webhook; its waiting calls are dropped",
            status=204,
        ),
        Route(
            method="POST",
            path=f"{base}/{{webhook}}/enable",
            rule=Rule.SERVER,
            handler=do.enable_webhook,
            summary="Tell a webhook again that was disabled by its own 410",
            returns=Webhook,
        ),
        Route(
            method="POST",
            path=f"{base}/{{webhook}}/test",
            rule=Rule.SERVER,
            handler=do.test_webhook,
            summary="Send a webhook something that means nothing",
            returns=Detail,
            status=202,
        ),
    )


def _explain(do: LogHandlers) -> Sequence[Route]:
    return (
        Route(
            method="POST",
            path="/v1/notifications/explain",
            rule=Rule.SERVER,
            handler=do.explain,
            summary="Tell what would become of an event, channel by channel; nothing is done",
            description=(
                "Takes the fields of an event, and with `at` another time than now. `previews` "
                "are what push and mail would show."
            ),
            body=Supposed,
            returns=Explained,
        ),
    )


def _unsubscribe(do: LogHandlers) -> Sequence[Route]:
    return (
        Route(
            method="GET",
            path=f"{PATH}{{token}}",
            rule=Rule.PUBLIC,
            handler=do.unsubscribe_page,
            summary="Show a button that unsubscribes; nothing is changed",
            limit=CLICKS,
        ),
        Route(
            method="POST",
            path=f"{PATH}{{token}}",
            rule=Rule.PUBLIC,
            handler=do.unsubscribe,
            summary="End mail of a type with one click (RFC 8058)",
            limit=CLICKS,
        ),
    )
