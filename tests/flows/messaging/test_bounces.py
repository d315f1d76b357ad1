"""Mail that comes back hours later: a real server reports it, and nobody else can."""

import base64
import datetime as dt
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from flows.messaging.bounces import LARGEST, envelope_sender, is_final, new_token, token_in
from flows.messaging.dispatch import Dispatch, Posted
from flows.messaging.message import Message, MessageKind
from flows.messaging.receipts import LIVES, Receipts
from flows.messaging.smtp_relay import SmtpRelay
from flows.settings import MailSettings
from gateway.cli import mail
from gateway.settings import from_mapping
from store.audit import AuditAction
from tests.flows.world import World, private
from tests.servers.exim import Exim
from tests.servers.processes import free_port
from tests.servers.valkey import Valkey

BOUNCES = "bounces@example.org"
TOKEN = "0123456789abcdef" * 2
REPORT = """\
From: Mail Delivery System <Mailer-Daemon@mx.example.net>
To: bounces+{token}@example.org
Content-Type: {type}; report-type=delivery-status; boundary=edge
MIME-Version: 1.0

--edge
Content-Type: text/plain

It could not be delivered.

--edge
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; bob.private@example.net
Action: {action}
Status: {status}

--edge--
"""


def report(action: str = "failed", status: str = "5.1.1", type: str = "multipart/report") -> bytes:  # noqa: A002
    return REPORT.format(token=TOKEN, type=type, action=action, status=status).encode()


@pytest.fixture
def run(tmp_path: Path, valkey: Valkey, monkeypatch: pytest.MonkeyPatch):
    """Run the command beside the world, whose keys and stores the settings name."""

    def ran(recipient: str, message: bytes, redis: str = "") -> Result:
        settings = from_mapping(
            {
                "gateway": {"public": "https://sso.example.org", "tls": {"certificate": "a", "key": "b"}},
                "idp": {
                    "address": "http://127.0.0.1:1",
                    "issuer": "https://sso.example.org",
                    "client_secret": "secret",
                    "kind": "keycloak",
                },
                "database": {"url": f"sqlite:///{tmp_path / 'sparekey.db'}"},
                "redis": {"url": redis or valkey.url},
                "vault": {"keys": [base64.b64encode(b"k" * 32).decode()]},
                "policies": {"file": str(tmp_path / "policies.toml")},
                "messages": {"mail": {"bounces": BOUNCES}},
            }
        )
        monkeypatch.setattr(mail, "load_or_exit", lambda *_: settings)
        return CliRunner().invoke(mail.command, ["bounced", recipient], input=message)

    return ran


def doubts(world: World) -> int:
    return len(world.audited(AuditAction.REGISTRATION_AUTHENTICATOR_DOUBTED))


def post_a_code(world: World, exim: Exim, kind: MessageKind = MessageKind.RESET_CODE) -> None:
    """Send Bob one message by a server that takes it."""
    relay = SmtpRelay(
        MailSettings(host="127.0.0.1", port=exim.port, tls="none", sender="a@example.org", bounces=BOUNCES),
        world.clock,
    )
    dispatch = Dispatch(
        jobs=world.jobs,
        database=world.database,
        channels={"email": [relay]},
        clock=world.clock,
        receipts=Receipts(database=world.database, expiring=world.expiring, clock=world.clock),
    )
    message = Message(
        to=private("bob"), channel="email", subject="Code", text="123456", kind=kind, reference="7K2M"
    )
    dispatch.deliver(Posted(message=message, person_id=world.person_id("bob"), until=None).to_json())
    assert not doubts(world)


def recipient_of(raw: bytes) -> str:
    line = next(each for each in raw.decode().splitlines() if each.startswith("Envelope-to: "))
    return line.removeprefix("Envelope-to: ")


