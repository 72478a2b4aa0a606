"""Every knob of Nova: its name, its default and one sentence about it."""

from nova.settings.access import Tokens
from nova.settings.carriers import Outgoing
from nova.settings.everything import Knob, Settings, knobs
from nova.settings.loading import Loaded, Misconfigured, load

__all__ = [
    "Knob",
    "Loaded",
    "Misconfigured",
    "Outgoing",
    "Settings",
    "Tokens",
    "knobs",
    "load",
]
