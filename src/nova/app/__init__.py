"""The composition root: the only room that knows everybody."""

from nova.app.access import verifier
from nova.app.house import House, built, visited
from nova.app.serving import all_routes, serve, supervise, work
from nova.app.starting import CannotStart
from nova.app.truth import MIGRATING_S, all_rooms, answers, truth

__all__ = [
    "MIGRATING_S",
    "CannotStart",
    "House",
    "all_rooms",
    "all_routes",
    "answers",
    "built",
    "serve",
    "supervise",
    "truth",
    "verifier",
    "visited",
    "work",
]
