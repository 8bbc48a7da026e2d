# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers byte by byte: their heads, where their bodies end, and when their connection is kept."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.http.connections import Fields
from ansible_collections.dtr.cache.plugins.module_utils.http.retries import Backoff
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


class Line(t.NamedTuple):
    """A server that says the same at each request: its URL, and its connections."""

    url: str
    connections: list[socket.socket]


@contextlib.contextmanager
def saying(answer: bytes, *, closes: bool = False) -> t.Iterator[Line]:
    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while connection.recv(65536):
                connection.sendall(answer)
                if closes:
                    return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listener.accept()
                line.connections.append(connection)
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(f"http://127.0.0.1:{listener.getsockname()[1]}", [])
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield line
        # Wakes the thread that waits for a connection.
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def connect(line: Line) -> Transport:
    return Transport(line.url, timeout=5, retries=0, backoff=Backoff(0.001, 0.002, 5))


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1;x\r\n[\r\n1\r\n]\r\n0\r\nY: z\r\n\r\n"
KEPT, CLOSED = 1, 2


class TestAnswers:
    @pytest.mark.parametrize(
        ("answer", "body", "connections"),
        [
            (OK, b"[]", KEPT),
            (b"HTTP/1.1 200\nCONTENT-LENGTH:2\n\n[]", b"[]", KEPT),
            (b"HTTP/1.1 100 Continue\r\nX: a\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: b\r\n\r\n" + OK, b"[]", KEPT),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b"", KEPT),
            (CHUNKED, b"[]", KEPT),
            (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n[]", b"[]", KEPT),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n[]", b"[]", CLOSED),
            (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n[]", b"[]", CLOSED),
        ],
        ids=["length", "bare lines", "interim", "204", "chunks", "kept 1.0", "1.0", "close"],
    )
    def test_a_body_and_what_becomes_of_the_connection(self, answer: bytes, body: bytes, connections: int) -> None:
        with saying(answer) as line:
            transport = connect(line)
            assert [transport.request("GET", "/x", expect=(200, 204)).body for _each in range(2)] == [body] * 2
        assert len(line.connections) == connections

    @pytest.mark.parametrize("length", [b"", b"Content-Length: two\r\n", b"Content-Length: -1\r\n"])
    def test_a_body_without_a_length_ends_with_the_connection(self, length: bytes) -> None:
        with saying(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n[1]", closes=True) as line:
            transport = connect(line)
            assert [transport.get_json("/x") for _each in range(2)] == [[1]] * 2
        assert len(line.connections) == 2

    def test_an_answer_to_head_has_no_body(self) -> None:
        with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n") as line:
            transport = connect(line)
            answers = [transport.request("HEAD", "/x") for _each in range(2)]
        assert [(answer.body, answer.headers.get("Content-Length")) for answer in answers] == [(b"", "99999999999")] * 2
        assert len(line.connections) == 1

    def test_fields_are_found_in_any_case(self) -> None:
        head = b"X-Folded:  a \r\n\t b\r\nLINK: \xe9\r\nX-Twice: 1\r\nx-twice: 2\r\n  3\r\nX-Empty:\r\nnonsense\r\n"
        with saying(OK.replace(b"Content-Length", head + b"Content-Length")) as line:
            headers = connect(line).request("GET", "/x").headers
        names = ("X-Folded", "link", "X-TWICE", "X-Empty", "X-Missing")
        assert [headers.get(name) for name in names] == ["a b", "é", "1", "", None]
        assert headers["Link"] == "é"
        assert "lINK" in headers
        assert "X-Missing" not in headers
        assert isinstance(headers, Fields)

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (b"HTTP/1.1 200 OK\r\nServer: a\r\n", "closed the connection before the answer was complete"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[]", "closed the connection before the answer was complete"),
            (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000, "closed the connection before the answer was complete"),
            (b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 101 + b"\r\n", "closed the connection before the answer"),
            (b"HTTP/2 200 OK\r\n", "does not answer in HTTP"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer in HTTP"),
            (b"", "closed the connection before the answer was complete"),
        ],
        ids=["cut in its head", "cut in its body", "long line", "many fields", "HTTP/2", "SSH", "nothing"],
    )
    def test_what_is_no_whole_answer(self, answer: bytes, told: str) -> None:
        with saying(answer, closes=True) as line, pytest.raises(Failure, match=re.escape(told)):
            connect(line).get_json("/x")
