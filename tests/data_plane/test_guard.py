"""Applications that the printed nginx guards by itself, in two workers, with the real gateway behind it."""

import contextlib
import datetime as dt
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import pytest

from gateway.forward_auth.application_session import ApplicationSessions
from gateway.forward_auth.door import SESSION
from tests.data_plane.guarded_site import COOKIE, NOTES, WIKI, GuardedSite, subject
from tests.data_plane.site import eventually, restart_gateway
from tests.gateway.forward_auth.around import NAVIGATION

pytestmark = pytest.mark.xdist_group("data_plane")

REQUESTS = 24
"""On a connection each: enough for both workers."""


def statuses(guard: GuardedSite, cookie: str, host: str = WIKI) -> set[int]:
    """Return what many requests on many connections were answered."""
    return {guard.get(cookie, host=host).status_code for _ in range(REQUESTS)}


def let_in(guard: GuardedSite) -> float:
    """Return how often nginx says that it let somebody in without asking."""
    return guard.site.metric('sparekey_data_plane_answers_total{outcome="let_in"}')


def fields(guard: GuardedSite, host: str = WIKI) -> dict[str, list[str]]:
    """Return what the application last read, as one does that takes hyphen and underscore for the same."""
    found: dict[str, list[str]] = {}
    for name, value in guard.applications[host].seen[-1][1]:
        found.setdefault(name.upper().replace("-", "_"), []).append(value)
    return found


def believed(guard: GuardedSite) -> float:
    """Return for how many seconds an ended session may still pass."""
    return guard.revoked_within_ms / 1000


def test_of_a_session_the_gateway_is_asked_once_for_all_workers(guard: GuardedSite) -> None:
    cookie, asked = guard.session("once"), guard.asked()
    counted = let_in(guard)
    eventually(lambda: guard.is_known(cookie))
    before = guard.asked()
    assert before <= asked + 2
    assert statuses(guard, cookie) == {200}
    assert guard.asked() == before
    eventually(lambda: let_in(guard) >= counted + REQUESTS)


def test_the_application_is_told_who_it_is_whether_the_gateway_was_asked_or_not(guard: GuardedSite) -> None:
    cookie = guard.session("Bob")
    for _ in range(3):
        guard.get(cookie)
        told = fields(guard)
        assert told["REMOTE_USER"] == ["Bob"]
        assert told["REMOTE_EMAIL"] == ["Bob@example.org"]
        assert told["REMOTE_GROUPS"] == ["staff,wiki"]
        assert told["HOST"] == [WIKI]
        # What the gateway says to nginx alone.
        assert not any(name.startswith("X_SPAREKEY") for name in told)


def test_what_a_browser_says_of_itself_never_arrives(guard: GuardedSite) -> None:
    cookie = guard.known("honest")
    lies = {
        spelling: "mallory"
        for name in ("Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups")
        for spelling in (name, name.upper(), name.replace("-", "_"), name.lower().replace("-", "_"))
    }
    assert guard.is_known(cookie, **lies)
    assert fields(guard)["REMOTE_USER"] == ["honest"]
    assert "mallory" not in str(guard.applications[WIKI].seen[-1])


ENDS: Mapping[str, Callable[[GuardedSite, str, str], None]] = {
    "person": lambda guard, name, _: guard.ended.end_subject(subject(name), now=dt.datetime.now(dt.UTC)),
    "provider's session": lambda guard, name, _: guard.ended.end_idp_session(
        subject(name).source, f"session of {name}", now=dt.datetime.now(dt.UTC)
    ),
    "this session": lambda guard, _, cookie: ApplicationSessions(guard.expiring, guard.ended).end(
        cookie.removeprefix(SESSION)
    ),
}


