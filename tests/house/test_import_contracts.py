"""Every import contract finds a violation that is planted, and every library has one."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).parents[2]
EVERYWHERE = {"msgspec", "nova", "scripts", "typing_extensions"}
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))[
    "tool"
]["importlinter"]["contracts"]

PLANTED = {
    "Imports point up the house, never down": ("kernel/ids", "import nova.ports.graph"),
    "Adapters never import each other": (
        "adapters/neo4j/address",
        "import nova.adapters.local.walks",
    ),
    "Features import each other's events only": (
        "features/posts/likes",
        "from nova.features.graph.store import person",
    ),
    "Events import the kernel only": ("features/graph/events", "import nova.web.people"),
    "A feature's modules import in one direction": (
        "features/accounts/store",
        "from nova.features.accounts.devices import SIGNAL",
    ),
    "asyncpg is the PostgreSQL adapter's": ("backbone/fanout", "import asyncpg"),
    "neo4j is the Neo4j adapter's": ("features/graph/feed", "from neo4j import Query"),
    "redis is the Redis adapter's": ("backbone/broadcasting", "import redis.asyncio"),
    "numpy is the graph index's in process, and of benchmarks": ("kernel/recent", "import numpy"),
    "aiosmtplib and dkim are the SMTP adapter's": ("features/deliveries/tale", "import dkim"),
    "aiosmtpd, h2 and hyperframe are the simulators', so that they check our own protocols": (
        "wire/http2",
        "import h2.connection",
    ),
    "cryptography signs and encrypts push, and plays the providers": (
        "web/tokens",
        "import cryptography.fernet",
    ),
    "hpack is the HTTP client's": ("web/intake", "import hpack"),
    "httptools reads HTTP/1.1 on both sides": ("web/routes", "import httptools"),
    "Starlette, uvicorn and what serves pages and tokens are the web's": (
        "features/posts/api",
        "from starlette.requests import Request",
    ),
    "uvloop is chosen by commands": ("app/serving", "import uvloop"),
    "Rules of text and ids come from libraries in the kernel": ("wire/addresses", "import idna"),
    "regex knows Unicode's properties, for the kernel and for mentions": (
        "features/posts/rules",
        "import regex",
    ),
    "structlog and prometheus_client are not the kernel's nor the ports'": (
        "ports/checkpoint",
        "import structlog",
    ),
    "Sockets: from the hub down to one channel": (
        "web/realtime/lanes",
        "if TYPE_CHECKING:\n    from nova.web.realtime.session import Session",
    ),
    "Simulators share no code with what they test": (
        "simulators/scripts",
        "from nova.ports.carriers import Verdict",
    ),
}
"""By contract: a module, and an import in it that breaks the contract."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Check a copy of the source in which every contract is broken once."""
    copy = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "src" / "nova", copy / "nova")
    shutil.copytree(ROOT / "scripts", copy / "scripts")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for module, line in PLANTED.values():
        file = copy / "nova" / f"{module}.py"
        file.write_text(f"{file.read_text('utf-8')}\n{line}\n", "utf-8")
    found = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=copy,
        env={"COLUMNS": "500", "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1, found.stdout + found.stderr
    return found.stdout


@pytest.mark.parametrize("contract", [each["name"] for each in CONTRACTS])
def test_a_planted_violation_is_found(report: str, contract: str) -> None:
    module, _ = PLANTED[contract]
    summary, _, details = report.partition("Broken contracts")
    assert f"{contract} BROKEN" in summary
    said = details.partition(f"\n{contract}\n")[2].partition("\n\n\n")[0]
    assert f"nova.{module.replace('/', '.')}" in said


def test_every_library_is_imported_in_places_that_a_contract_names() -> None:
    graph = grimp.build_graph("nova", include_external_packages=True)
    libraries = {each.partition(".")[0] for each in graph.modules} - sys.stdlib_module_names
    named = {each for contract in CONTRACTS for each in contract.get("protected_modules", ())}
    assert libraries - EVERYWHERE == named
