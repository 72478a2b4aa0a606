"""Accounts: users, their devices, server keys, user tokens, export and erasure."""

from pathlib import Path
from uuid import UUID

from nova.feature import Feature, Job, Signal
from nova.features.accounts import api
from nova.features.accounts.credentials import Credentials
from nova.features.accounts.devices import SIGNAL, Devices
from nova.features.accounts.erasure_job import Erasures
from nova.features.accounts.events import (
    DeviceDied,
    UserChanged,
    UserCreated,
    UserDeleted,
    UserSuspended,
)
from nova.features.accounts.people import People
from nova.features.accounts.service import ERASED, Accounts
from nova.features.accounts.still_valid import subjects
from nova.web.cursors import Cursors

__all__ = [
    "ERASED",
    "SIGNAL",
    "Accounts",
    "Credentials",
    "Devices",
    "Erasures",
    "People",
    "plug",
    "subjects",
]


def plug(
    accounts: Accounts,
    credentials: Credentials,
    erasures: Erasures,
    *,
    cursor_secret: bytes,
) -> Feature:
    return Feature(
        name="accounts",
        routes=api.routes(accounts, credentials, erasures, Cursors(cursor_secret, "users", UUID)),
        facts=(UserCreated, UserChanged, UserDeleted, UserSuspended, DeviceDied),
        signals=(
            Signal("user", accounts.people.forget),
            Signal(ERASED, accounts.people.hear_erased),
            Signal(SIGNAL, accounts.devices.forget_user),
        ),
        jobs=(
            Job("accounts.forget_expired", 3600, credentials.forget_expired),
            Job("accounts.erasures", 1.0, erasures.go_on),
        ),
        schema=Path(__file__).parent / "schema",
        export=accounts.own_export,
    )
