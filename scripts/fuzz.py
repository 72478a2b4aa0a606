"""Run the property tests on new examples until a budget is spent: `python scripts/fuzz.py SECONDS`.

Stops at the first failure and prints it with its seed. Add what it found to the test as an
`@example`, so that `make test`, whose examples never change, holds it from then on.
"""

import os
import random
import subprocess
import sys
import time


def main() -> int:
    end = time.monotonic() + float(sys.argv[1])
    rounds = 0
    while time.monotonic() < end:
        seed = random.randrange(2**31)  # noqa: S311  # nothing secret
        rounds += 1
        print(f"round {rounds}, seed {seed}", flush=True)
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "hypothesis or fuzz"),
                *("--hypothesis-profile=fuzz", f"--hypothesis-seed={seed}"),
            ],
            env=os.environ | {"NOVA_FUZZ_SEED": str(seed)},
            check=False,
        )
        if ended.returncode:
            return ended.returncode
    print(f"nothing found in {rounds} rounds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
