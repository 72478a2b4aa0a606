"""`nova doctor` beside a server that runs, and without one."""

import json
from pathlib import Path
from socket import create_server

import pytest

from nova.bench.client import Subscriber
from support.deployment import Deployment, deployed


def a_free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


async def found(deployment: Deployment) -> dict[str, tuple[bool, str, str]]:
    """Return what the doctor finds: healthy, detail and fix by name."""
    _, said = await deployment.run("doctor", "--json")
    return {
        each["name"]: (each["healthy"], each["detail"], each["fix"])
        for each in json.loads(said)["data"]
    }


@pytest.mark.parametrize("public", ["", "https://nova.example"])
async def test_the_doctor_says_whether_a_server_runs_and_what_it_refused(
    tmp_path: Path, dsn: str, public: str
) -> None:
    settings = {
        "NOVA_DATABASE": dsn,
        "NOVA_HTTP_PORT": str(a_free_port()),
        "NOVA_SOCKET_PER_USER": "1",
        "NOVA_DELIVERIES_PUBLIC_URL": public,
    }
    async with deployed(tmp_path, **settings) as deployment:
        assert (await deployment.run("migrate"))[0] == 0
        before = await found(deployment)
        healthy, detail, fix = before["server"]
        assert (healthy, fix) == (True, "'nova serve' starts one.")
        assert detail == f"none answers at http://127.0.0.1:{settings['NOVA_HTTP_PORT']}."
        assert "a running server would say" in before["sockets"][1]
        app = await deployment.start()
        [ben] = await app.people(1)
        quiet = await found(deployment)
        assert quiet["server"][:2] == (True, f"answers at {app.url}, and is ready.")
        assert quiet["sockets"] == (True, "0 are open; refused since the start: none.", "")
        async with app.phone(ben):
            with pytest.raises(ConnectionError):
                await Subscriber.open(
                    app.server.host, app.server.port, app.token(ben), lambda _message: None
                )
            healthy, detail, fix = (await found(deployment))["sockets"]
        assert detail == "1 are open; refused since the start: 1 by socket.per_user."
        assert "raise that setting" in fix


async def test_the_doctor_names_what_the_mail_catcher_keeps(tmp_path: Path, dsn: str) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn) as deployment:
        assert (await deployment.run("migrate"))[0] == 0
        healthy, detail, fix = (await found(deployment))["mail catcher"]
        assert (healthy, "ios, android, web, mail" in detail) == (True, True)
        assert "smtp.host" in fix
    mailing = {
        "NOVA_SMTP_HOST": "127.0.0.1",
        "NOVA_SMTP_PORT": "1",
        "NOVA_SMTP_SENDER": "Nova <nova@example.com>",
    }
    (tmp_path / "other").mkdir()
    async with deployed(tmp_path / "other", NOVA_DATABASE=dsn, **mailing) as deployment:
        said = await found(deployment)
        assert "ios, android, web," in said["mail catcher"][1]
        assert said["smtp"][0] is False
        assert said["database"][1].startswith("PostgreSQL ")
        assert said["clock"][0]
