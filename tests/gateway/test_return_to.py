from urllib.parse import quote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.return_to import safe_return_to

PUBLIC = "https://sso.example.org"
PREFIX = "/sparekey"
APPLICATION = "https://app.example.org"


def back(value: str) -> str | None:
    return safe_return_to(value, public=PUBLIC, prefix=PREFIX, origins=(APPLICATION,))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/realms/corp/login?client_id=a&tab_id=b", f"{PUBLIC}/realms/corp/login?client_id=a&tab_id=b"),
        ("/", f"{PUBLIC}/"),
        (f"{PUBLIC}/authorize?next=//evil.example", f"{PUBLIC}/authorize?next=//evil.example"),
        (PUBLIC, PUBLIC),
        (f"{APPLICATION}/start?x=1#part", f"{APPLICATION}/start?x=1#part"),
        (APPLICATION, APPLICATION),
    ],
)
def test_a_way_back_to_the_sign_in_or_an_application_is_followed(value: str, expected: str) -> None:
    assert back(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%2f/evil.example",
        "/%5cevil.example",
        "/./\\evil.example",
        "/.//evil.example",
        "/..//evil.example",
        "/%2e%2e//evil.example",
        "/a;b",
        "/\tevil",
        "/\nevil",
        " //evil.example",
        "\x00//evil.example",
        "/\u202e/evil",
        "https:evil.example",
        "https:/evil.example",
        "https://evil.example",
        "https://sso.example.org.evil.example/",
        "https://sso.example.org@evil.example/",
        "https://sso.example.org:443@evil.example/",
        "https://sso.example.org\\@evil.example/",
        "https://sso.example.org:8443/",
        "http://sso.example.org/",
        "HTTPS://SSO.EXAMPLE.ORG/",
        "https://app.example.org.evil.example",
        "https://app.example.organic/",
        "javascript:alert(1)",
        "data:text/html,x",
        "/sparekey",
        "/sparekey/",
        "/sparekey/register",
        "/SPAREKEY/hold/x",
        "/%73parekey/hold/x",
        "/sparekey?x",
        f"{PUBLIC}/sparekey/oidc/logout",
        "/" + "a" * 5000,
    ],
)
def test_any_other_way_back_is_not_followed(value: str) -> None:
    assert back(value) is None


SIGNS = [
    "/",
    "//",
    "\\",
    ".",
    "..",
    "%2f",
    "%5c",
    "%2e",
    ":",
    "@",
    "?",
    "#",
    ";",
    "\t",
    "\n",
    "%00",
    "\u200f",
]
NAMES = ["https:", "http://", "sso.example.org", "app.example.org", "evil.example", "sparekey", "realms", "a"]
PIECES = st.sampled_from([*SIGNS, *NAMES])


@given(st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=40))
def test_wherever_it_leads_a_browser_stays_at_a_known_origin(value: str) -> None:
    found = back(value)
    if found is None:
        return
    seen = browsers_reading(f"{PUBLIC}/sparekey/reset/done", found)
    assert (seen.scheme, seen.netloc) in {("https", "sso.example.org"), ("https", "app.example.org")}
    if seen.netloc == "sso.example.org":
        assert not seen.path.startswith(PREFIX)


def browsers_reading(base: str, value: str):
    # What the URL standard lets browsers do and Python does not: drop tabs and line ends, trim, turn slashes.
    plain = value.strip("".join(map(chr, range(33)))).translate({9: None, 10: None, 13: None})
    scheme, colon, rest = plain.partition(":")
    if colon and scheme.lower() in {"http", "https"}:
        plain = f"{scheme}:{rest.partition('?')[0].replace(chr(92), '/')}"
    return urlsplit(urljoin(base, plain.replace("\\", "/")))


@given(st.text(min_size=1, max_size=60))
def test_a_quoted_query_survives_unchanged(text: str) -> None:
    value = f"/authorize?state={quote(text, safe='')}"
    assert back(value) == PUBLIC + value
