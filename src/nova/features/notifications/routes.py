"""The table of routes of notifications."""

from collections.abc import Sequence
from typing import Any

from nova.backbone.dead_letters import DeadLetter
from nova.features.notifications.api import (
    EVENTS_BODY,
    Events,
    Handlers,
    Letters,
    Listed,
    Replayed,
    Type,
    Whose,
)
from nova.features.notifications.catalogue import Kind
from nova.features.notifications.models import (
    Changes,
    Choices,
    CloudEvent,
    Counts,
    Event,
    Marked,
    Marking,
    Notification,
    Preferences,
    Results,
    Story,
)
from nova.features.notifications.service import Notifications
from nova.features.notifications.watching import Funnel, Stretch, Tail, Told
from nova.web.actors import Rule
from nova.web.routes import Paged, Route


def routes(notifications: Notifications) -> Sequence[Route]:
    do = Handlers(notifications)
    return (*_events(do), *_inbox(do), *_preferences(do), *_types(do), *_letters(do))


def _events(do: Handlers) -> Sequence[Route]:
    return (
        Route(
            method="POST",
            path="/v1/events",
            rule=Rule.SERVER,
            handler=do.events,
            summary="Accept events that become notifications",
            description=(
                "Accepted means durable. The same `id` again is a duplicate, answered with the "
                "same notification, and does nothing; with another body it is a conflict. In a "
                "list each event has its own result, in order; a lone event's refusal is the "
                "answer itself."
            ),
            body=Events,
            refers_to=(Event, CloudEvent),
            each="events",
            returns=Results,
            status=202,
            max_body=EVENTS_BODY,
        ),
        Route(
            method="GET",
            path="/v1/events",
            rule=Rule.SERVER,
            handler=do.tail,
            summary="List the newest events, with what became of each",
            query=Tail,
            returns=Paged[Told],
        ),
        Route(
            method="GET",
            path="/v1/events/funnel",
            rule=Rule.SERVER,
            handler=do.funnel,
            summary="Count how far the events of the last hours came in the app",
            query=Stretch,
            returns=Funnel,
        ),
        Route(
            method="DELETE",
            path="/v1/events/{id}",
            rule=Rule.SERVER,
            handler=do.retract,
            summary="Take an event back, as after an unlike",
            description=(
                "What it caused leaves the inbox, open digests and queues; a push that is out "
                "already is recalled by its collapse id."
            ),
            status=204,
        ),
        Route(
            method="GET",
            path="/v1/events/{id}/trace",
            rule=Rule.SERVER,
            handler=do.event_trace,
            summary="Tell what became of an event, and why",
            description=(
                "The story has each step with its time, the rule that decided, and every delivery."
            ),
            returns=Story,
        ),
    )


def _inbox(do: Handlers) -> Sequence[Route]:
    base = "/v1/notifications"
    return (
        _get(base, do.listed, "List notifications, newest first", Listed, Paged[Notification]),
        _get(f"{base}/counts", do.counts, "Count unseen and unread ones", Whose, Counts),
        Route(
            method="POST",
            path=f"{base}/marks",
            rule=Rule.EITHER,
            handler=do.mark,
            summary="Mark several notifications: those named, up to one, or all",
            description=(
                "Give exactly one of `ids`, `up_to` and `all`. With a server key, `user` says "
                "whose inbox."
            ),
            body=Marking,
            example={"mark": "read", "all": True},
            query=Whose,
            returns=Marked,
        ),
        _get(f"{base}/{{id}}", do.one, "Return a notification", Whose, Notification),
        Route(
            method="DELETE",
            path=f"{base}/{{id}}",
            rule=Rule.EITHER,
            handler=do.delete,
            summary="Delete a notification",
            description=(
                "The counts change with it, and open sockets hear of it. With a server key, "
                "`user` says whose inbox."
            ),
            query=Whose,
            status=204,
        ),
        Route(
            method="POST",
            path=f"{base}/{{id}}/{{mark}}",
            rule=Rule.EITHER,
            handler=do.mark_one,
            summary="Mark a notification: seen, read, unread, archive or unarchive",
            description=(
                "The counts change with it, and open sockets hear of it. With a server key, "
                "`user` says whose inbox."
            ),
            query=Whose,
            returns=Marked,
        ),
        Route(
            method="GET",
            path=f"{base}/{{id}}/trace",
            rule=Rule.EITHER,
            handler=do.trace,
            summary="Tell why a notification was sent, or was not",
            returns=Story,
        ),
    )


def _get(path: str, handler: Any, summary: str, query: Any, returns: Any) -> Route:
    return Route(
        method="GET",
        path=path,
        rule=Rule.EITHER,
        handler=handler,
        summary=summary,
        query=query,
        returns=returns,
    )


def _preferences(do: Handlers) -> Sequence[Route]:
    found = []
    for path, rule in (
        ("/v1/preferences", Rule.USER),
        ("/v1/users/{user}/preferences", Rule.SELF),
    ):
        found += [
            Route(
                method="GET",
                path=path,
                rule=rule,
                handler=do.preferences,
                summary="Return preferences, and what follows from them",
                returns=Preferences,
            ),
            Route(
                method="PUT",
                path=path,
                rule=rule,
                handler=do.put_preferences,
                summary="Replace preferences",
                description="The most particular choice decides. Critical types ignore choices.",
                body=Choices,
                returns=Preferences,
            ),
            Route(
                method="PATCH",
                path=path,
                rule=rule,
                handler=do.patch_preferences,
                summary="Change some preferences; null follows the defaults again",
                body=Changes,
                returns=Preferences,
            ),
        ]
    return found


def _types(do: Handlers) -> Sequence[Route]:
    base = "/v1/notification-types"
    return (
        Route(
            method="GET",
            path=base,
            rule=Rule.EITHER,
            handler=do.types,
            summary="List the types of notifications",
            returns=list[Type],
        ),
        Route(
            method="GET",
            path=f"{base}/{{name}}",
            rule=Rule.EITHER,
            handler=do.type,
            summary="Return a type with its templates",
            returns=Type,
        ),
        Route(
            method="PUT",
            path=f"{base}/{{name}}",
            rule=Rule.SERVER,
            handler=do.put_type,
            summary="Register a type with its templates, or replace it",
            description=(
                "Templates may hold `{actor.name}`, `{recipient.name}`, `{others}` and "
                "`{metadata.<key>}`. One that cannot be read is refused, with the place in it."
            ),
            body=Kind,
            returns=Type,
        ),
        Route(
            method="DELETE",
            path=f"{base}/{{name}}",
            rule=Rule.SERVER,
            handler=do.delete_type,
            summary="Remove a registered type; a built-in one is as it was at first",
            status=204,
        ),
    )


def _letters(do: Handlers) -> Sequence[Route]:
    return (
        Route(
            method="GET",
            path="/v1/dead-letters",
            rule=Rule.SERVER,
            handler=do.letters,
            summary="List what could not be handled, with the error",
            query=Letters,
            returns=Paged[DeadLetter],
        ),
        Route(
            method="POST",
            path="/v1/dead-letters/{id}/replay",
            rule=Rule.SERVER,
            handler=do.replay,
            summary="Hand a dead letter to its consumer again",
            returns=Replayed,
        ),
    )
