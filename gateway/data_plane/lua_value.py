"""Values as Lua writes them."""

from collections.abc import Mapping, Sequence

INDENT = "  "


def lua_value(value: object, depth: int = 2) -> str:
    """Return a literal; strings in ASCII, every other byte and every quote escaped.

    Raises:
        TypeError: Neither text, number, truth value, mapping nor sequence.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return f'"{"".join(map(_escaped, value.encode()))}"'
        case Mapping():
            return _table(
                [f"[{lua_value(key)}] = {lua_value(each, depth + 1)}" for key, each in value.items()], depth
            )
        case Sequence():
            return _table([lua_value(each, depth + 1) for each in value], depth)
        case _:
            raise TypeError(type(value).__name__)


def _table(entries: Sequence[str], depth: int) -> str:
    if not entries:
        return "{}"
    inside = "".join(f"{INDENT * (depth + 1)}{entry},\n" for entry in entries)
    return f"{{\n{inside}{INDENT * depth}}}"


def _escaped(byte: int) -> str:
    character = chr(byte)
    return character if 0x20 <= byte < 0x7F and character not in '"\\{}' else f"\\{byte:03d}"
