"""The composition root's part about deliveries: what carries each lane, and how fast."""

from collections.abc import Mapping

from nova.app.carriers import PLATFORMS
from nova.features.deliveries import LANES, Bounds, Knobs, Pacing
from nova.ports.carriers import Carrier
from nova.settings import Settings


def lanes(ways: Mapping[str, Carrier], sink: Carrier) -> Mapping[str, Carrier]:
    """Return what carries each platform: the best carrier there is, or else the sink."""
    return {
        platform: next((ways[name] for name in PLATFORMS[platform] if name in ways), sink)
        for platform in LANES
    }


def knobs(settings: Settings) -> Knobs:
    given = settings.deliveries
    pacing = Pacing(at_once=given.at_once, per_s=given.per_s)
    return Knobs(
        public_url=given.public_url,
        sender=settings.smtp.sender,
        link_schemes=frozenset(given.link_schemes),
        spread_s=given.release_spread_s,
        retention_days=given.retention_days,
        bounds=Bounds(
            pushes_per_minute=given.pushes_per_minute,
            mails_per_hour=given.mails_per_hour,
            per_actor=given.throttle_actors,
        ),
        pacing=dict.fromkeys(LANES, pacing),
    )
