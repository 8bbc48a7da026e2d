# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport against a real server: what is sent, what is retried, and what each failure is called."""

from __future__ import annotations

import contextlib
import email.utils
import json
import socket
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.http import connections, retries, streams, transport
from ansible_collections.dtr.cache.plugins.module_utils.http.base_url import normalise_url
from ansible_collections.dtr.cache.plugins.module_utils.http.retries import Backoff, retry_after
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, Reply, Request, make_identity, serve
from hypothesis import given
from hypothesis import strategies as st

FAST = Backoff(base=0.001, cap=0.002, budget=5)
JSON = {"Content-Type": "application/json"}
PASSWORD = "s3cret-of-the-test"


def connect(url: str, **options: t.Any) -> Transport:
    return Transport(url, **{"username": "admin", "password": PASSWORD, "backoff": FAST, "timeout": 5, **options})


def always(reply: Reply) -> t.Callable[[Request], Reply]:
    return lambda _request: reply


def in_turn(*replies: Reply) -> t.Callable[[Request], Reply]:
    """The replies one after the other, the last one for ever."""
    left = list(replies)
    lock = threading.Lock()

    def behaviour(_request: Request) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return behaviour


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


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority() -> Identity:
    return make_identity("The test's CA", ca=True)


@pytest.fixture(scope="module")
def server(authority: Identity) -> Identity:
    return make_identity("dtr", authority)


