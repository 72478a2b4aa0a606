"""Notifications: events in, decisions, an inbox per person, and the story of each."""

from pathlib import Path

from nova.feature import Channel, Feature, Job
from nova.features.graph.events import FollowApproved, Followed, FollowRequested
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
from nova.features.notifications.service import Notifications
from nova.features.notifications.store import CHANNEL
from nova.features.posts.events import Commented, Liked, Mentioned
from nova.ports.channels import Retention
from nova.web.actors import User

__all__ = ["Notifications", "plug", "plug_subjects"]

RETENTION = Retention(size=1_000, seconds=86_400.0)
"""Of `user:<id>`: a client that was away for longer fetches its inbox anew."""


def plug(notifications: Notifications) -> Feature:
    return Feature(
        name="notifications",
        routes=routes(notifications),
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
    )


def plug_subjects(notifications: Notifications) -> Feature:
    """Return the listeners to whatever changes what notifications stand on: a reader of their own.

    What they look at is locked for as long as the answers take; nothing else waits for that.
    """
    return Feature(
        name="subjects",
        hears={**notifications.valid.hears(), SubjectsTouched: notifications.reviews.hear},
    )


async def _is_own(user: User, channel: str) -> bool:
    return channel == f"{CHANNEL}{user.id}"
