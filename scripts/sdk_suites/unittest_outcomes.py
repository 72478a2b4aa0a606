"""Run the tests that unittest discovers, and write the outcome of each to a file as JSON."""

import json
import sys
import unittest
from pathlib import Path
from typing import Any

_OUTCOMES: dict[str, str] = {}


class _Result(unittest.TextTestResult):
    """Notes what came of each test; one with a part that failed, failed."""

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addSuccess(test)
        _OUTCOMES.setdefault(test.id(), "pass")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        _OUTCOMES[test.id()] = "skip"

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        _OUTCOMES[test.id()] = "fail"

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        _OUTCOMES[test.id()] = "fail"

    def addSubTest(  # noqa: N802
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any
    ) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            _OUTCOMES[test.id()] = "fail"


if __name__ == "__main__":
    tests = unittest.defaultTestLoader.discover("tests", top_level_dir=".")
    unittest.TextTestRunner(resultclass=_Result, verbosity=2).run(tests)
    Path(sys.argv[1]).write_text(json.dumps(_OUTCOMES), encoding="utf-8")