def test_a_code_that_comes_back_later_has_its_person_asked_once(world: World, exim: Exim, run) -> None:
    world.a_person("bob", registered=("email",))
    post_a_code(world, exim)
    came = exim.came_back()
    # Nobody else's report ends it, and it ends once.
    assert run(envelope_sender(BOUNCES, new_token()), came).exit_code == 0
    assert run("bounces@example.org", came).exit_code == 0
    assert not doubts(world)
    for _ in range(2):
        result = run(recipient_of(came), came)
        assert (result.exit_code, result.output) == (0, "")
        assert doubts(world) == 1
    (event,) = world.audited(AuditAction.MESSAGE_UNDELIVERED)
    assert event.person_id == world.person_id("bob")
    assert event.detail == {"channel": "email", "kind": "reset_code", "provider": "mail"}


def test_a_notice_that_comes_back_is_told_and_is_no_evidence(world: World, exim: Exim, run) -> None:
    world.a_person("bob", registered=("email",))
    post_a_code(world, exim, MessageKind.NOTICE)
    came = exim.came_back()
    assert run(recipient_of(came), came).exit_code == 0
    assert len(world.audited(AuditAction.MESSAGE_UNDELIVERED)) == 1
    assert not doubts(world)


def test_a_server_is_asked_to_come_again_while_we_are_down(world: World, run) -> None:
    result = run(envelope_sender(BOUNCES, TOKEN), report(), redis=f"redis://127.0.0.1:{free_port()}/0")
    assert result.exit_code == 75


@pytest.mark.parametrize("status", ["5.1.1", "5.0.0", "5.2.1", "5.4.4", " 5.1.10 (gone)"])
def test_what_is_final_and_about_the_address_is_evidence(status: str) -> None:
    assert is_final(report(status=status))


@pytest.mark.parametrize(
    "raw",
    [
        report(action="delayed", status="4.4.1"),
        report(action="delivered", status="2.0.0"),
        report(status="4.4.7"),
        report(status="5.7.1"),
        report(status="5.3.4"),
        report(status="nonsense"),
        report(type="multipart/mixed"),
        b"",
        b"\0" * 1000,
        b"Subject: I am away until Monday\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n",
        b"Content-Type: multipart/report; boundary=\xff\xfe\r\n\r\n--\xff",
        b"Content-Type: multipart/report\r\n\r\nno boundary",
        pytest.param(
            b"".join(b"Content-Type: multipart/report; boundary=%d\n\n--%d\n" % (n, n) for n in range(5000)),
            id="deep",
        ),
        pytest.param(b"Subject: long\n\n" + b"x" * LARGEST + report(), id="long"),
    ],
)
def test_everything_else_says_nothing(raw: bytes) -> None:
    assert not is_final(raw)


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        BOUNCES,
        f"{TOKEN}@example.org",
        f"bounces+{TOKEN}@example.net",
        f"bounces+{TOKEN[:-1]}@example.org",
        f"bounces+{TOKEN}0@example.org",
        f"bounces+{'g' * 32}@example.org",
        f"other+{TOKEN}@example.org",
        f"bounces+{TOKEN}\n@example.org",
    ],
)
def test_an_address_that_is_not_ours_names_nothing(recipient: str) -> None:
    assert token_in(BOUNCES, recipient) == ""
    assert token_in("", recipient) == ""


def test_an_address_of_ours_is_read_in_any_capitals_and_is_short_enough() -> None:
    longest = f"{'b' * 31}@example.org"
    token = new_token()
    sender = envelope_sender(longest, token)
    assert token_in(longest, f"<{sender.upper()}>") == token
    assert len(sender.partition("@")[0]) <= 64


@pytest.mark.parametrize("bounces", ["bounces", "b+c@example.org", f"{'b' * 32}@e.org", "b@e\r\nBcc: x"])
def test_an_address_that_takes_no_token_is_refused_at_start(bounces: str) -> None:
    with pytest.raises(ValidationError):
        MailSettings(bounces=bounces)


def test_a_report_is_waited_for_as_long_as_servers_try() -> None:
    assert dt.timedelta(days=5) < LIVES
