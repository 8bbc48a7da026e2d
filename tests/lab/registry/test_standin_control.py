# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import pathlib
import signal
import stat
import subprocess
import sys
import time
import typing as t

import pytest
import requests
import standin_harness as harness
from dtr_standin.control_client import Control, ControlError
from standin_harness import Client, Issued, Standin


@pytest.fixture
def start(tmp_path: pathlib.Path, ca: Issued, client_ca: Issued) -> t.Callable[[], t.ContextManager[Standin]]:
    """Starts a stand-in of the test's own, each time with the same state."""
    return lambda: harness.running(tmp_path, "http://127.0.0.1:9", accounts=5, ca=ca, client_ca=client_ca)


def test_the_secret_is_asked_for(standin: Standin) -> None:
    ready = json.loads((standin.state / "ready").read_text())
    for secret in ("", "wrong"):
        with pytest.raises(ControlError, match="403"):
            Control(ready["control"], secret).state()
    assert requests.get(ready["control"] + "/state", timeout=5).status_code == 403


def test_the_state_can_be_set_up_without_any_check(admin: Client) -> None:
    twins = [{"id": str(number), "name": "asia", "host": "https://a"} for number in (1, 2)]
    admin.standin.control.set_state(twins, {"bob": "2", "alice": "gone"})
    assert admin.get("/api/v0/content_caches").json() == twins
    assert admin.settings("alice") == {"ContentCacheUUID": "gone"}
    assert admin.standin.control.state() == {"content_caches": twins, "settings": {"bob": "2", "alice": "gone"}}
    with pytest.raises(ControlError, match="400"):
        admin.standin.control.request("PUT", "/state", {"content_caches": []})


def test_the_journal_tells_every_change_in_order(admin: Client) -> None:
    control = admin.standin.control
    cache = admin.create_cache()
    admin.set_cache("bob", cache)
    admin.set_cache("alice", cache)
    admin.set_cache("alice", "")
    admin.set_cache("alice", "refused")
    control.behave(delete_clears_settings=True)
    admin("DELETE", f"/api/v0/content_caches/{cache}")
    admin("DELETE", f"/api/v0/content_caches/{cache}")
    assert control.journal() == [
        ("create", cache, "region-asia"),
        ("set", "bob", cache),
        ("set", "alice", cache),
        ("unset", "alice", ""),
        ("unset", "bob", ""),
        ("delete", cache, "region-asia"),
    ]
    control.reset(data=True)
    assert control.journal() == []


def test_accounts_can_be_added_and_switched_off(admin: Client) -> None:
    control = admin.standin.control
    control.put_account("mallory", full_name="Mallory", password="secret")
    assert Client(admin.standin, "mallory", "secret").get("/api/v0/content_caches").status_code == 200
    assert admin.get("/enzi/v0/accounts/mallory").json()["isActive"] is True
    control.put_account("mallory", is_active=False)
    assert Client(admin.standin, "mallory", "secret").get("/api/v0/content_caches").status_code == 401
    control.reset(data=True)
    assert admin.get("/enzi/v0/accounts/mallory").status_code == 404


def test_requests_are_counted_and_the_last_ones_are_told(admin: Client, bob: Client, nobody: Client) -> None:
    control = admin.standin.control
    control.forget_requests()
    admin.create_cache()
    bob.set_cache("bob", "wrong")
    nobody.get("/api/v0/content_caches?refresh_token=top-secret")
    told = control.requests(recent=2)
    assert {"method": "POST", "route": "/api/v0/content_caches", "status": 201, "count": 1} in told["counts"]
    assert [(entry["method"], entry["path"], entry["user"], entry["status"]) for entry in told["recent"]] == [
        ("PATCH", "/api/v0/accounts/bob/settings", "bob", 400),
        ("GET", "/api/v0/content_caches", "", 401),
    ]
    assert control.count() == 3
    assert control.count("PATCH", "settings") == 1
    control.reset()
    assert control.count() == 0


def test_a_reset_keeps_the_data_unless_told(admin: Client) -> None:
    cache = admin.create_cache()
    admin.set_cache("bob", cache)
    admin.standin.control.reset()
    assert admin.settings("bob") == {"ContentCacheUUID": cache}
    admin.standin.control.reset(data=True)
    assert admin.standin.control.state() == {"content_caches": [], "settings": {}}


def test_a_reset_can_leave_few_accounts(admin: Client) -> None:
    def users() -> int:
        return int(admin.get("/enzi/v0/accounts?limit=1").json()["usersCount"])

    everybody = users()
    admin.standin.control.reset(data=True, accounts=3)
    few = users()
    admin.standin.control.reset(data=True)
    assert (few < 20, users()) == (True, everybody)