class TestWhatIsSent:
    def test_json_headers_and_basic_authentication(self) -> None:
        with serve(always(Reply(200, b"[]"))) as site:
            assert connect(site.url).get_json("/api/v0/content_caches", {"a": "x y&z"}) == []
        headers = site.requests[0].headers
        assert headers["Accept"] == "application/json"
        assert headers["Authorization"].startswith("Basic ")
        assert site.requests[0].query == {"a": ["x y&z"]}
        assert "Content-Type" not in headers

    def test_body_is_json(self) -> None:
        with serve(always(Reply(200))) as site:
            connect(site.url).request("PATCH", "/x", body={"contentCacheUUID": ""})
        assert json.loads(site.requests[0].body) == {"contentCacheUUID": ""}
        assert site.requests[0].headers["Content-Type"] == "application/json"

    def test_netrc_cookies_and_redirects_are_left_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        netrc = tmp_path / ".netrc"
        netrc.write_text("machine 127.0.0.1 login wrong password wrong\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(netrc))
        with serve(always(Reply(200, b"[]", {"Set-Cookie": "session=1; Path=/"}))) as site:
            anonymous = connect(site.url, username=None, password=None)
            anonymous.get_json("/one")
            anonymous.get_json("/two")
        assert all("Authorization" not in each.headers and "Cookie" not in each.headers for each in site.requests)

    def test_credentials_do_not_follow_a_redirect(self) -> None:
        with (
            serve(always(Reply(200, b"[]"))) as other,
            serve(always(Reply(302, b"", {"Location": other.url}))) as site,
            pytest.raises(Failure) as raised,
        ):
            connect(site.url).get_json("/x")
        assert raised.value.code == "UNEXPECTED_REDIRECT"
        assert other.requests == []

    def test_one_connection_is_kept_alive(self) -> None:
        with serve(always(Reply(200, b"[]"))) as site:
            transport = connect(site.url)
            for _round in range(10):
                transport.get_json("/x")
        assert site.connections == 1

    def test_threads_share_a_bounded_pool(self) -> None:
        def slow(_request: Request) -> Reply:
            time.sleep(0.02)
            return Reply(200, b"[]")

        with serve(slow) as site:
            transport = connect(site.url, concurrency=4)
            with ThreadPoolExecutor(12) as executor:
                list(executor.map(lambda _: transport.get_json("/x"), range(48)))
        assert len(site.requests) == 48
        assert site.connections <= 4

    def test_url_prefix_is_kept(self) -> None:
        with serve(always(Reply(200, b"[]"))) as site:
            connect(f"{site.url}/dtr/").get_json("/api")
        assert site.requests[0].path == "/dtr/api"

    def test_stream_hands_out_the_body_unread(self) -> None:
        with serve(in_turn(Reply(503), Reply(200, b"x" * 100_000), Reply(200, b"[]"))) as site:
            transport = connect(site.url)
            with transport.stream("GET", "/v2/blob", headers={"Authorization": "Bearer t", "Accept": "*/*"}) as stream:
                assert sum(len(piece) for piece in stream.pieces(4096)) == 100_000
            transport.get_json("/v2/next")
        assert site.requests[1].headers["Authorization"] == "Bearer t"
        assert site.requests[1].headers["Accept"] == "*/*"


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
            stream = connect(url, timeout=0.6).stream("GET", "/blob")
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
        monkeypatch.setattr(streams, "LARGEST_ANSWER", 1000)
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
        assert len(transport.warnings) == 21
        assert "10 more requests" in transport.warnings[-1]

    def test_retry_after_notations(self) -> None:
        assert retry_after("7") == 7
        assert 55 < (retry_after(email.utils.formatdate(time.time() + 60, usegmt=True)) or 0) <= 60
        assert retry_after(email.utils.formatdate(time.time() - 60, usegmt=True)) == 0
        assert retry_after("soon") is None
        assert retry_after("²") is None
        assert retry_after("٣") is None
        assert retry_after("Mon, 01 Jan 0001 00:00:00 -0000") in (None, 0)
        assert retry_after(None) is None


class TestFailuresInWords:
    def failure(self, reply: Reply) -> Failure:
        with serve(always(reply)) as site, pytest.raises(Failure) as raised:
            connect(site.url, retries=0).get_json("/api/x", {"refresh_token": "hidden"})
        assert raised.value.url == f"{site.url}/api/x"
        assert "hidden" not in str(raised.value.as_result())
        assert PASSWORD not in str(raised.value.as_result())
        assert f"GET {site.url}/api/x answered {reply.status} " in raised.value.message
        return raised.value

    def test_the_envelope(self) -> None:
        body = {"errors": [{"code": "NO_SUCH_USER", "message": "A user does not exist.", "detail": {"name": "x"}}]}
        failure = self.failure(Reply(404, json.dumps(body).encode(), JSON))
        assert failure.code == "NO_SUCH_USER"
        assert 'NO_SUCH_USER: A user does not exist ({"name": "x"}).' in failure.message

    @pytest.mark.parametrize(
        "body",
        [b"", b"not json", b"[]", b'{"errors": null}', b'{"errors": [1]}', b'{"errors": [{}]}', b'"text"', b"{"],
    )
    def test_errors_without_a_usable_envelope(self, body: bytes) -> None:
        assert self.failure(Reply(404, body, JSON)).code == "NOT_FOUND"

    def test_bad_credentials(self) -> None:
        failure = self.failure(Reply(401))
        assert failure.code == "NOT_AUTHENTICATED"
        assert "access token" in (failure.hint or "")

    def test_log_in_page(self) -> None:
        failure = self.failure(Reply(302, b"", {"Location": "/api/v0/openid/begin?next=secret"}))
        assert failure.code == "NOT_AUTHENTICATED"
        assert "log-in page /api/v0/openid/begin:" in failure.message

    @pytest.mark.parametrize("location", ["https://[x/login", "//[::1/login", "https://h:port:x]/"])
    def test_a_redirect_to_what_is_no_url(self, location: str) -> None:
        failure = self.failure(Reply(302, b"", {"Location": location}))
        assert failure.code in ("UNEXPECTED_REDIRECT", "NOT_AUTHENTICATED")
        assert "[x" not in failure.message

    def test_json_without_bottom(self) -> None:
        assert "cut off or broken" in self.failure(Reply(200, b"[" * 200_000)).message
        assert self.failure(Reply(400, b"[" * 200_000)).code == "HTTP_400"

    def test_html(self) -> None:
        failure = self.failure(Reply(200, b"<!DOCTYPE html><p>Welcome", {"Content-Type": "text/html"}))
        assert failure.code == "UNEXPECTED_ANSWER"
        assert "an HTML page instead of JSON" in failure.message

    def test_html_error(self) -> None:
        assert "HTML page" in self.failure(Reply(503, b"<html>nginx", {"Content-Type": "text/html"})).message

    def test_empty_body(self) -> None:
        assert "an empty body" in self.failure(Reply(200)).message

    def test_cut_off_json(self) -> None:
        assert "cut off or broken after 8 bytes" in self.failure(Reply(200, b'[{"id": ')).message

    def test_text(self) -> None:
        assert "text that is not JSON" in self.failure(Reply(200, b"healthy")).message

    def test_refused_connection(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{free.getsockname()[1]}"
            with pytest.raises(Failure, match="refused the connection") as raised:
                connect(url, retries=1).get_json("/x")
        assert raised.value.code == "CONNECTION_FAILED"

    def test_unknown_host_is_not_retried(self) -> None:
        transport = connect("https://no-such-host.invalid")
        with pytest.raises(Failure, match=r"no-such-host\.invalid is unknown") as raised:
            transport.get_json("/x")
        assert raised.value.code == "NAME_NOT_RESOLVED"
        assert transport.warnings == []


class TestTls:
    def get(self, identity: Identity, folder: Path, client_ca: Identity | None = None, **options: t.Any) -> t.Any:
        with serve(always(Reply(200, b"[]")), identity.server_context(folder, client_ca)) as site:
            return connect(site.url, retries=0, **options).get_json("/x")

    def test_ca_as_text_file_and_folder(self, authority: Identity, server: Identity, tmp_path: Path) -> None:
        folder = tmp_path / "certs.d"
        folder.mkdir()
        file = folder / "ca.crt"
        file.write_text(authority.pem)
        assert self.get(server, tmp_path, ca_certificate=authority.pem) == []
        assert self.get(server, tmp_path, ca_path=str(file)) == []
        assert self.get(server, tmp_path, ca_path=str(folder)) == []

    def test_verification_is_on_by_default(self, server: Identity, tmp_path: Path) -> None:
        with pytest.raises(Failure, match="signed by an unknown authority") as raised:
            self.get(server, tmp_path)
        assert raised.value.code == "TLS_UNKNOWN_AUTHORITY"
        assert "ca_path" in (raised.value.hint or "")

    def test_nothing_is_sent_after_a_failed_handshake(self, server: Identity, tmp_path: Path) -> None:
        with serve(always(Reply(200, b"[]")), server.server_context(tmp_path)) as site:
            transport = connect(site.url, retries=0)
            for _round in range(3):
                with pytest.raises(Failure, match="unknown authority"):
                    transport.get_json("/x")
        assert site.requests == []

    def test_a_given_ca_replaces_all_others(self, server: Identity, tmp_path: Path) -> None:
        with pytest.raises(Failure, match="unknown authority"):
            self.get(server, tmp_path, ca_certificate=make_identity("Another CA", ca=True).pem)

    def test_verification_can_be_switched_off(self, server: Identity, tmp_path: Path) -> None:
        assert self.get(server, tmp_path, validate_certs=False) == []

    def test_intermediate_ca_as_anchor(self, authority: Identity, tmp_path: Path) -> None:
        intermediate = make_identity("Intermediate", authority, ca=True)
        leaf = make_identity("dtr", intermediate)
        assert self.get(leaf, tmp_path, ca_certificate=intermediate.pem) == []

    def test_expired(self, authority: Identity, tmp_path: Path) -> None:
        old = make_identity("dtr", authority, days=(-30, -1))
        with pytest.raises(Failure, match="has expired") as raised:
            self.get(old, tmp_path, ca_certificate=authority.pem)
        assert raised.value.code == "TLS_EXPIRED"

    def test_not_yet_valid(self, authority: Identity, tmp_path: Path) -> None:
        early = make_identity("dtr", authority, days=(1, 2))
        with pytest.raises(Failure, match="not valid yet"):
            self.get(early, tmp_path, ca_certificate=authority.pem)

    def test_other_host_name(self, authority: Identity, tmp_path: Path) -> None:
        other = make_identity("dtr", authority, addresses=["127.0.0.2"])
        with pytest.raises(Failure, match="another host name") as raised:
            self.get(other, tmp_path, ca_certificate=authority.pem)
        assert raised.value.code == "TLS_HOST_MISMATCH"

    def test_plain_http_on_the_port(self, authority: Identity) -> None:
        with serve(always(Reply(200))) as site, pytest.raises(Failure, match="does not speak TLS") as raised:
            connect(f"https://127.0.0.1:{site.port}", ca_certificate=authority.pem).get_json("/x")
        assert raised.value.code == "TLS_NOT_SPOKEN"

    def test_client_certificate(self, authority: Identity, server: Identity, tmp_path: Path) -> None:
        clients = make_identity("CA of the clients", ca=True)
        certificate, key = make_identity("alice", clients).write(tmp_path, "alice")
        common = {"ca_certificate": authority.pem, "username": None, "password": None}
        assert self.get(server, tmp_path, clients, client_cert=str(certificate), client_key=str(key), **common) == []
        with pytest.raises(Failure) as raised:
            self.get(server, tmp_path, clients, **common)
        assert raised.value.code == "TLS_CLIENT_CERTIFICATE_REQUIRED"

    def test_a_refusal_that_comes_before_the_request_is_written(
        self, authority: Identity, server: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In TLS 1.3 the server refuses the client after the handshake, and may have closed by then."""
        send = connections.Connection.send

        def late(connection: connections.Connection, data: t.Any) -> None:
            time.sleep(0.1)
            send(connection, data)

        monkeypatch.setattr(connections.Connection, "send", late)
        with pytest.raises(Failure) as raised:
            self.get(server, tmp_path, make_identity("CA of the clients", ca=True), ca_certificate=authority.pem)
        assert raised.value.code == "TLS_CLIENT_CERTIFICATE_REQUIRED"

    def test_files_that_cannot_be_used(self, authority: Identity, tmp_path: Path) -> None:
        certificate, key = make_identity("alice", authority).write(tmp_path, "alice")
        _other, wrong_key = make_identity("bob", authority).write(tmp_path, "bob")
        locked = tmp_path / "locked.pem"
        locked.write_text(make_identity("carol").encrypted_key_pem("pass"))
        junk = tmp_path / "junk.pem"
        junk.write_text("junk")
        for options, message in (
            ({"ca_path": "/nonexistent/ca.pem"}, "ca_path: /nonexistent/ca.pem cannot be used: no such file"),
            ({"ca_path": str(junk)}, "ca_path: .* holds no usable PEM certificate"),
            ({"ca_certificate": "junk"}, "ca_certificate: the PEM text cannot be used"),
            ({"client_cert": "/nonexistent/c.pem"}, "client_cert: /nonexistent/c.pem cannot be used"),
            ({"client_cert": str(junk)}, "client_cert: .* usable PEM certificate and key"),
            ({"client_cert": str(certificate), "client_key": str(wrong_key)}, "does not belong to the certificate"),
            ({"client_cert": str(certificate), "client_key": str(locked)}, "encrypted with a passphrase"),
        ):
            with pytest.raises(Failure, match=message) as raised:
                connect("https://dtr.example.org", **options)
            assert raised.value.code == "INVALID_INPUT"
        connect("https://dtr.example.org", client_cert=str(certificate), client_key=str(key))


class TestProxy:
    def test_https_goes_through_the_proxy_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serve(always(Reply(407))) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
            with pytest.raises(Failure) as raised:
                connect("https://dtr.example.org", retries=0).get_json("/x")
        assert raised.value.code == "PROXY_FAILED"

    @pytest.mark.parametrize("no_proxy", ["127.0.0.0/8", "localhost, 127.0.0.1", "*"])
    def test_no_proxy(
        self, no_proxy: str, server: Identity, authority: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        with serve(always(Reply(200, b"[]")), server.server_context(tmp_path)) as site:
            assert connect(site.url, ca_certificate=authority.pem).get_json("/x") == []


class TestUrl:
    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("dtr.example.org", "https://dtr.example.org"),
            ("https://dtr.example.org:8443/", "https://dtr.example.org:8443"),
            (" https://dtr.example.org/dtr/ ", "https://dtr.example.org/dtr"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("https://dtr.bücher.example:8443/ä/", "https://dtr.xn--bcher-kva.example:8443/%C3%A4"),
            ("bücher.example", "https://xn--bcher-kva.example"),
            ("https://dtr.example.org/a%2Fb", "https://dtr.example.org/a%2Fb"),
        ],
    )
    def test_accepted(self, given: str, kept: str) -> None:
        assert normalise_url(given) == kept

    @pytest.mark.parametrize(
        "given",
        [
            "",
            "https://",
            "ftp://dtr.example.org",
            "https://dtr.example.org:port",
            "https://dtr.example.org:99999",
            "https://dtr example.org",
            "https://dtr.example.org/?a=b",
            "https://dtr.example.org/#a",
            "http://dtr.example.org",
            f"https://{'ü' * 70}.example",
        ],
    )
    def test_refused(self, given: str) -> None:
        with pytest.raises(Failure) as raised:
            normalise_url(given)
        assert raised.value.code == "INVALID_INPUT"

    @pytest.mark.parametrize(
        "given",
        [
            f"https://admin:{PASSWORD}@dtr.example.org",
            f"https://{PASSWORD}@dtr.example.org",
            f"admin:{PASSWORD}@dtr.example.org",
            f"https://admin:s3cret/{PASSWORD}@dtr.example.org",
            f"https://admin:s3cret?{PASSWORD}@dtr.example.org:443/x",
            f"https://admin:s3cret#{PASSWORD}@dtr.example.org",
            f"https://admin:s3cret@{PASSWORD}@dtr.example.org",
            f"ftp://admin:{PASSWORD}@dtr.example.org",
        ],
    )
    def test_credentials_are_refused_and_not_repeated(self, given: str) -> None:
        with pytest.raises(Failure, match=r"credentials do not belong into the URL of dtr\.example\.org") as raised:
            normalise_url(given)
        assert "s3cret" not in str(raised.value.as_result())

    def test_plain_http_only_by_choice(self) -> None:
        assert normalise_url("http://dtr.example.org", allow_plain=True) == "http://dtr.example.org"


class TestTextThatIsNone:
    """NUL, halves of surrogate pairs and bytes that are no text: each has an answer or a failure in words."""

    @pytest.mark.parametrize("host", ["dtr\0.example.org", "dtr.example.org/\0", "dtr\ud800.example.org"])
    def test_an_address(self, host: str) -> None:
        with pytest.raises(Failure, match=r"names no host|not a URL with a valid host") as raised:
            normalise_url(f"https://{host}")
        assert raised.value.code == "INVALID_INPUT"
        assert "\0" not in raised.value.message
        assert "\ud800" not in raised.value.message

    @pytest.mark.parametrize("half", [rb"\ud800", b"\xed\xa0\x80"])
    def test_what_dtr_answers(self, half: bytes) -> None:
        body = b'["%sx", "\\ud83d\\ude00", "\\\\ud800"]' % half
        with serve(always(Reply(200, body))) as site:
            first, *others = connect(site.url).get_json("/x")
        assert first.encode().endswith(b"x")
        assert others == ["\U0001f600", "\\ud800"]

    @pytest.mark.parametrize("password", ["p\udcff", "p\ud800"])
    def test_a_password(self, password: str) -> None:
        with serve(always(Reply(200, b"[]"))) as site:
            assert connect(site.url, password=password).get_json("/x", {"user": "\ud800"}) == []
        assert site.requests[0].headers["Authorization"].startswith("Basic ")

    def test_a_path_with_the_bytes_of_a_redirect(self) -> None:
        with serve(always(Reply(200, b"[]"))) as site:
            assert connect(site.url).get_json("/bl\xf6b?sig=a+b%2F") == []
        assert site.requests[0].path == "/bl%F6b"

    @pytest.mark.parametrize("option", ["ca_path", "client_cert"])
    def test_a_path_of_a_file(self, option: str) -> None:
        with pytest.raises(Failure, match=f"^{option}: ") as raised:
            connect("https://dtr.example.org", **{option: "/etc/x\0.pem"})
        assert raised.value.code == "INVALID_INPUT"
