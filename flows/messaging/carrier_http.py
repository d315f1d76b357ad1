"""Requests to a provider: TLS that is checked, no redirects, no proxy of the environment, short answers."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from flows.errors import MessageNotSent
from flows.messaging.carrier_settings import HttpCarrierSettings

_LARGEST_ANSWER = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said."""

    status: int
    body: bytes = field(repr=False)


class CarrierHttp:
    """Connections to one provider."""

    def __init__(self, settings: HttpCarrierSettings) -> None:
        """Take the settings."""
        self._url = settings.url
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        self._client = httpx.Client(
            timeout=settings.seconds,
            trust_env=False,
            follow_redirects=False,
            verify=ssl.create_default_context(cafile=settings.ca or None),
            headers={"User-Agent": "sparekey", "Accept": "application/json", **headers},
        )

    def ask(self, method: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one body and return the answer.

        Raises:
            MessageNotSent: None came, or one too long to be an answer.
        """
        try:
            with self._client.stream(method, self._url, content=content, headers=headers) as answer:
                return Answer(answer.status_code, _read(answer))
        except httpx.HTTPError as error:
            raise MessageNotSent from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _read(answer: httpx.Response) -> bytes:
    body = bytearray()
    for part in answer.iter_bytes():
        body += part
        if len(body) > _LARGEST_ANSWER:
            raise MessageNotSent
    return bytes(body)
