"""One request after another over one socket, each answered whole before the next.

Security: an answer counts only for the request that it names. Anything else that arrives means that the
connection is not what we think it is, and ends it.
"""

import socket
from collections.abc import Sequence

from idp_plugin import ber
from idp_plugin.ldap import message
from idp_plugin.ldap.message import Control, Message

_PIECE = 1 << 16
_LONGEST = 1 << 26
"""Bytes of one message: a group with hundreds of thousands of members."""


class Conversation:
    """Over a connected socket whose own deadline ends every read and write."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._id = 0
        self._unread = bytearray()

    def ask(
        self, request: bytes, answer: int, controls: Sequence[Control] = ()
    ) -> tuple[list[Message], Message]:
        """Send a request and read until it is answered.

        Args:
            request: An operation of `message`.
            answer: The tag that ends it.
            controls: Sent along.

        Returns:
            The entries that came before, and the answer itself.

        Raises:
            OSError: The deadline is over, or the other side hung up.
            ValueError: What came is no answer to this.
        """
        self.tell(request, controls)
        found: list[Message] = []
        # Samba refuses with an extended answer, whatever was asked.
        while (one := self._next()).tag not in {answer, message.EXTENDED_ANSWER}:
            # References to other servers are left alone: our credentials go nowhere else.
            if one.tag == message.ENTRY:
                found.append(one)
            elif one.tag not in message.PASSED_OVER:
                raise ber.Malformed
        if one.tag != answer and message.result(one).code == message.SUCCESS:
            raise ber.Malformed
        return found, one

    def tell(self, request: bytes, controls: Sequence[Control] = ()) -> None:
        """Send what is not answered, or not yet."""
        self._id += 1
        self.sock.sendall(message.enveloped(self._id, request, controls))

    @property
    def is_between_messages(self) -> bool:
        """Whether everything that was received was read, too."""
        return not self._unread

    def _next(self) -> Message:
        start, size = self._head()
        if size > _LONGEST:
            raise ber.Malformed
        while len(self._unread) < start + size:
            self._receive()
        one = message.opened(bytes(self._unread[start : start + size]))
        del self._unread[: start + size]
        if one.id != self._id:
            raise ber.Malformed
        return one

    def _head(self) -> tuple[int, int]:
        """Return where the content of the next message starts, and its size."""
        while (head := ber.head(self._unread)) is None:
            self._receive()
        if self._unread[0] != ber.SEQUENCE:
            raise ber.Malformed
        return head

    def _receive(self) -> None:
        piece = self.sock.recv(_PIECE)
        if not piece:
            raise ConnectionError
        self._unread += piece
