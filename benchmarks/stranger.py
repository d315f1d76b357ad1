"""A browser that types a name, and takes the time of each step: one connection, kept open."""

import base64
import hashlib
import html
import http.client
import json
import re
import time
from collections.abc import Mapping
from urllib.parse import urlencode

from benchmarks.harness import Unfit

STEPS = ("start", "send", "answer")
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]*)"')
_WORK = re.compile(r'data-work="([^"]*)"')
_RESET = "/sparekey/reset"


class Stranger:
    """Walks from the typed name to the first wrong answer."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._cookies: dict[str, str] = {}

    def walk(self, name: str, *, more_seconds: float = 0) -> dict[str, float]:
        """Type a name, ask for a code, answer wrongly.

        Args:
            name: What is typed.
            more_seconds: Added to each step in earnest, to see whether it is found out.

        Returns:
            Seconds by step.

        Raises:
            Unfit: A step was not answered as for every name.
        """
        self._cookies.clear()
        page = self._ask("GET", _RESET)
        fields = {"identifier": name, "work": solved(page)}
        start = self._post(_RESET, page, fields, more_seconds)
        page = self._ask("GET", f"{_RESET}/choose")
        send = self._post(f"{_RESET}/choose", page, {"kind": "email"}, more_seconds)
        page = self._ask("GET", f"{_RESET}/code")
        answer = self._post(f"{_RESET}/code", page, {"code": "000000"}, more_seconds, status=422)
        return dict(zip(STEPS, (start, send, answer), strict=True))

    def _post(
        self, path: str, page: str, fields: Mapping[str, str], more_seconds: float, status: int = 303
    ) -> float:
        found = _TOKEN.search(page)
        if not found:
            raise Unfit(f"{path}: a page without a form")
        body = urlencode({"csrf_token": html.unescape(found[1]), **fields})
        began = time.perf_counter()
        self._ask("POST", path, body, status)
        answered = time.perf_counter()
        while time.perf_counter() < answered + more_seconds:
            pass
        return time.perf_counter() - began

    def _ask(self, method: str, path: str, body: str = "", status: int = 200) -> str:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body or None, headers)
        answer = self._connection.getresponse()
        page = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        if answer.status != status:
            raise Unfit(f"{method} {path}: {answer.status} instead of {status}")
        return page.decode()


def solved(page: str) -> str:
    """Do the work that a page asks for, and return the answer."""
    found = _WORK.search(page)
    if not found:
        raise Unfit("a page without work")
    challenge = json.loads(html.unescape(found[1]))
    for number in range(challenge["maxnumber"] + 1):
        if hashlib.sha256(f"{challenge['salt']}{number}".encode()).hexdigest() == challenge["challenge"]:
            return base64.b64encode(json.dumps({**challenge, "number": number}).encode()).decode()
    raise Unfit("work without an answer")