@pytest.mark.parametrize("kind", ENDS)
def test_a_session_that_ended_passes_no_worker_any_more(guard: GuardedSite, kind: str) -> None:
    name = f"ended {kind}"
    cookie, another = guard.known(name), guard.known(f"not {name}")
    assert statuses(guard, cookie) == {200}
    ENDS[kind](guard, name, cookie)
    # What the settings promise is the bound: nobody is believed for longer than that.
    time.sleep(believed(guard))
    assert statuses(guard, cookie) == {401}
    assert statuses(guard, another) == {200}


def test_a_session_passes_until_its_end_and_not_after(guard: GuardedSite) -> None:
    lifetime = dt.timedelta(seconds=2)
    ends = time.time() + lifetime.total_seconds()
    cookie = guard.session("short", lifetime=lifetime)
    while (began := time.time()) < ends + 0.2:
        passed = guard.get(cookie).status_code == 200
        # Whole seconds are what the gateway states.
        assert not (passed and began > ends)
    assert statuses(guard, cookie) == {401}


def test_what_opens_one_application_opens_no_other(guard: GuardedSite) -> None:
    cookie = guard.known("visitor")
    assert statuses(guard, cookie, host=NOTES) == {401}
    assert guard.is_known(cookie)


def test_invented_sessions_are_neither_let_in_nor_remembered(guard: GuardedSite) -> None:
    cookie = guard.known("real")
    chosen, _, mark = cookie.partition(".")[2].partition(".")
    for invented in (
        "s.",
        f"s.{chosen}",
        f"s.{chosen}.{mark[:-1]}",
        f"s.x{chosen}.{mark}",
        f"n.{chosen}",
        cookie[2:],
    ):
        for _ in range(2):
            before = guard.asked()
            assert guard.get(invented).status_code == 401
            assert guard.asked() == before + 1


def as_the_gateway_reads(guard: GuardedSite, cookies: str) -> bool:
    """Tell whether the gateway itself lets a `Cookie` field in."""
    stated = {"X-Original-URL": f"https://{WIKI}/", "X-Original-Method": "GET", "Cookie": cookies}
    return guard.client.get(guard.asked_at, headers=stated).status_code == 200


def test_no_cookie_field_reads_otherwise_to_nginx_than_to_the_gateway(guard: GuardedSite) -> None:
    good, ended = guard.known("mine"), guard.session("theirs", host=NOTES)
    pieces = [
        *(f"{COOKIE}={good}", f"{COOKIE}={ended}", f"{COOKIE}=", COOKIE, f"{COOKIE.lower()}={good}"),
        *(f"x{COOKIE}={good}", f'a="{COOKIE}={good}', f"{COOKIE} ={good}", f"{COOKIE}={good}x"),
        *(f"{COOKIE}= {good}", f"sparekey-application={good}", "a=1", '"', "="),
    ]
    chance = random.Random(58)
    fields = [
        *("; ".join(pair) for pair in zip(pieces, reversed(pieces), strict=True)),
        *(f"{COOKIE}={good}; {COOKIE}={good}", f"{COOKIE}={good}; {COOKIE}=", f"a=1;{COOKIE}={good}"),
        *(
            chance.choice(["; ", ";", ";;", " ; ", ", "]).join(chance.choices(pieces, k=chance.randint(1, 3)))
            for _ in range(60)
        ),
    ]
    for field in fields:
        passed = guard.get(field).status_code == 200
        assert passed == as_the_gateway_reads(guard, field), field
    # Several fields of the name are one, for both.
    address, named = f"https://localhost:{guard.site.port}/", ("Host", WIKI)
    for lines, status in ((["a=1", f"{COOKIE}={good}"], 200), ([f"{COOKIE}={good}", f"{COOKIE}=x"], 401)):
        sent = [named, *(("Cookie", line) for line in lines)]
        assert guard.client.get(address, headers=sent).status_code == status
    assert guard.get(f"a=1; {COOKIE}={good}; b=2").status_code == 200
    assert guard.get(f"{COOKIE}={good}; {COOKIE}={good}").status_code == 401


