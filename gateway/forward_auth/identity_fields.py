"""Who somebody is, as header fields for an application.

Values come from the identity provider, where people may choose some of them. None may end a field, add a
group, or read as another one: what could is written as `%` and two hexadecimal digits per byte, as in
addresses. Other letters stand as they are, in UTF-8.
"""

import re

from gateway.forward_auth.application_session import ApplicationSession

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff%]|^\s|\s$")
_UNSAFE_IN_LIST = re.compile(rf"{_UNSAFE.pattern}|,")


def identity_fields(session: ApplicationSession) -> bytes:
    """Return the lines of the four fields, each after a line end; those with nothing to say are empty."""
    values = {
        "Remote-User": _escaped(_UNSAFE, session.username or session.subject.id),
        "Remote-Name": _escaped(_UNSAFE, session.display_name),
        "Remote-Email": _escaped(_UNSAFE, session.email),
        "Remote-Groups": ",".join(_escaped(_UNSAFE_IN_LIST, group) for group in sorted(session.groups)),
    }
    return "".join(f"\r\n{name}: {value}" for name, value in values.items()).encode()


def _escaped(unsafe: re.Pattern[str], value: str) -> str:
    return unsafe.sub(_percent, value)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))
