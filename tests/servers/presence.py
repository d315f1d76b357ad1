"""What happens when a server that a test needs is not on this machine: a loud skip, or a failure under CI."""

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def is_ci() -> bool:
    """Tell whether nothing may be skipped."""
    return bool(os.environ.get("CI"))


def missing(name: str, remedy: str) -> NoReturn:
    """Skip the test that asks, or fail it when `CI` is set."""
    sentence = f"{name} is not here: {remedy}"
    if is_ci():
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def program(name: str, *places: str, package: str) -> Path:
    """Find a program on the path or in one of the places where Debian keeps it."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *places]))
    if found is None:
        missing(name, f"apt-get install {package} (`make test` does it for root)")
    return Path(found)
