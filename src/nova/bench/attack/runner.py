"""Run all attacks of `nova bench attack`."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from nova.bench.attack import (
    credentials,
    descriptor_exhaustion,
    erasure_leftovers,
    healthz_latency,
    hung_database,
    push_flood,
    revocation_delay,
)
from nova.bench.notifications import allow_many_files

Figures = dict[str, float | Mapping[str, float]]


class Plan(Struct, frozen=True):
    """For how long to attack. Seconds throughout."""

    flood_s: float = 4.0
    floods: tuple[str, ...] = ()
    """Some of them by name; empty for all."""
    guessing_s: float = 5.0
    pushes_s: float = 60.0
    hung_s: float = 5.0
    deaf_s: float = 20.0
    """A revoked right that is still good by then counts as if it had ended."""
    erased_s: float = 60.0
    """For how long an erasure may take until nothing is left."""


QUICK = Plan(flood_s=1.0, guessing_s=2.0, pushes_s=5.0, hung_s=2.0, deaf_s=5.0, erased_s=10.0)
"""A look in a minute and a half; its figures are not for publication."""


async def run(plan: Plan, progress: Callable[[str], None]) -> Figures:
    """Run every attack, each against servers of its own, and return the figures."""
    allow_many_files()
    result: Figures = {}
    result |= await healthz_latency.measured(plan.flood_s, plan.floods, progress)
    progress(f"valid callers beside bad credentials, {plan.guessing_s:g} s")
    result |= await credentials.measured(plan.guessing_s)
    progress(f"pushes on one phone, {plan.pushes_s:g} s")
    result |= await push_flood.measured(plan.pushes_s)
    progress(f"a database that hangs, {plan.hung_s:g} s")
    result |= await hung_database.measured(plan.hung_s)
    progress("rights that are taken away from a process that hears nothing")
    result |= await revocation_delay.measured(plan.deaf_s)
    progress("sockets at the limit of file descriptors")
    result |= await descriptor_exhaustion.measured(progress)
    progress("what is left of a person who is erased")
    result |= await erasure_leftovers.measured(plan.erased_s, progress)
    return result
