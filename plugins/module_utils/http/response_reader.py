# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer up to its body, read without the parser for e-mails that C(http.client) uses.

In ten thousand small requests that parser is a third of the work.
"""

from __future__ import annotations

import http.client
import io
import socket
import typing as t

# The same as those of http.client.
_LONGEST_LINE = 65536
_MOST_FIELDS = 100


class Fields(dict[str, str]):
    """The header fields of an answer by name, in any case of letters; of one that comes twice the first counts."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: t.Any = None) -> t.Any:
        """The value of a field, or the default where it is missing."""
        return super().get(name.lower(), default)


def _read_fields(file: io.BufferedReader) -> Fields:
    """The header fields up to the empty line behind them, within the limits of C(http.client)."""
    fields = Fields()
    last = ""
    for _each in range(_MOST_FIELDS + 1):
        line = file.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise http.client.LineTooLong("header line")
        if line in (b"\r\n", b"\n"):
            return fields
        if not line:
            raise http.client.IncompleteRead(line)
        text = line.decode("iso-8859-1")
        if text[0] in " \t":
            if last in fields:
                fields[last] += f" {text.strip()}"
            continue
        name, _colon, value = text.partition(":")
        name = name.lower()
        last = "" if name in fields else name
        fields.setdefault(name, value.strip())
    raise http.client.HTTPException(f"more than {_MOST_FIELDS} header fields")


def _read_status_line(file: io.BufferedReader) -> tuple[str, int, str]:
    """Version, status and reason."""
    line = file.readline(_LONGEST_LINE + 1).decode("iso-8859-1")
    if len(line) > _LONGEST_LINE:
        raise http.client.LineTooLong("status line")
    if not line:
        raise http.client.RemoteDisconnected("no answer")
    version, _blank, rest = line.strip().partition(" ")
    status, _blank, reason = rest.strip().partition(" ")
    if not version.startswith("HTTP/1.") or not (len(status) == 3 and status.isascii() and status.isdigit()):
        raise http.client.BadStatusLine(line)
    return version, int(status), reason.strip()


class Response(http.client.HTTPResponse):
    """An answer that reads its header fields itself.

    C(http.client) has them read by a parser for e-mails, which takes longer than all else in a small answer.
    """

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._is_head = method == "HEAD"

    def begin(self) -> None:
        """Read the answer up to its body, and find out where that ends."""
        status = 100
        while status < 200:
            version, status, self.reason = _read_status_line(self.fp)
            fields = _read_fields(self.fp)
        self.version = 10 if version == "HTTP/1.0" else 11
        self.status = status
        self.headers = fields  # type: ignore[assignment]
        self.chunked = fields.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = self._length_of_body()
        known = self.chunked or self.length is not None
        self.will_close = not known or self._closes(fields.get("connection", "").lower())

    def _closes(self, connection: str) -> bool:
        """Whether the server closes the connection after this answer, by the field C(Connection)."""
        return "close" in connection if self.version == 11 else "keep-alive" not in connection

    def _length_of_body(self) -> int | None:
        """The number of its bytes, or C(None) where it is not known beforehand."""
        if self.status in (204, 304) or self._is_head:
            return 0
        if self.chunked:
            return None
        try:
            length = int(self.headers.get("content-length", ""))
        except ValueError:
            return None
        return length if length >= 0 else None
