"""Mail that was taken and comes back later: which one, and whether that says anything of the address.

Every message leaves from an envelope address of its own, which carries a random token: whoever does not get a
message cannot name it, and so cannot have anybody's address doubted. What a report says besides is read for
one thing, whether it is final; nothing of it is kept.

Source: RFC 3464 (delivery status notifications); RFC 3463 (the numbers); RFC 5233 (`+`).
"""

import email
import re
import secrets
from email.message import Message

PROVIDER = "mail"
LARGEST = 1 << 20
"""Bytes of a report that are read: it quotes a message of ours, which is far shorter."""
_TOKEN = re.compile(r"[0-9a-f]{32}")
# Address, mailbox and route say something of the address; systems, protocols, content and policy do not.
_ABOUT_ADDRESS = re.compile(r"5\.[0124]\.\d{1,3}\b")


def new_token() -> str:
    """Return what names one message; capitals do not matter, because servers change them."""
    return secrets.token_hex(16)


def envelope_sender(bounces: str, token: str) -> str:
    """Return where one message comes back to.

    Args:
        bounces: The address of the settings, like `bounces@example.org`.
        token: The message's.
    """
    mailbox, _, domain = bounces.rpartition("@")
    return f"{mailbox}+{token}@{domain}"


def token_in(bounces: str, recipient: str) -> str:
    """Return the token in the address that a report was delivered to; empty where it is none of ours."""
    theirs, _, domain = recipient.strip().strip("<>").lower().rpartition("@")
    mailbox, _, token = theirs.partition("+")
    return token if f"{mailbox}@{domain}" == bounces.lower() and _TOKEN.fullmatch(token) else ""


def is_final(raw: bytes) -> bool:
    """Tell whether a message reports that an address will not get what was sent there.

    Delays, successes, answers of people and machines, and refusals that are not about the address are none.
    """
    # Security: anybody can mail anything here; nothing that it does to the parser is our failure.
    try:
        return any(_says_final(block) for block in _blocks(email.message_from_bytes(raw[:LARGEST])))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False


def _blocks(report: Message) -> list[Message]:
    """Return what a report says of each receiver."""
    if report.get_content_type() != "multipart/report":
        return []
    found = [each for each in _parts(report) if each.get_content_type() == "message/delivery-status"]
    # The first block of each is about the whole message.
    return [block for status in found for block in _parts(status)[1:]]


def _parts(message: Message) -> list[Message]:
    parts = message.get_payload()
    return [each for each in parts if isinstance(each, Message)] if isinstance(parts, list) else []


def _says_final(block: Message) -> bool:
    action, status = str(block.get("Action", "")), str(block.get("Status", ""))
    return action.strip().lower() == "failed" and bool(_ABOUT_ADDRESS.match(status.strip()))
