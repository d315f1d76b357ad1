"""Which person runs a command, as far as the system knows."""

import os
import pwd


def operator_name() -> str:
    """Return the name of who runs this: by the process, or who became root for it by `sudo`.

    Security: not by `LOGNAME`, which everybody sets as they like. Root may be whoever root says; nothing that
    runs beside the database can prevent that.
    """
    user = os.getuid()
    caller = os.environ.get("SUDO_UID", "") if user == 0 else ""
    return _name_of(int(caller)) if caller.isdecimal() else _name_of(user)


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"
