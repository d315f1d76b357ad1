"""The account usability response control of 389-ds.

Only its word on the lock is used. 389-ds 2.3 says *expired* of every password that has a date of expiry,
and says nothing of accounts that an administrator has closed: both are read from the entry.

Source: draft of Sun's "Account Usable Request Control" (1.3.6.1.4.1.42.2.27.9.5.8); asked on a live server.
"""

from idp_plugin.ber import Malformed, elements

_USABLE = 0x80
_NOT_USABLE = 0xA1
_LOCKED = 0x80


def says_locked(value: bytes) -> bool | None:
    """Tell whether the server refuses binds because of wrong passwords; None where it does not say.

    Raises:
        Malformed: Truncated or of another shape.
    """
    found = elements(value)
    if len(found) != 1:
        raise Malformed
    tag, content = found[0]
    if tag == _USABLE:
        return False
    if tag != _NOT_USABLE:
        raise Malformed
    return next((part != b"\0" for kind, part in elements(content) if kind == _LOCKED), None)
