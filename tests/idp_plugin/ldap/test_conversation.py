"""What a server sends that it should not: another question's answer, too much, too little."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp_plugin import ber
from idp_plugin.ldap import message
from idp_plugin.ldap.conversation import Conversation

QUESTION = message.search("dc=example", "(objectClass=*)", ["cn"], limit=0, below=True)
REFERENCE, UNKNOWN = 0x73, 0x7F


def done(tag: int = message.SEARCH_ANSWER, code: int = 0) -> bytes:
    return ber.sequence([ber.integer(code, ber.ENUMERATED), ber.text(""), ber.text("")], tag)


def found(dn: str) -> bytes:
    values = ber.sequence([ber.text("one"), ber.text("two")], ber.SET)
    attributes = ber.sequence([ber.sequence([ber.text("CN"), values])])
    return ber.sequence([ber.text(dn), attributes], message.ENTRY)


@contextlib.contextmanager
def conversation(*pieces: bytes) -> Iterator[Conversation]:
    """Begin one whose other side says these pieces, whatever it is asked."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)

    def speak() -> None:
        # Who has heard enough hangs up first.
        with contextlib.suppress(OSError):
            for piece in pieces:
                theirs.sendall(piece)
            theirs.shutdown(socket.SHUT_WR)

    speaker = threading.Thread(target=speak)
    with ours, theirs:
        speaker.start()
        yield Conversation(ours)
        speaker.join(10)


def ask(*pieces: bytes) -> tuple[list[str], int]:
    with conversation(*pieces) as talk:
        entries, last = talk.ask(QUESTION, message.SEARCH_ANSWER)
    return [message.entry(each)[0] for each in entries], message.result(last).code


def test_entries_come_before_the_answer_and_references_are_passed_over() -> None:
    whole = [found("cn=a"), ber.sequence([ber.text("ldap://elsewhere")], REFERENCE), found("cn=b")]
    said = b"".join(message.enveloped(1, each) for each in (*whole, done()))
    assert ask(said) == (["cn=a", "cn=b"], 0)
    assert ask(*(said[at : at + 1] for at in range(len(said)))) == (["cn=a", "cn=b"], 0)


def test_values_are_found_by_the_lower_case_name_of_their_attribute() -> None:
    with conversation(message.enveloped(1, found("cn=a")) + message.enveloped(1, done())) as talk:
        (entry,), _ = talk.ask(QUESTION, message.SEARCH_ANSWER)
    assert message.entry(entry) == ("cn=a", {"cn": (b"one", b"two")})


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(message.enveloped(2, done()), id="the answer to another question"),
        pytest.param(message.enveloped(0, done(message.EXTENDED_ANSWER, 52)), id="a goodbye"),
        pytest.param(message.enveloped(1, done(message.BIND_ANSWER)), id="an answer of another kind"),
        pytest.param(message.enveloped(1, done(message.EXTENDED_ANSWER)), id="success of another kind"),
        pytest.param(message.enveloped(1, ber.text("", UNKNOWN)), id="nothing known"),
        pytest.param(
            message.enveloped(1, ber.text("", message.SEARCH_ANSWER)), id="an answer without a code"
        ),
        pytest.param(b"\x30\x84\x7f\xff\xff\xff", id="the promise of two gigabytes"),
        pytest.param(b"\x30\x80\x02\x01\x01\x00\x00", id="no length"),
        pytest.param(b"\x04\x01a", id="no message"),
    ],
)
def test_what_is_no_answer_to_the_question_ends_it(said: bytes) -> None:
    with pytest.raises(ber.Malformed):
        ask(said)


def test_a_refusal_of_another_kind_is_a_refusal() -> None:
    assert ask(message.enveloped(1, done(message.EXTENDED_ANSWER, 12))) == ([], 12)


@pytest.mark.parametrize(
    "said", [b"", b"\x30", message.enveloped(1, done())[:-1], message.enveloped(1, found("a"))]
)
def test_who_hangs_up_before_the_end_has_not_answered(said: bytes) -> None:
    with pytest.raises(ConnectionError):
        ask(said)


def test_what_came_along_with_an_answer_is_noticed() -> None:
    with conversation(message.enveloped(1, done()) + b"more") as talk:
        talk.ask(QUESTION, message.SEARCH_ANSWER)
        assert not talk.is_between_messages


def test_an_answer_that_comes_too_late_is_not_the_next_questions() -> None:
    with conversation(message.enveloped(1, done()), message.enveloped(1, done())) as talk:
        talk.ask(QUESTION, message.SEARCH_ANSWER)
        with pytest.raises(ber.Malformed):
            talk.ask(QUESTION, message.SEARCH_ANSWER)


@given(st.binary(max_size=40))
def test_no_bytes_do_anything_else(said: bytes) -> None:
    with contextlib.suppress(ValueError, OSError):
        ask(said)
