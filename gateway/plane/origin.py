"""The public origin, prepared for every request."""

from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin:
    """How people reach a listener.

    Args:
        public: Such as `https://sso.example.org`; empty where any `Host` will do.
    """

    def __init__(self, public: str) -> None:
        parts = urlsplit(public)
        self.scheme = parts.scheme or "http"
        self.name = parts.hostname or "localhost"
        self.port = parts.port or DEFAULT_PORTS[self.scheme]
        self.host = parts.netloc.encode()
        """The `Host` that the identity provider and our pages see."""
        bare = f"[{self.name}]" if ":" in self.name else self.name
        self._names = {f"{bare}:{self.port}".encode()}
        if self.port == DEFAULT_PORTS[self.scheme]:
            self._names.add(bare.encode())
        self._takes_any = not public
        self.forwarded_lines = (
            f"\r\nX-Forwarded-Proto: {self.scheme}"
            f"\r\nX-Forwarded-Host: {parts.netloc}"
            f"\r\nX-Forwarded-Port: {self.port}"
        ).encode()

    def is_named(self, host: bytes) -> bool:
        """Tell whether a `Host` value names this origin."""
        return host in self._names or self._takes_any or host.lower() in self._names
