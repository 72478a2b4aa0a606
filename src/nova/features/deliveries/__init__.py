"""Deliveries: notifications on their way to devices and mailboxes, and the log of it."""

from pathlib import Path

from nova.feature import Feature, Group, Health, Job, Signal, Turn
from nova.features.deliveries import policies, quiet_hours, webhooks
from nova.features.deliveries.asks import Ask, Dead
from nova.features.deliveries.events import ActorMuted, DeliveryEnded
from nova.features.deliveries.lanes.lane import Pacing
from nova.features.deliveries.mail import templates as mail_templates
from nova.features.deliveries.models import LANES
from nova.features.deliveries.routes import routes
from nova.features.deliveries.service import Deliveries, Knobs, Notified, Reached, Ways
from nova.features.deliveries.tale import Tale
from nova.features.deliveries.throttles import Bounds
from nova.features.graph.events import Muted
from nova.features.notifications.events import (
    NotificationEdited,
    NotificationsMarked,
    NotificationsRemoved,
    NotificationStored,
)

__all__ = [
    "LANES",
    "Ask",
    "Bounds",
    "Dead",
    "Deliveries",
    "Knobs",
    "Notified",
    "Pacing",
    "Reached",
    "Tale",
    "Ways",
    "plug",
]


def plug(deliveries: Deliveries) -> Feature:
    planner, erasing = deliveries.planner, deliveries.erasing
    return Feature(
        name="deliveries",
        routes=routes(deliveries),
        groups=(
            Group(
                name="deliveries",
                hears={
                    NotificationStored: planner.stored,
                    NotificationsMarked: planner.marked,
                    NotificationsRemoved: planner.removed,
                    NotificationEdited: planner.edited,
                    Muted: planner.muted,
                    ActorMuted: planner.actor_muted,
                    DeliveryEnded: deliveries.webhooks.ended,
                },
            ),
        ),
        signals=(
            Signal(webhooks.SIGNAL, deliveries.webhooks.forget),
            Signal(quiet_hours.SIGNAL, deliveries.quiet.forget),
            Signal(policies.SIGNAL, deliveries.policies.forget),
            Signal(mail_templates.SIGNAL, deliveries.mails.forget),
        ),
        health=[
            Health(name, carrier.ping, remote=True) for name, carrier in deliveries.carriers.items()
        ],
        facts=(DeliveryEnded, ActorMuted),
        jobs=(
            Job("deliveries.release", 1.0, deliveries.release.due),
            Job("deliveries.digests", 1.0, deliveries.digests.close_due),
            Job("deliveries.bury", 5.0, deliveries.burial.round),
            Job("deliveries.sweep", 10.0, deliveries.sweep),
            Job("deliveries.forget", 3_600.0, deliveries.forget),
        ),
        turns=(
            *(Turn(f"lane {name}", lane.turn) for name, lane in deliveries.lanes.items()),
            *(
                Turn(f"lane {name} in bulk", lane.turn_in_bulk)
                for name, lane in deliveries.platforms.items()
            ),
        ),
        schema=Path(__file__).with_name("schema"),
        lighten=deliveries.lighten,
        erase=deliveries.erase,
        scrubs=(erasing.digests, erasing.ledger, erasing.outbox),
        export=deliveries.export,
        close=(deliveries.close,),
    )
