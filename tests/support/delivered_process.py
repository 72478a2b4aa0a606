"""Run as a module: delivers until it is killed; prints what it accepted and what it handed over."""

import asyncio
import sys
from itertools import count

from nova.features.deliveries import LANES, Knobs, Pacing
from nova.features.deliveries.rules import PATIENCE
from nova.ports.carriers import Outcome, Parcel
from support.delivered import SENT, Post, delivered
from support.notified import event

HASTY = Knobs(
    spread_s=0.0,
    pacing=dict.fromkeys(LANES, Pacing(margin_s=0.3, wait_s=0.05)),
    patience={
        "ios": type(PATIENCE["ios"])(
            first_s=0.05,
            range_s=0.05,
            longest_s=1.0,
            give_up_s=600.0,
            attempts=1_000,
            ttl_s=3_600.0,
            timeout_s=0.5,
        )
    },
)


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Telling(Post):
    """Tells what it was given: the provider's view, which outlives the process."""

    async def send(self, parcel: Parcel) -> Outcome:
        tell(f"took {parcel.id} {parcel.collapse_id}")
        await asyncio.sleep(0.002)
        return SENT


async def main(dsn: str, name: str) -> None:
    async with delivered(dsn, knobs=HASTY, posts={"ios": Telling()}) as here:
        await here.policy("like")
        await here.phone("ben")
        for turn in count():
            ids = [f"{name}-{turn}-{n}" for n in range(5)]
            await here.send(*(event(id_, actor_id="ada") for id_ in ids))
            for id_ in ids:
                tell(f"accepted {id_}")
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
