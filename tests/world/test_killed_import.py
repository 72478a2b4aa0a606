"""An import of edges is killed where it stands, and goes on from there."""

import asyncio
from itertools import permutations
from pathlib import Path

from nova.adapters.postgres.pool import open_pool
from support.deployment import deployed

PEOPLE = 700
MADE = """
insert into accounts.users (id, external_id, name)
select gen_random_uuid(), 'person-' || n, '' from generate_series(1, $1::int) n
"""
COUNTS = """
select (select count(*) from graph.follows) as follows,
       coalesce(sum(followers), 0)::int as followers, coalesce(sum(following), 0)::int as following
  from graph.people
"""


async def test_a_killed_import_goes_on_where_it_stopped(tmp_path: Path, dsn: str) -> None:
    file = tmp_path / "edges.jsonl"
    file.write_text(
        "\n".join(
            f'{{"follower": "person-{one}", "followee": "person-{other}"}}'
            for one, other in permutations(range(1, PEOPLE + 1), 2)
        )
    )
    total = PEOPLE * (PEOPLE - 1)
    async with (
        deployed(tmp_path, NOVA_DATABASE=dsn) as deployment,
        open_pool(dsn, size=1, wait_s=60.0) as pool,
    ):
        assert (await deployment.run("migrate"))[0] == 0
        await pool.run(MADE, PEOPLE)
        importing = await deployment.begin("import", "edges", str(file))
        assert importing.stdout is not None
        async with asyncio.timeout(600):
            async for line in importing.stdout:
                if b"edges added" in line:
                    break
        importing.kill()
        await importing.communicate()
        half = await pool.row(COUNTS)
        assert half is not None
        assert 0 < half["follows"] < total
        assert half["followers"] == half["following"] == half["follows"]
        status, said = await deployment.run("import", "edges", str(file))
        assert (status, f"Edges added: {total}, known before: 0" in said) == (0, True), said
        whole = await pool.row(COUNTS)
        assert whole is not None
        assert (whole["follows"], whole["followers"], whole["following"]) == (total, total, total)
