"""Held sign-ins without a plane: kept the way the interceptor keeps them."""

from gateway.interception.authorization_request import read_request
from gateway.portal_session import PortalSession
from idp_plugin.base import AuthorizationAnswer, Exchange, SignIn, Subject
from tests.journeys.world import PageVisitor

APPLICATION = "https://app.example.org"
TARGET = (
    "/authorize?client_id=timesheets&response_type=code&state=s1"
    "&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcb"
)


def portal_session(browser: PageVisitor) -> PortalSession:
    """What the browser's portal cookie stands for."""
    world = browser.world
    found = world.sparekey.services.portal_sessions.read(browser.cookie("session"), now=world.clock())
    assert found
    return found


def hold(browser: PageVisitor, *, target: str = TARGET, subject: str = "", session_id: str = "") -> str:
    """Hold a sign-in of the person who is signed in to the portal; returns the hold's path."""
    session, services = portal_session(browser), browser.world.sparekey.services
    sign_in = SignIn(
        Subject(session.subject.source, subject or session.subject.id),
        session_id or session.idp_session,
        "timesheets",
        groups=session.groups,
    )
    answer = AuthorizationAnswer(f"{APPLICATION}/cb", {"code": "secret-code", "state": "s1"}, "query")
    location = f"{APPLICATION}/cb?code=secret-code&state=s1".encode()
    exchange = Exchange(
        b"POST", b"/sign-in", (), b"", 302, ((b"Location", location), (b"X-Upstream", b"no")), b""
    )
    request = read_request(target.encode())
    kept = services.holds.keep(sign_in, answer, request, exchange, now=browser.world.clock())
    browser.app.set_cookie(f"sparekey-hold-{kept.id}", kept.secret)
    return f"/sparekey/hold/{kept.id}"
