"""Commands load no library that they do not use."""

import subprocess
import sys

import pytest

LOADED = """
import sys
import nova.cli, nova.app
print(sorted({"numpy", "neo4j", "aiosmtplib"} & set(sys.modules)))
"""


def test_no_command_loads_numpy_or_what_an_extra_brings() -> None:
    said = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"


@pytest.mark.parametrize("module", ["nova.adapters.local.graph", "nova.bench.graph"])
def test_numpy_is_loaded_where_it_is_used(module: str) -> None:
    program = f"import sys; import {module}; print('numpy' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert said.stdout == "True\n"
