"""Channels that users are put into at connect: of their own, and of Nova."""

from pathlib import Path

from nova.ports.database import Pool
from support.deployment import deployed
from support.wire_client import rude

NAMESPACES = '[{"name": "me", "personal": true}, {"name": "", "personal": true}]'


async def test_users_are_put_into_channels_of_their_own_and_kept_out_of_others(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    settings = {
        "NOVA_DATABASE": dsn,
        "NOVA_NAMESPACES": NAMESPACES,
        "NOVA_SOCKET_OWN_CHANNELS": "false",
    }
    async with deployed(tmp_path, **settings) as one:
        app = await one.start()
        ada, ben = await app.people(2)
        host, port = app.server.host, app.server.port
        async with rude(host, port) as client, app.client() as backend:
            id_ = (await backend.get(f"/v1/users/{ada}")).json()["id"]
            connected = await client.connect(app.token(ada))
            assert set(connected["subs"]) == {f"#{ada}", f"me:#{ada}"}  # no channel of Nova's
            for number, channel in enumerate((f"#{ben}", f"me:#{ben}", "me:#", f"me:#{id_}"), 2):
                client.say({"id": number, "subscribe": {"channel": channel}})
                assert (await client.heard())["error"]["code"] == 103, channel
                client.say({"id": number, "history": {"channel": channel}})
                assert (await client.heard())["error"]["code"] == 103, channel
            client.say({"id": 9, "subscribe": {"channel": f"user:{id_}"}})
            assert "subscribe" in await client.heard()
            answer = await backend.post("/api/publish", json={"channel": f"me:#{ada}", "data": 1})
            assert answer.json() == {"result": {}}
            push = (await client.heard())["push"]
            assert (push["channel"], push["pub"]["data"]) == (f"me:#{ada}", 1)