def test_our_own_paths_are_always_the_gateways(guard: GuardedSite) -> None:
    cookie = guard.known("leaving")
    for path in ("/sparekey/forward-auth/sign-out", "//sparekey/forward-auth/../forward-auth/sign-out"):
        before = guard.asked()
        answer = guard.get(cookie, path, **NAVIGATION)
        assert guard.asked() == before + 1, path
        # Only written plainly it is the way out; else it is whatever the application makes of it.
        is_plain = path.startswith("/s")
        assert answer.headers.get("location", "").endswith("/oidc/logout") is is_plain
    assert guard.get(cookie, "/sparekey/auth").status_code == 404


def test_a_page_leads_to_the_sign_in_and_a_script_is_told_no(guard: GuardedSite) -> None:
    page = guard.get("", "/a?b=c", **NAVIGATION)
    assert page.status_code == 302
    assert page.headers["location"].startswith(f"{guard.site.public}/sparekey/forward-auth/sign-in?for=")
    assert page.headers["set-cookie"].startswith(f"{COOKIE}=n.")
    assert page.headers["cache-control"] == "no-store"
    assert guard.get("").status_code == 401


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_what_a_person_sends_arrives_whole(guard: GuardedSite, version: str) -> None:
    cookie, file = guard.session(f"sender {version}"), guard.site.folder / "sent"
    # More than nginx keeps in memory, so that asking the gateway must not have read it.
    file.write_bytes(b"a line of sixteen\n" * 16_384)
    curl: list[str | Path] = [
        "curl",
        "--silent",
        "--show-error",
        version,
        "--cacert",
        guard.site.folder / "authority.pem",
    ]
    sent = ["--cookie", f"{COOKIE}={cookie}", "--header", f"Host: {WIKI}", "--data-binary", f"@{file}"]
    for _ in range(3):
        answer = subprocess.check_output([*curl, *sent, f"https://localhost:{guard.site.port}/form"])
        assert json.loads(answer)["body"].encode() == file.read_bytes()


def test_an_unlisted_host_reaches_no_application(guard: GuardedSite) -> None:
    cookie = guard.known("stray")
    before = [len(application.seen) for application in guard.applications.values()]
    assert guard.get(cookie, host="evil.example.org").status_code == 421
    assert [len(application.seen) for application in guard.applications.values()] == before


@contextlib.contextmanager
def halted_valkey(guard: GuardedSite) -> Iterator[None]:
    """Let the gateway's Valkey accept and never answer."""
    valkey = int(guard.expiring.client.info("server")["process_id"])
    os.kill(valkey, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(valkey, signal.SIGCONT)


def test_while_redis_does_not_answer_the_gateway_decides(guard: GuardedSite) -> None:
    cookie = guard.known("waiting")
    looks = guard.site.metric("sparekey_data_plane_looks_total")
    with halted_valkey(guard):
        time.sleep(believed(guard))
        answer = guard.get(cookie)
        assert answer.status_code == 503
        assert "does not answer" in answer.text
        # Nor does the gateway seem to be gone, for the sign-ins that the same nginx carries.
        eventually(lambda: guard.site.metric("sparekey_data_plane_looks_total") > looks + 4)
        assert guard.site.visitor().get(guard.site.address()).status_code == 200
    eventually(lambda: guard.is_known(cookie))


def test_while_the_gateway_is_gone_nobody_passes_and_afterwards_all_are_asked_about(
    guard: GuardedSite,
) -> None:
    cookie = guard.known("patient")
    guard.site.kill_gateway()
    time.sleep(believed(guard))
    answers: list[httpx.Response] = [guard.get(cookie) for _ in range(REQUESTS)]
    assert {answer.status_code for answer in answers} == {503}
    assert "does not answer" in answers[0].text
    assert "no-store" in answers[0].headers["cache-control"]
    restart_gateway(guard.site)
    guard.reopen()
    # The gateway may have other settings and other keys now.
    before = guard.asked()
    assert guard.get(cookie).status_code == 200
    assert guard.asked() == before + 1
    eventually(lambda: guard.is_known(cookie))
