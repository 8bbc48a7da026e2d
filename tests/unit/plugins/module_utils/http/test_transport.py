# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transport against a real server: what is sent, and what each failure is called."""

from __future__ import annotations

import json
import socket
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import normalise_url
from ansible_collections.dtr.cache.tests.unit.support.transports import JSON, PASSWORD, always, connect, in_turn
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, serve


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
        assert "with JSON of more than 64 levels." in self.failure(Reply(200, b"[" * 200_000)).message
        assert self.failure(Reply(400, b"[" * 200_000)).code == "HTTP_400"

    @pytest.mark.parametrize("levels", [65, 900, 100_000])
    @pytest.mark.parametrize("form", ['{"a":%s}', "[%s]", '[{"a": [%s]}, "[[]"]'])
    def test_json_of_too_many_levels(self, form: str, levels: int) -> None:
        opening, _x, closing = form.partition("%s")
        body = (opening * levels + "1" + closing * levels).encode()
        failure = self.failure(Reply(200, body))
        assert (failure.code, "with JSON of more than 64 levels." in failure.message) == ("UNEXPECTED_ANSWER", True)
        assert self.failure(Reply(500, body)).code == "HTTP_500"

    def test_json_of_many_brackets_and_few_levels(self) -> None:
        document = [{"name": '[["{', "teams": [[], {}, [[[{"a": "\\"}]]]]} for _each in range(1000)]
        with serve(always(Reply(200, json.dumps(document).encode()))) as site:
            assert connect(site.url).get_json("/x") == document

    @pytest.mark.parametrize("status", [400, 500, 503])
    def test_an_error_without_end_is_one_sentence(self, status: int) -> None:
        body = json.dumps({"errors": [{"code": "X" * 1000, "message": "m" * 30_000_000}]}).encode()
        tracemalloc.start()
        failure = self.failure(Reply(status, body, JSON))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert "with more than" not in failure.message
        assert failure.message.endswith(": more than 64 kB that are no answer of DTR's API.")
        assert most < 4 * len(body), "what the server made of it counts here as well"

    def test_many_long_errors_are_cut(self) -> None:
        errors = [{"code": "C" * 500, "message": "m" * 900, "detail": {"d" * 50: "x" * 500}} for _each in range(15)]
        failure = self.failure(Reply(400, json.dumps({"errors": errors}).encode(), JSON))
        assert failure.code == "C" * 100
        assert len(failure.message) < 5000

    def test_a_long_way_to_send_to(self) -> None:
        assert len(self.failure(Reply(302, b"", {"Location": "https://x/" + "y" * 50_000})).message) < 1000

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
