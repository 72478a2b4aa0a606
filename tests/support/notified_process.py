"""Run as a module: accepts and handles events until it is killed; prints what it accepted."""

import asyncio
import sys

from support.notified import event, world


async def main(dsn: str, name: str) -> None:
    async with world(dsn) as here:
        for turn in range(10_000):
            await here.send(*(event(f"{name}-{turn}-{n}", actor_id="ada") for n in range(20)))
            sys.stdout.write(f"accepted {name}-{turn}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
