"""Fuzzing: schemathesis makes requests out of a server's own OpenAPI document."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from typing import NamedTuple

SEED = int(os.environ.get("NOVA_FUZZ_SEED", "1"))
"""The same every time, unless new examples are asked for."""
CHECKS = (
    "not_a_server_error,status_code_conformance,"
    "content_type_conformance,response_schema_conformance"
)


class Verdict(NamedTuple):
    """Whether nothing was found, and what schemathesis said."""

    clean: bool
    said: str


async def fuzz(
    url: str, token: str = "", *, examples: int = 50, seed: int = SEED, skip: str = ""
) -> Verdict:
    """Try each operation with up to `examples` inputs, good and bad ones, of one seed.

    `skip` is a regular expression of paths, such as those that end the caller's own account.
    """
    arguments = [
        *("run", f"{url}/openapi.json", "--url", url, "--no-color"),
        *("--max-examples", str(examples), "--seed", str(seed), "--generation-deterministic"),
        *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing"),
        *(("--header", f"Authorization: Bearer {token}") if token else ()),
        *(("--exclude-path-regex", skip) if skip else ()),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from schemathesis.cli import schemathesis; schemathesis()",
        *arguments,
        stdout=PIPE,
        stderr=STDOUT,
    )
    said, _ = await process.communicate()
    return Verdict(process.returncode == 0, said.decode())
