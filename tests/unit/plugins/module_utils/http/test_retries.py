# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an answer is waited for, and when a request is sent again."""

from __future__ import annotations

import contextlib
import email.utils
import socket
import threading
import time
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.http import connections, retries, transport
from ansible_collections.dtr.cache.plugins.module_utils.http.retries import Backoff, retry_after
from ansible_collections.dtr.cache.tests.unit.support.transports import always, connect, in_turn
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, serve
from hypothesis import given
from hypothesis import strategies as st


@contextlib.contextmanager
def dripping(answer: bytes, seconds: float) -> t.Iterator[str]:
    """A server that sends its answer byte by byte, each so many seconds after the one before; its URL."""
    ended = threading.Event()

    def serve_one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            for byte in answer:
                connection.sendall(bytes([byte]))
                if ended.wait(seconds):
                    return

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve_one, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        # Wakes the thread that waits for a connection.
        listener.shutdown(socket.SHUT_RDWR)


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class TestTime:
    """One attempt is bounded, however its answer comes; so are all attempts of a request together."""

    @pytest.mark.parametrize(
        "begin",
        [
            b"",
            b"HTTP/1.1 200 OK\r\nX-Long: ",
            b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n",
        ],
        ids=["status line", "headers", "body", "body without length", "chunks"],
    )
    def test_an_answer_that_drips(self, begin: bytes) -> None:
        """Something comes within each time-out, and there is no end of it for half a minute."""
        with dripping(begin + b"x" * 500, 0.06) as url, pytest.raises(Failure, match=r"within 0\.3 seconds") as raised:
            connect(url, timeout=0.3, retries=0).get_json("/x")
        assert raised.value.code == "TIMEOUT"

    def test_a_proxy_that_drips(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with dripping(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 500, 0.06) as url:
            monkeypatch.setenv("HTTPS_PROXY", url)
            with pytest.raises(Failure, match=r"gave no connection.*timed out") as raised:
                connect("https://dtr.example.org", timeout=0.3, retries=0).get_json("/x")
        assert raised.value.code == "PROXY_FAILED"

    def test_a_stream_may_take_longer_as_long_as_something_comes(self) -> None:
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n"
        with dripping(answer + b"x" * 12, 0.01) as url:
            stream = connect(url, timeout=5).stream("GET", "/blob")
            # What is left of the request's own time is over.
            stream._connection.deadline = 0.0
            with stream:
                assert b"".join(stream.pieces(4)) == b"x" * 12

    def test_the_time_of_a_request_begins_anew_on_a_connection_that_is_kept(self) -> None:
        with serve(always(Reply(200, b"[]"))) as site:
            transport_ = connect(site.url)
            transport_.get_json("/x")
            (kept, _since), *_others = transport_._connections._idle
            kept.deadline = 0.0
            assert kept.sock is not None
            kept.sock.settimeout(0.001)

            def slow(_request: Request) -> Reply:
                time.sleep(0.05)
                return Reply(200, b"[]")

            site.behaviour = slow
            assert transport_.get_json("/x") == []
        assert site.connections == 1

    @pytest.mark.parametrize(
        "reply",
        [Reply(200, b"[" + b" " * 2000 + b"]"), Reply(200, b"", {"Transfer-Encoding": "chunked"})],
        ids=["length", "chunks"],
    )
    def test_an_answer_without_end_is_not_read_to_its_end(self, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "LARGEST_ANSWER", 1000)
        if reply.headers:
            body = b"".join(b"64\r\n" + b"x" * 100 + b"\r\n" for _each in range(20))
            answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
            server: t.Any = dripping(answer, 0)
        else:
            server = serve(always(reply))
        with server as site, pytest.raises(Failure, match="sent an answer of more than") as raised:
            connect(site if isinstance(site, str) else site.url, retries=3).get_json("/x")
        assert raised.value.code == "UNEXPECTED_ANSWER"

    @given(st.integers(1, 40), st.floats(0.001, 5), st.floats(0.001, 60))
    def test_pauses_grow_up_to_a_cap(self, attempt: int, base: float, cap: float) -> None:
        bound = min(cap, base * 2 ** (attempt - 1))
        pauses = [Backoff(base, cap, 120).pause(attempt) for _each in range(20)]
        assert all(0 <= pause <= bound for pause in pauses)
        # Full jitter: clients that failed together do not come back together.
        assert len(set(pauses)) > 1
        later = Backoff(base, cap, 120)
        assert max(later.pause(attempt + 20) for _each in range(20)) <= cap

    def test_the_bound_is_what_the_pauses_are_drawn_from(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retries.random, "uniform", lambda _low, high: high)
        assert [Backoff().pause(attempt) for attempt in range(1, 8)] == [0.5, 1, 2, 4, 8, 10, 10]

    @pytest.mark.parametrize("asked", [None, "7", "9999999999999999999999"])
    def test_the_time_of_all_attempts_together_has_a_bound(
        self, monkeypatch: pytest.MonkeyPatch, asked: str | None
    ) -> None:
        clock = Clock()
        monkeypatch.setattr(transport, "time", clock)
        monkeypatch.setattr(retries, "time", clock)
        monkeypatch.setattr(retries.random, "uniform", lambda _low, high: high)
        reply = Reply(503, headers={"Retry-After": asked} if asked else {})
        with serve(always(reply)) as site, pytest.raises(Failure, match="503 Service Unavailable"):
            connect(site.url, retries=10_000, backoff=Backoff()).get_json("/x")
        assert sum(clock.pauses) <= Backoff().budget
        assert sum(clock.pauses) > Backoff().budget - Backoff().cap or asked == "9999999999999999999999"
        assert len(site.requests) == len(clock.pauses) + 1


class TestRetries:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_transient_statuses(self, status: int) -> None:
        with serve(in_turn(Reply(status), Reply(status), Reply(200, b"[]"))) as site:
            transport = connect(site.url)
            assert transport.get_json("/x") == []
        assert len(site.requests) == 3
        assert len(transport.warnings) == 2
        assert transport.warnings[0].startswith(f"GET {site.url}/x: {status} ")
        assert transport.warnings[0].endswith("4 of 5 retries left")

    def test_a_server_that_never_was_there_is_given_up_soon_with_one_warning(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            transport = connect(f"http://127.0.0.1:{free.getsockname()[1]}", backoff=Backoff())
            transport.patient = False
            began = time.monotonic()
            with pytest.raises(Failure, match="refused the connection"):
                transport.get_json("/x")
        assert 1.5 <= time.monotonic() - began < 3
        assert transport.warnings == [
            f"GET {transport.base_url}/x: {transport.base_url[7:]} refused the connection; it is tried again for 2 "
            "seconds"
        ]

    @pytest.mark.parametrize("patient", [True, False])
    def test_one_that_has_answered_may_be_starting_again(self, patient: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = Clock()
        with serve(always(Reply(200, b"[]"))) as site:
            transport_ = connect(site.url, retries=5, backoff=Backoff())
            transport_.patient = patient
            if not patient:
                transport_.get_json("/x")
                transport_.close()
        monkeypatch.setattr(transport, "time", clock)
        monkeypatch.setattr(retries, "time", clock)
        monkeypatch.setattr(retries.random, "uniform", lambda _low, high: high)
        with pytest.raises(Failure, match="refused the connection"):
            transport_.get_json("/x")
        assert clock.pauses == [0.5, 1, 2, 4, 8]
        assert len(transport_.warnings) == 5

    def test_without_retries_it_is_asked_once(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            transport = connect(f"http://127.0.0.1:{free.getsockname()[1]}", retries=0)
            transport.patient = False
            with pytest.raises(Failure, match="refused the connection"):
                transport.get_json("/x")
        assert transport.warnings == []

    def test_dropped_connection(self) -> None:
        with serve(in_turn(Reply(drop=True), Reply(200, b"[]"))) as site:
            assert connect(site.url).get_json("/x") == []
        assert len(site.requests) == 2

    def test_body_cut_off_by_the_connection(self) -> None:
        with serve(in_turn(Reply(200, b"[1,", length=10), Reply(200, b"[1]"))) as site:
            assert connect(site.url).get_json("/x") == [1]
        assert len(site.requests) == 2

    def test_time_out(self) -> None:
        release = threading.Event()

        def hangs_once(_request: Request) -> Reply:
            if len(site.requests) == 1:
                release.wait(5)
            return Reply(200, b"[]")

        with serve(hangs_once) as site:
            transport = connect(site.url, timeout=0.2)
            assert transport.get_json("/x") == []
            release.set()
        assert "within 0.2 seconds" in transport.warnings[0]

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 415, 500])
    def test_others_are_not_retried(self, status: int) -> None:
        with serve(always(Reply(status))) as site, pytest.raises(Failure) as raised:
            connect(site.url).get_json("/x")
        assert raised.value.http_status == status
        assert len(site.requests) == 1

    def test_a_query_is_not_repeated(self) -> None:
        with serve(lambda _request: Reply(503)) as site, pytest.raises(Failure) as caught:
            connect(site.url).request("PUT", "/v2/a/blobs/uploads/1?_state=signed")
        assert caught.value.url == f"{site.url}/v2/a/blobs/uploads/1"
        assert "signed" not in str(caught.value.as_result())

    def test_the_number_is_bounded(self) -> None:
        with serve(always(Reply(503))) as site, pytest.raises(Failure, match="503 Service Unavailable"):
            connect(site.url, retries=2).get_json("/x")
        assert len(site.requests) == 3

    def test_retry_after_is_honoured(self) -> None:
        with serve(in_turn(Reply(429, headers={"Retry-After": "1"}), Reply(200, b"[]"))) as site:
            begin = time.monotonic()
            connect(site.url).get_json("/x")
        assert time.monotonic() - begin >= 1

    def test_retry_after_beyond_the_budget_ends_the_request_at_once(self) -> None:
        with serve(always(Reply(503, headers={"Retry-After": "600"}))) as site:
            begin = time.monotonic()
            with pytest.raises(Failure) as raised:
                connect(site.url).get_json("/x")
        assert time.monotonic() - begin < 2
        assert "600 seconds" in (raised.value.hint or "")

    def test_a_server_that_is_down_is_not_asked_for_ever(self) -> None:
        with serve(always(Reply(503))) as site:
            transport = connect(site.url, retries=2)
            for _round in range(10):
                with pytest.raises(Failure):
                    transport.get_json("/x")
            patient = 3 * 3
            assert len(site.requests) == patient + 7
            site.behaviour = in_turn(Reply(200, b"[]"), Reply(503), Reply(200, b"[]"))
            transport.get_json("/x")
            assert transport.get_json("/x") == []

    def test_a_server_that_is_down_is_recognised_without_retries_as_well(self) -> None:
        """One disturbance may hit all requests that are under way, so it takes as many more."""
        with serve(always(Reply(503))) as site:
            transport_ = connect(site.url, retries=0, concurrency=4)
            for _round in range(3 + 4):
                assert not transport_.down
                with pytest.raises(Failure):
                    transport_.get_json("/x")
            assert transport_.down
            site.behaviour = always(Reply(200, b"[]"))
            transport_.get_json("/x")
            assert not transport_.down

    def test_a_post_that_may_have_been_acted_on_is_not_sent_again(self) -> None:
        with serve(always(Reply(drop=True))) as site, pytest.raises(Failure) as raised:
            connect(site.url).request("POST", "/x", body={})
        assert raised.value.code == "OUTCOME_UNKNOWN"
        assert len(site.requests) == 1

    def test_a_post_that_was_refused_for_now_is_sent_again(self) -> None:
        with serve(in_turn(Reply(429), Reply(200, b"{}"))) as site:
            connect(site.url).request("POST", "/x", body={})
        assert len(site.requests) == 2

    def test_many_retries_are_summed_up(self) -> None:
        def every_other(_request: Request) -> Reply:
            return Reply(503) if len(site.requests) % 2 else Reply(200, b"[]")

        with serve(every_other) as site:
            transport = connect(site.url)
            for _round in range(30):
                transport.get_json("/x")
        assert len(transport.warnings) == 6
        assert "25 more requests" in transport.warnings[-1]

    def test_retry_after_notations(self) -> None:
        assert retry_after("7") == 7
        assert 55 < (retry_after(email.utils.formatdate(time.time() + 60, usegmt=True)) or 0) <= 60
        assert retry_after(email.utils.formatdate(time.time() - 60, usegmt=True)) == 0
        assert retry_after("soon") is None
        assert retry_after("²") is None
        assert retry_after("٣") is None
        assert retry_after("Mon, 01 Jan 0001 00:00:00 -0000") in (None, 0)
        assert retry_after(None) is None
