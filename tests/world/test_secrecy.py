"""What is nobody else's business is in no log and in no metric."""

from pathlib import Path

from support.app import like
from support.deployment import deployed


async def test_secrets_and_messages_are_never_in_what_the_server_says(tmp_path: Path) -> None:
    async with deployed(tmp_path, NOVA_HTTP_ACCESS_LOG="true") as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        canary = "canary-4d1c"
        event = like(to=ben, by=ada, metadata={"text": canary})
        token = app.token(ben)
        async with app.phone(ben) as phone, app.client() as client:
            await app.send(event)
            await phone.until(lambda phone: phone.rings == [event["id"]])
            bad = await client.post("/v1/events", json={"text": canary})
            assert bad.is_client_error
            for bearer in (token + "x", app.server.server_key + "x"):
                header = {"Authorization": f"Bearer {bearer}"}
                answer = await client.get("/v1/notifications", headers=header)
                assert answer.status_code == 401
            numbers = (await client.get("/metrics")).text
        assert await deployment.end() == 0
    log = deployment.output.decode()
    # The log is a log, and tells of these very requests.
    assert log.count("/v1/notifications") >= 2
    assert "/v1/events" in log
    assert "nova_" in numbers
    said = log + numbers
    for secret in (canary, token, token.split(".")[2], app.server.server_key, deployment.secret):
        assert secret not in said
