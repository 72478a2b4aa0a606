"""Knobs of notifications, feeds and deliveries."""

from typing import Annotated

from msgspec import Meta, Struct

from nova.settings.kinds import Natural, Seconds, about


class Notifications(Struct, frozen=True, kw_only=True):
    """The notification pipeline."""

    retention_days: Annotated[Natural, about("Days until a notification expires.")] = 30
    dedupe_days: Annotated[
        Natural,
        about("Days for which an event's id is remembered; more than `log.retention_days`."),
    ] = 14
    burst_s: Annotated[
        Seconds,
        about(
            "Seconds for which events of a group, as likes of a post, join an unread notification."
        ),
    ] = 3600.0


class Feeds(Struct, frozen=True, kw_only=True):
    """Home feeds."""

    authors: Annotated[
        Natural,
        about("Authors whose newest posts are kept in memory, 500 bytes each: 50 MB by default."),
    ] = 100_000
    push: Annotated[
        bool,
        about(
            "Whether posts are written into the feeds of followers ahead: for deployments of many "
            "processes, whose memory does not hold everybody's newest posts."
        ),
    ] = False
    followers: Annotated[
        Natural,
        about("With feeds.push: the posts of authors with more followers than this are pulled."),
    ] = 1_000


class Deliveries(Struct, frozen=True, kw_only=True):
    """Push and mail on their way to devices and mailboxes."""

    public_url: Annotated[
        str,
        about(
            "Address at which people reach this server, "
            "such as https://nova.example; for links in mail."
        ),
    ] = ""
    at_once: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)],
        about("Attempts under way in one process and lane (ios, android, web, mail), at most."),
    ] = 64
    per_s: Annotated[
        Annotated[float, Meta(ge=0, le=10**6)],
        about("Attempts per second and lane, of all processes together; 0 for no limit."),
    ] = 0.0
    pushes_per_minute: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)],
        about(
            "Pushes to one person in a minute, at most; the rest is gathered into one. 0 for no "
            "bound; at least 2."
        ),
    ] = 20
    mails_per_hour: Annotated[
        Annotated[int, Meta(ge=0, le=10_000)],
        about(
            "Mails to one person in any hour, at most, but critical ones; the rest is gathered "
            "into one. 0 for no bound; at least 3."
        ),
    ] = 20
    link_schemes: Annotated[
        tuple[str, ...],
        about(
            "Schemes of app links, as myapp for myapp://, that an event's `metadata.url` may have "
            "besides https and http."
        ),
    ] = ()
    throttle_actors: Annotated[
        bool,
        about(
            "Whether the comments, mentions, likes and so on of one person leave the app a few "
            "times only for the same other person, where the type's policy has no bound."
        ),
    ] = True
    release_spread_s: Annotated[
        Annotated[float, Meta(ge=0, le=3_600)],
        about(
            "Seconds over which Nova spreads the pushes of people whose quiet hours end together."
        ),
    ] = 60.0
    retention_days: Annotated[Natural, about("Days that the log of deliveries is kept.")] = 30
