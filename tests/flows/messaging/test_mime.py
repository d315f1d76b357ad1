import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.messaging import mime

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"))
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=300)


def read(mail: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(mail, policy=email.policy.default)


@given(TEXT, TEXT)
def test_text_and_page_come_out_as_they_went_in(text: str, page: str) -> None:
    mail = read(mime.written({"Subject": "x"}, text, page))
    assert [each.get_content_type() for each in mail.iter_parts()] == ["text/plain", "text/html"]
    assert [each.get_payload(decode=True) for each in mail.iter_parts()] == [
        f"{each}\n".replace("\n", "\r\n").encode().removesuffix(b"\r\n") for each in (text, page)
    ]


@given(TEXT)
def test_a_text_alone_comes_out_as_it_went_in(text: str) -> None:
    mail = read(mime.written({}, text, None))
    assert mail.get_content_type() == "text/plain"
    assert mail.get_payload(decode=True) == text.replace("\n", "\r\n").encode()


@given(LINE)
def test_a_header_in_any_script_comes_out_as_it_went_in(subject: str) -> None:
    assert " ".join(str(read(mime.written({"Subject": subject}, "", None))["Subject"]).split()) == " ".join(
        subject.split()
    )


@given(TEXT, LINE)
def test_no_line_is_longer_than_mail_servers_take(text: str, subject: str) -> None:
    for line in mime.written({"Subject": subject * 9}, text, text).split(b"\r\n"):
        assert len(line) <= 998
        assert b"\n" not in line


@pytest.mark.parametrize("value", ["a\r\nBcc: eve@example.net", "a\nb", "a\rb", "a\0"])
def test_no_value_begins_another_header(value: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        mime.written({"Subject": value}, "", None)
