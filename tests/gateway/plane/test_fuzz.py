"""A bounded run of the fuzzer, from the conformance cases on. `fuzz_rim` says what must hold."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.plane.test_conformance import CASES

SECONDS = 8
ROOT = Path(__file__).parents[3]


def test_random_bytes_never_make_a_fault_or_a_second_reading(tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        reason = "atheris is not available for this Python: the rim was NOT fuzzed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, case in enumerate(CASES):
        if len(case.sent) < 2000:
            # The provider takes its integers from the end: large segments, answered at once.
            (corpus / f"{number:03}").write_bytes(case.sent + b"\x00\xc7")
    run = subprocess.run(
        [sys.executable, "-m", "tests.gateway.plane.fuzz_rim", str(corpus), f"-max_total_time={SECONDS}",
         "-max_len=3000", "-seed=1", "-timeout=5", f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-5000:]
    runs = re.search(r"Done (\d+) runs", run.stderr)
    assert runs, run.stderr[-2000:]
    assert int(runs[1]) > 1000
