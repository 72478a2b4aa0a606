"""Accounts: users, their devices, server keys, user tokens, export and erasure."""

from pathlib import Path
from uuid import UUID

from nova.feature import Feature, Job
from nova.features.accounts import api
from nova.features.accounts.credentials import Credentials
from nova.features.accounts.devices import SIGNAL, Devices
from nova.features.accounts.events import (
    DeviceDied,
    UserChanged,
    UserCreated,
    UserDeleted,
    UserSuspended,
)
from nova.features.accounts.people import People
from nova.features.accounts.service import Accounts
from nova.features.accounts.still_valid import subjects
from nova.web.cursors import Cursors

__all__ = ["SIGNAL", "Accounts", "Credentials", "Devices", "People", "plug", "subjects"]


def plug(accounts: Accounts, credentials: Credentials, *, cursor_secret: bytes) -> Feature:
    return Feature(
        name="accounts",
        routes=api.routes(accounts, credentials, Cursors(cursor_secret, "users", UUID)),
        facts=(UserCreated, UserChanged, UserDeleted, UserSuspended, DeviceDied),
        jobs=(Job("accounts.forget_expired", 3600, credentials.forget_expired),),
        schema=Path(__file__).parent / "schema",
        export=accounts.own_export,
    )
