"""What became of a notification outside the app, as the moments of its story."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from nova.features.deliveries import store_log
from nova.ports.database import Queries, Row

WHY = {
    "preference": "not wanted",
    "throttled": "too many of its type, or by one person, in a short time",
    "always_quiet": "quiet hours that never end",
    "quiet_hours": "held for quiet hours",
    "unless_seen": "waits: it is sent only if it is not seen in the app",
    "seen_elsewhere": "cancelled: it was seen elsewhere",
    "removed": "cancelled: it was taken back",
    "blocked": "cancelled: its actor was blocked",
    "muted": "cancelled: its actor was muted",
    "expired": "its time was over",
    "gone": "the address is dead",
    "refused": "the provider will not have it",
    "misconfigured": "our credentials or settings are wrong",
    "attempts_used_up": "given up after too many attempts",
    "unrecordable": "given up: its outcome could not be recorded",
    "too_late": "given up: its time would be over",
    "coalesced": "put together with others",
    "parted": "looked at anew: one that it was put together with was taken back or turned off",
    "released": "released after quiet hours",
    "gathered": "more mails than one person gets in an hour: put together with the rest",
    "rate": "more of this type wait than its rate lets out",
    "fallback": "needed, since nothing else got through",
    "redriven": "to be tried again",
    "retry": "to be tried again",
}
WHERE = {"ios": "iOS device", "android": "Android device", "web": "browser", "mail": "mailbox"}


class Tale:
    """Tells from the ledger."""

    def __init__(self, db: Queries) -> None:
        self._db = db

    async def steps(self, notification: UUID) -> Sequence[tuple[str, datetime, str]]:
        """Return name, time and sentence of each moment."""
        rows = await self._db.fetch(store_log.STORY, notification)
        digests = await self._db.fetch(store_log.STORY_DIGESTS, notification)
        attempts: dict[UUID, list[Row]] = {}
        if rows:
            ids = [row["id"] for row in rows]
            for each in await self._db.fetch(store_log.STORY_ATTEMPTS, ids):
                attempts.setdefault(each["delivery"], []).append(each)
        return [
            *(step for row in digests for step in _gathered(row)),
            *(step for row in rows for step in _delivery(row, attempts.get(row["id"], ()))),
        ]


def _gathered(row: Row) -> Iterator[tuple[str, datetime, str]]:
    until = f"{row['closes_at']:%Y-%m-%d %H:%M:%S} UTC"
    yield f"{row['channel']}_gathered", row["at"], f"Put into a digest that goes out at {until}."
    if row["gone"] is not None:
        why = WHY.get(row["gone"], row["gone"])
        yield f"{row['channel']}_struck", row["at"], f"Taken out of the digest since: {why}."
    if row["closed_at"] is not None:
        yield f"{row['channel']}_closed", row["closed_at"], "The digest was closed and written."


def _delivery(row: Row, attempts: Sequence[Row]) -> Iterator[tuple[str, datetime, str]]:
    channel = row["channel"] if row["kind"] != "recall" else f"{row['channel']}_recall"
    where = WHERE.get(row["lane"], "nowhere")
    why = WHY.get(row["reason"] or "", row["reason"] or "")
    if not row["lane"]:
        rule = f" ({row['rule']})" if row["rule"] else ""
        yield f"{channel}_dropped", row["made_at"], f"Not sent: {why}{rule}."
        return
    yield f"{channel}_planned", row["made_at"], f"To the {where} …{row['address'][-6:]}."
    for each in attempts:
        again = " It may have arrived before; same collapse id." if each["resend"] else ""
        yield f"{channel}_tried", each["started_at"], f"Attempt {each['number']}.{again}"
        if each["finished_at"] is not None:
            said = ": ".join(filter(None, (each["code"], each["says"])))
            yield (
                f"{channel}_{each['verdict']}",
                each["finished_at"],
                said or "The provider took it.",
            )
    if row["phase"] in ("held", "standby", "dropped", "dead", "failed", "merged") or row["due"]:
        due = f" until {row['due']:%Y-%m-%d %H:%M:%S} UTC" if row["due"] is not None else ""
        at = attempts[-1]["finished_at"] if attempts else None
        rule = f" ({row['rule']})" if row["rule"] and row["reason"] == "coalesced" else ""
        says = f"{why or row['phase']}{rule}{due}."
        yield f"{channel}_{row['phase']}", at or row["made_at"], says
    if row["delivered_at"] is not None:
        yield f"{channel}_delivered", row["delivered_at"], "The device said that it came."
