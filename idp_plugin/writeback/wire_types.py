"""Identities, capabilities and results as JSON, both ways."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from idp_plugin.base import Identity, TargetResult, WriterCapabilities
from idp_plugin.writeback.keys import Untrusted

LONGEST_LIFE = dt.timedelta(days=1)
"""Of an old password, as the settings of a directory bound it."""
_IDENTITY = TypeAdapter(Identity)
_RESULTS = TypeAdapter(tuple[TargetResult, ...])
_CAPABILITIES = TypeAdapter(WriterCapabilities)


def identity_json(identity: Identity) -> Any:
    """Return an identity as JSON values."""
    return _IDENTITY.dump_python(identity, mode="json")


def read_identity(value: Any) -> Identity:
    """Read `identity_json`.

    Raises:
        Untrusted: It has another form.
    """
    try:
        return _IDENTITY.validate_python(value)
    except ValidationError as error:
        raise Untrusted("identity") from error


def results_json(results: Sequence[TargetResult]) -> Any:
    """Return what a write says beside that it was done, as JSON values."""
    return _RESULTS.dump_python(tuple(results), mode="json")


def read_results(value: Any) -> tuple[TargetResult, ...]:
    """Read `results_json`; what has another form says nothing.

    The password is written, whatever else an answer says.
    """
    try:
        return _RESULTS.validate_python(value)
    except ValidationError:
        return ()


def capabilities_json(capabilities: WriterCapabilities) -> Any:
    """Return capabilities as JSON values."""
    return _CAPABILITIES.dump_python(capabilities, mode="json")


def read_capabilities(value: Any) -> WriterCapabilities:
    """Read `capabilities_json`.

    Raises:
        Untrusted: It has another form.
    """
    try:
        read = _CAPABILITIES.validate_python(value)
    except ValidationError as error:
        raise Untrusted("capabilities") from error
    # Security: work is put off for so long; beyond what a clock can tell, the step after a write would fail.
    if not dt.timedelta(0) <= read.old_password_lives <= LONGEST_LIFE:
        raise Untrusted("capabilities")
    return read
