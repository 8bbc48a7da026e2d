# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers whose body is read bit by bit, or as a whole within limits."""

from __future__ import annotations

import http.client
import typing as t

from .connections import Connection, Connections

LARGEST_ANSWER = 8 * 1024 * 1024
"""The largest answer that is read as a whole. A page of a thousand accounts has a quarter of a megabyte, and what JSON
of this size means takes a quarter of a gigabyte at the worst."""
LARGEST_ERROR = 64 * 1024
"""So much is read of an answer that is no success."""
_PIECE = 64 * 1024


class BrokenOff(Exception):
    """A streamed answer ended before its end."""


class TooLarge(BrokenOff):
    """An answer that was to be read as a whole is larger than any that DTR gives."""


class Stream:
    """An answer whose body was not read yet. It holds its connection until it is closed."""

    def __init__(
        self,
        connections: Connections,
        connection: Connection,
        response: http.client.HTTPResponse,
    ) -> None:
        self.status = response.status
        self.headers: t.Mapping[str, str] = response.headers  # type: ignore[assignment]
        self._connections = connections
        self._connection = connection
        self._response = response
        self._open = True

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def pieces(self, size: int) -> t.Iterator[bytes]:
        """The body in pieces of at most C(size) bytes, for as long as something comes within the time-out.

        Raises:
            BrokenOff: The connection broke, or nothing came for the time-out.
        """
        self._connection.without_end()
        yield from self._pieces(size)

    def _pieces(self, size: int) -> t.Iterator[bytes]:
        try:
            while True:
                piece = self._response.read(size)
                if not piece:
                    break
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise BrokenOff(str(error)) from None
        if self._response.length:
            raise BrokenOff(f"{self._response.length} bytes are missing")

    def read(self) -> bytes:
        """The whole body, which has to come within the time-out of the request.

        Raises:
            BrokenOff: The connection broke, or the body was not complete in time.
            TooLarge: It has more than C(LARGEST_ANSWER) bytes.
        """
        length = self._response.length
        if length is None:
            return self._read_without_length()
        if length > LARGEST_ANSWER:
            raise TooLarge(f"{length} bytes")
        try:
            return self._response.read()
        except (OSError, http.client.HTTPException) as error:
            raise BrokenOff(str(error)) from None

    def _read_without_length(self) -> bytes:
        pieces = []
        size = 0
        for piece in self._pieces(_PIECE):
            size += len(piece)
            if size > LARGEST_ANSWER:
                raise TooLarge(f"more than {LARGEST_ANSWER} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def beginning(self) -> tuple[bytes, bool]:
        """The body of an answer that is no success, as far as it can say what went wrong, and whether there is more.

        Raises:
            BrokenOff: The connection broke, or the body did not come in time.
        """
        pieces = []
        size = 0
        for piece in self._pieces(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_ERROR:
                return b"".join(pieces)[:LARGEST_ERROR], True
        return b"".join(pieces), False

    def close(self) -> None:
        """Give the connection back; it can be used again if the body was read to its end."""
        if not self._open:
            return
        self._open = False
        if not self._response.isclosed():
            self._connection.close()
        self._connections.give_back(self._connection)
