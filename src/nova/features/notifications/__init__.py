"""Notifications: events in, decisions, an inbox per person, and the story of each."""

from pathlib import Path

from nova.feature import Channel, Feature, Group, Job, Signal
from nova.features.graph.events import FollowApproved, Followed, FollowRequested
from nova.features.notifications import preferences, types
from nova.features.notifications.api import rpcs
from nova.features.notifications.events import (
    EventAccepted,
    NotificationEdited,
    NotificationsMarked,
    NotificationsRemoved,
    NotificationStored,
    SubjectsTouched,
)
from nova.features.notifications.pipeline import is_plain
from nova.features.notifications.routes import routes
from nova.features.notifications.service import Knobs, Notifications, Others
from nova.features.notifications.store import CHANNEL
from nova.features.posts.events import Commented, Liked, Mentioned
from nova.ports.channels import Retention
from nova.web.actors import User

__all__ = ["Knobs", "Notifications", "Others", "plug"]

RETENTION = Retention(size=1_000, seconds=86_400.0)
"""Of `user:<id>`: a client that was away for longer fetches its inbox anew."""


def plug(notifications: Notifications) -> Feature:
    return Feature(
        name="notifications",
        routes=routes(notifications),
        groups=_groups(notifications),
        signals=(
            Signal(preferences.SIGNAL, notifications.preferences.forget),
            Signal(types.SIGNAL, notifications.types.forget),
        ),
        facts=(
            EventAccepted,
            NotificationStored,
            NotificationEdited,
            NotificationsMarked,
            NotificationsRemoved,
            SubjectsTouched,
        ),
        channels=(
            Channel(
                name=CHANNEL.removesuffix(":"),
                may_subscribe=_is_own,
                retention=RETENTION,
                at_connect=lambda user: (f"{CHANNEL}{user.id}",),
                of_users=True,
            ),
        ),
        rpcs=rpcs(notifications),
        jobs=(
            Job("notifications.expire", 60.0, notifications.expire),
            Job("notifications.forget", 3_600.0, notifications.forget),
        ),
        schema=Path(__file__).with_name("schema"),
        lighten=notifications.lighten,
        erase=notifications.erase,
        scrubs=(
            notifications.erasing.inbox,
            notifications.erasing.gathered,
            notifications.erasing.suppressed,
        ),
        export=notifications.export,
        close=(notifications.close,),
    )


def _groups(notifications: Notifications) -> tuple[Group, ...]:
    """Return what makes notifications, and what hears of changes to what they stand on.

    What the second one looks at is locked for as long as the answers take; the first one does not
    wait for that.
    """
    return (
        Group(
            name="notifications",
            hears={
                EventAccepted: notifications.pipeline.hear,
                Followed: notifications.social.hear,
                FollowRequested: notifications.social.hear,
                FollowApproved: notifications.social.hear,
                Liked: notifications.post_rings.hear,
                Commented: notifications.post_rings.hear,
                Mentioned: notifications.post_rings.hear,
            },
            directly={EventAccepted: is_plain},
        ),
        Group(
            name="subjects",
            hears={**notifications.valid.hears(), SubjectsTouched: notifications.reviews.hear},
        ),
    )


async def _is_own(user: User, channel: str) -> bool:
    return channel == f"{CHANNEL}{user.id}"