def test_a_restart_keeps_the_data(start: t.Callable[[], t.ContextManager[Standin]]) -> None:
    with start() as first:
        admin, bob = Client(first, "admin"), Client(first, "bob")
        cache = admin.create_cache()
        admin.set_cache("bob", cache)
        token = bob("POST", "/api/v0/api_tokens", {"tokenLabel": "kept"}).json()["token"]
        admin("POST", "/api/v0/meta/settings", {"readOnlyRegistry": True})
        gone = admin.create_cache("region-africa", "https://africa.lab.test")
        admin.set_cache("alice", gone)
        admin("DELETE", f"/api/v0/content_caches/{gone}")
        state = first.control.state()
    assert not (first.state / "ready").exists()
    assert first.process.returncode == 0
    with start() as second:
        assert second.control.state() == state
        assert Client(second, "bob", token).settings("bob") == {"ContentCacheUUID": cache}
        assert Client(second, "admin", first.passwords["admin"]).get("/api/v0/meta/settings").json()["readOnlyRegistry"]
        second.control.behave(cache_gone="redirected")
        alice = Client(second, "alice")
        headers = alice.bearer("repository:engineering/app:pull")
        moved = alice.get("/v2/engineering/app/blobs/sha256:00", headers=headers)
        assert moved.headers["Location"].startswith("https://africa.lab.test/v2/")


def test_a_kill_loses_no_more_than_the_last_seconds(start: t.Callable[[], t.ContextManager[Standin]]) -> None:
    with start() as first:
        cache = Client(first, "admin").create_cache()
        kept = first.state / "state.json"
        deadline = time.monotonic() + 10
        while not (kept.exists() and cache in kept.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        first.process.kill()
    (first.state / "ready").unlink()
    with start() as second:
        assert [entry["id"] for entry in second.control.state()["content_caches"]] == [cache]


def test_what_is_secret_is_private_and_not_in_the_log(start: t.Callable[[], t.ContextManager[Standin]]) -> None:
    with start() as standin:
        admin = Client(standin, "admin")
        token = admin("POST", "/api/v0/api_tokens", {}).json()["token"]
        Client(standin).get("/api/v0/content_caches", params={"refresh_token": token})
        Client(standin).get("/v2/a/b/blobs/sha256:00", params={"signature": "signed"})
        for file in standin.state.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    log = (standin.state / "access.log").read_text()
    assert " admin POST /api/v0/api_tokens 200 " in log
    assert " - GET /v2/a/b/blobs/sha256:00 403 " in log
    for secret in (token, "signed", *standin.passwords.values()):
        assert secret not in log


def test_a_hangup_reads_the_certificate_again(
    start: t.Callable[[], t.ContextManager[Standin]], tmp_path: pathlib.Path
) -> None:
    with start() as standin:
        other = harness.issue(tmp_path, "other")
        renewed = harness.issue(tmp_path, "dtr", other)
        standin.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while True:
            admin = Client(standin, "admin")
            admin.session.verify = str(other.certificate_file)
            try:
                shown = admin.get("/api/v0/meta/settings").json()["webTLSCert"]
                break
            except requests.exceptions.SSLError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert shown == renewed.certificate_file.read_text()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--listen", "443"], "ADDRESS:PORT"),
        (["--listen", "127.0.0.1:0", "--cert", "x"], "belong together"),
        (["--listen", "127.0.0.1:0", "--accounts", "100000"], "0 to 99999"),
    ],
)
def test_wrong_options(arguments: list[str], reason: str, tmp_path: pathlib.Path) -> None:
    command = [sys.executable, str(pathlib.Path(harness.__file__).parent), "--control", "127.0.0.1:0"]
    command += ["--upstream", "http://127.0.0.1:9", "--state", str(tmp_path), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 2
    assert reason in ended.stderr


def test_the_client_speaks_from_a_shell(standin: Standin) -> None:
    command = [sys.executable, "-m", "dtr_standin.control_client", str(standin.state)]
    folder = pathlib.Path(harness.__file__).parent

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *words], cwd=folder, capture_output=True, text=True, timeout=20, check=False)

    changed = run("PUT", "/behaviours", '{"delete_missing": 404}')
    assert json.loads(changed.stdout)["delete_missing"] == 404
    refused = run("PUT", "/behaviours", '{"nonsense": 1}')
    assert refused.returncode == 1
    assert "no behaviour nonsense" in refused.stderr
    assert run("GET").returncode == 2
