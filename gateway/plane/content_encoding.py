"""Undo a page's compression, for identity providers that compress although identity was asked for."""

import zlib

WINDOWS = {b"gzip": (31,), b"x-gzip": (31,), b"deflate": (15, -15)}
"""`deflate` is zlib-wrapped by the specification, and raw in practice. Source: RFC 9110 section 8.4.1."""


def decoded(body: bytes, coding: bytes, limit: int) -> bytes | None:
    """Return the body without its coding.

    Args:
        coding: Value of `Content-Encoding`, any case; empty for none.
        limit: Largest result in bytes.

    Returns:
        None where the coding is unknown, broken or incomplete, or the result is too large: then nobody
        knows what the page says.
    """
    coding = coding.strip().lower()
    if not body or coding in {b"", b"identity"}:
        return body
    for window in WINDOWS.get(coding, ()):
        plain = _inflate(body, window, limit)
        if plain is not None:
            return plain
    return None


def _inflate(body: bytes, window: int, limit: int) -> bytes | None:
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error:
        return None
    # Security: bytes after the end could be a second page that only some browsers show.
    if not inflater.eof or inflater.unused_data or len(plain) > limit:
        return None
    return plain
