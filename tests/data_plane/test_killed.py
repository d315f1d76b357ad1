"""The gateway killed in the middle of sign-ins, with nothing else in front."""

import threading
from typing import Self

import httpx

from tests.data_plane.site import Site, eventually, has_code, is_held, restart_gateway
from tests.servers.visitor import Visitor


class Crowd:
    """People who try to get in, over and over, each in a thread of their own."""

    def __init__(self, site: Site, names: list[str]) -> None:
        self.let_in: dict[str, int] = dict.fromkeys(names, 0)
        self.held: dict[str, int] = dict.fromkeys(names, 0)
        self.lost: dict[str, int] = dict.fromkeys(names, 0)
        """Connections that were refused or cut."""
        self._site = site
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(name, site.visitor())) for name in names]

    def _run(self, name: str, visitor: Visitor) -> None:
        while not self._stop.is_set():
            visitor.cookies.clear()
            try:
                answer = self._site.sign_in(visitor, name)
            except httpx.HTTPError:
                self.lost[name] += 1
                self._stop.wait(0.05)
                continue
            self.let_in[name] += has_code(answer)
            self.held[name] += is_held(self._site, answer)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def test_a_gateway_killed_under_load_lets_nobody_in_who_must_not(embedded_site: Site) -> None:
    site = embedded_site
    covered, uncovered = ["kept one", "kept two"], ["stopped one", "stopped two"]
    for name in covered:
        site.register(name)
    with Crowd(site, covered + uncovered) as crowd:
        eventually(lambda: all(crowd.let_in[name] for name in covered))
        eventually(lambda: all(crowd.held[name] for name in uncovered))
        site.kill_gateway()
        eventually(lambda: all(crowd.lost.values()))
        restart_gateway(site)
        before = {**crowd.let_in}, {**crowd.held}
        # Nobody has to do anything: who is covered gets in again, who is not is held again.
        eventually(lambda: all(crowd.let_in[name] > before[0][name] for name in covered))
        eventually(lambda: all(crowd.held[name] > before[1][name] for name in uncovered))
    assert [crowd.let_in[name] for name in uncovered] == [0, 0]
    assert [crowd.held[name] for name in covered] == [0, 0]
