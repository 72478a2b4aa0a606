"""What every test may ask for."""

import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog
from hypothesis import settings

from nova.adapters.postgres.pool import PostgresPool
from nova.backbone.database import Database
from nova.backbone.outbox import PostgresOutbox
from support.postgres import (
    migrated_template,
    new_database,
    patient_pool,
    running_server,
    server_apart,
)

# `make test` draws the same examples every time; `make fuzz` draws new ones.
settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
settings.register_profile("fuzz", max_examples=1_000, deadline=None, print_blob=True)
settings.load_profile("fixed")


class Truth(NamedTuple):
    """The run's PostgreSQL, and the database in it that has every migration applied."""

    dsn: str
    template: str


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Undo what a test did to the logging of the process, such as by calling a command in it."""
    root = logging.getLogger()
    before, handlers, level = structlog.get_config(), list(root.handlers), root.level
    yield
    structlog.configure(**before)
    root.setLevel(level)
    root.handlers = [each for each in root.handlers if each in handlers]


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes of this test run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def server_dsn(shared_folder: Path) -> Iterator[str]:
    """Address of the run's server, for tests that make databases of their own."""
    with running_server(shared_folder) as dsn:
        yield dsn


@pytest.fixture(scope="session")
async def truth(server_dsn: str, shared_folder: Path) -> Truth:
    return Truth(server_dsn, await migrated_template(server_dsn, shared_folder))


@pytest.fixture
async def dsn(truth: Truth) -> AsyncIterator[str]:
    """Address of a fresh database with every table and no rows."""
    async with new_database(truth.dsn, truth.template) as dsn:
        yield dsn


@pytest.fixture
async def apart() -> AsyncIterator[str]:
    """Address of a database on a server whose processes the test may stop."""
    async with server_apart() as dsn:
        yield dsn


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[PostgresPool]:
    async with patient_pool(dsn) as pool:
        yield pool


@pytest.fixture
def db(pool: PostgresPool) -> Database:
    """Transactions with facts, publications and signals, that nobody in this process hears."""
    return Database(pool, PostgresOutbox(), wrote=lambda _: None, published=lambda _: None)
