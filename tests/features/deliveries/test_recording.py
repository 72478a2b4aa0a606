"""Outcomes are recorded together, and one that cannot be recorded harms no other."""

import pytest

from nova.features.deliveries.ledger import UNRECORDABLE
from nova.features.deliveries.models import Delivery
from nova.ports.carriers import Outcome, Parcel, Verdict
from support.delivered import Delivered, Post, delivered, outcome
from support.notified import event

ALL = 40

# A row that may not be stands for whatever a database may have against one of many.
NOT_THESE_WORDS = """
alter table deliveries.deliveries add constraint polite check (says is distinct from 'bother')
"""
NEVER_AGAIN = """
alter table deliveries.deliveries
  add constraint once check (phase <> 'waiting' or code is null or title not like '%bad%')
"""

NEVER_ENDS = """
alter table deliveries.deliveries
  add constraint held check (leased_until is not null or attempts = 0 or title not like '%bad%')
"""


class Picky(Post):
    """A carrier that has something of its own to say about what is bad."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__()
        self._says = outcome(verdict, "500", text="bother")

    async def send(self, parcel: Parcel) -> Outcome:
        said = await super().send(parcel)
        return self._says if "bad" in parcel.title else said


async def tried(here: Delivered, against: str) -> tuple[list[Delivery], Delivery]:
    """Have many pushes end at once, with something against a row; return the others and the bad."""
    await here.pool.run(against)
    here.ios.open.clear()
    await here.policy("like")
    await here.phone("ben")
    titles = [f"Post {n}" for n in range(ALL)]
    titles[ALL // 2] = "bad"
    likes = (
        event(f"e{n}", actor_id="ada", metadata={"title": title}, related_entity_id=title)
        for n, title in enumerate(titles)
    )
    await here.send(*likes)
    await here.sees(lambda: here.ios.busy == ALL)
    here.ios.open.set()
    await here.sees(lambda: here.deliveries.lanes["ios"].in_flight == 0)
    rows = await here.ledger()
    (bad,) = [row for row in rows if "bad" in row.title]
    return [row for row in rows if row is not bad], bad


@pytest.mark.parametrize(
    ("verdict", "phase", "status"),
    [
        (Verdict.SENT, "done", "sent"),
        (Verdict.REFUSED, "dead", "bounced"),
        (Verdict.RETRY, "waiting", "attempted"),
    ],
)
async def test_words_that_cannot_be_recorded_are_left_out(
    dsn: str, verdict: Verdict, phase: str, status: str
) -> None:
    async with delivered(dsn, posts={"ios": Picky(verdict)}) as here:
        others, bad = await tried(here, NOT_THESE_WORDS)
        assert {row.phase for row in others} == {"done"}
        assert (bad.phase, bad.status, bad.code) == (phase, status, UNRECORDABLE)
        assert bad.text == "What the provider said could not be recorded (Violated)."
        assert len(here.ios.parcels) == ALL


async def test_what_cannot_be_recorded_at_all_harms_no_other(dsn: str) -> None:
    async with delivered(dsn, posts={"ios": Picky(Verdict.SENT)}) as here:
        others, bad = await tried(here, NEVER_ENDS)
        assert {row.phase for row in others} == {"done"}
        assert (bad.phase, bad.attempts) == ("waiting", 1)
        assert len(here.ios.parcels) == ALL


async def test_what_cannot_wait_for_another_attempt_becomes_a_dead_letter(dsn: str) -> None:
    async with delivered(dsn, posts={"ios": Picky(Verdict.RETRY)}) as here:
        others, bad = await tried(here, NEVER_AGAIN)
        assert {row.phase for row in others} == {"done"}
        assert (bad.phase, bad.reason, bad.next_at) == ("dead", UNRECORDABLE, None)
        assert len(here.ios.parcels) == ALL
