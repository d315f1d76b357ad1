"""SAML responses read as an attacker's: what is no sign-in has to prove it, what is odd is not read."""

import base64
import datetime as dt
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp_plugin.saml_document import LONGEST_DOCUMENT, Unreadable, read_elements
from idp_plugin.saml_response import ASSERTION, PROTOCOL, decoded_message, read_response, signs_in

NAMES = f'xmlns:p="{PROTOCOL}" xmlns:a="{ASSERTION}"'
SUCCESS = '<p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></p:Status>'
REFUSAL = (
    '<p:Status><p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder">'
    '<p:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:NoPassive"/></p:StatusCode></p:Status>'
)
SIGNED_IN = (
    "<a:Assertion><a:Subject><a:SubjectConfirmation><a:SubjectConfirmationData"
    ' NotOnOrAfter="2026-05-04T12:05:00.5Z"/></a:SubjectConfirmation></a:Subject>'
    '<a:Conditions NotOnOrAfter="2026-05-04T12:01:00Z"><a:AudienceRestriction>'
    "<a:Audience>https://sp.example.org</a:Audience></a:AudienceRestriction></a:Conditions>"
    '<a:AuthnStatement SessionIndex="session::client"/></a:Assertion>'
)


def response(inside: str, *, root: str = "p:Response", before: str = "", more: str = "") -> str:
    return f'{before}<{root} {NAMES} InResponseTo="_request" {more}>{inside}</{root}>'


def packed(document: str | bytes) -> str:
    return base64.b64encode(document.encode() if isinstance(document, str) else document).decode()


def deflated(document: str) -> str:
    packer = zlib.compressobj(wbits=-15)
    return packed(packer.compress(document.encode()) + packer.flush())


@pytest.mark.parametrize("pack", [packed, deflated])
def test_a_response_says_what_it_answers_and_for_whom_and_how_long(pack: object) -> None:
    assert callable(pack)
    read = read_response(pack(response(SUCCESS + SIGNED_IN)))
    assert read
    assert (read.in_response_to, read.session_index) == ("_request", "session::client")
    assert read.audiences == {"https://sp.example.org"}
    assert read.good_until == dt.datetime(2026, 5, 4, 12, 1, tzinfo=dt.UTC)


def test_an_encrypted_assertion_hides_whose_it_is_but_not_what_it_answers() -> None:
    read = read_response(packed(response(SUCCESS + "<a:EncryptedAssertion/>")))
    assert read
    assert (read.in_response_to, read.session_index, read.audiences) == ("_request", "", frozenset())
    assert read.good_until is None


def test_two_sessions_in_one_response_are_none() -> None:
    read = read_response(packed(response(SUCCESS + SIGNED_IN + SIGNED_IN)))
    assert read
    assert read.session_index == ""


@pytest.mark.parametrize(
    "document",
    [
        response(REFUSAL),
        response("", root="p:LogoutResponse"),
        response(SUCCESS, root="p:LogoutResponse"),
        '<?xml version="1.0" encoding="UTF-8"?>' + response(REFUSAL),
    ],
    ids=["refused", "signed out", "signed out with success", "declared"],
)
def test_refusals_and_sign_outs_sign_nobody_in(document: str) -> None:
    assert not signs_in(packed(document))
    assert not signs_in(deflated(document))


READ_IN_TWO_WAYS = (
    response(SUCCESS + SIGNED_IN),
    response(SUCCESS),
    response(""),
    response(REFUSAL + SIGNED_IN),
    response(SIGNED_IN + REFUSAL),
    response(REFUSAL + "<a:EncryptedAssertion/>"),
    response(REFUSAL + '<Assertion xmlns="urn:other"/>'),
    response(SIGNED_IN, root="p:LogoutResponse"),
    response(REFUSAL + SUCCESS),
    response(SUCCESS + REFUSAL),
    response(f"<p:Extensions>{REFUSAL}</p:Extensions>{SUCCESS}"),
    response(f"<p:Extensions>{REFUSAL}</p:Extensions>"),
    response(REFUSAL).replace(PROTOCOL, "urn:oasis:names:tc:SAML:1.0:protocol"),
    response(REFUSAL, before="<!DOCTYPE p:Response>"),
    response(REFUSAL, before='<!DOCTYPE p:Response [<!ENTITY e "x">]>'),
    response(REFUSAL, before='<!DOCTYPE p:Response SYSTEM "http://127.0.0.1:9/dtd">'),
    response(REFUSAL + "<!-- x -->"),
    response(REFUSAL + "<?x y?>"),
    response(REFUSAL + "<x><![CDATA[y]]></x>"),
    response(REFUSAL, before='<?xml version="1.0" encoding="ISO-8859-1"?>'),
    response(REFUSAL) + response(SUCCESS + SIGNED_IN),
    response(REFUSAL, more='InResponseTo="again"'),
    response(REFUSAL)[:-1],
    response("<x>" * 80 + "</x>" * 80 + REFUSAL),
    "",
)


@pytest.mark.parametrize("document", READ_IN_TWO_WAYS, ids=map(str, range(len(READ_IN_TWO_WAYS))))
def test_whatever_could_be_read_in_two_ways_counts_as_a_sign_in(document: str) -> None:
    assert signs_in(packed(document))


def test_a_response_in_another_encoding_counts_as_a_sign_in() -> None:
    for encoding in ("utf-16", "utf-16-le", "utf-7"):
        document = response(REFUSAL, before=f'<?xml version="1.0" encoding="{encoding}"?>')
        assert signs_in(packed(document.encode(encoding)))
    assert signs_in(packed(response(REFUSAL + "<x>\xff</x>").encode("latin-1")))


def test_base64_that_readers_take_differently_counts_as_a_sign_in() -> None:
    value = packed(response(REFUSAL))
    assert not signs_in("\r\n".join((value[:60], value[60:])))
    for odd in (f"-{value}", f"{value}!", f"{value[:8]}\0{value[8:]}", value.rstrip("=")[:-1], ""):
        assert signs_in(odd)


def test_a_deflated_response_is_read_whole_or_not_at_all() -> None:
    value = base64.b64decode(deflated(response(REFUSAL)))
    assert signs_in(packed(value[:-2]))
    assert signs_in(packed(value + b"<p:Response/>"))
    bomb = zlib.compressobj(wbits=-15)
    assert signs_in(packed(bomb.compress(b" " * (LONGEST_DOCUMENT * 40)) + bomb.flush()))


def test_entities_are_not_expanded_and_nothing_is_fetched() -> None:
    laughs = '<!DOCTYPE x [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
    outside = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>'
    for document in (laughs, outside, "<x>&undefined;</x>"):
        with pytest.raises(Unreadable):
            read_elements(document.encode())


@settings(max_examples=150)
@given(st.binary(max_size=200))
def test_garbage_is_never_read_and_never_raises_anything_else(garbage: bytes) -> None:
    value = packed(garbage)
    assert signs_in(value)
    assert read_response(value) is None
    assert signs_in(garbage.decode("latin-1"))


def test_what_is_decoded_is_what_was_sent() -> None:
    assert decoded_message(packed("<x/>")) == decoded_message(deflated("<x/>")) == b"<x/>"
