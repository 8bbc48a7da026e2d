# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""By C(ansible-playbook), as users run it: options from everywhere, secrets, progress, and C(dtr.cache.assign)."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.tests.unit.support.modules import run_module

from .conftest import Json, Registry, harness
from .playbook_runs import ASIA, EUROPE, LOCALLY, SENT, WRONG_PASSWORD, Ansible, Run, finished, fleet, rows

NETRC_PASSWORD = "a-password-that-only-netrc-has"
PROXY_PASSWORD = "a-password-of-the-proxy-in-the-test"
# Ansible's own words: at -vvvv it shows the environment that a task asks for, also where others show nothing.
PROXY_SETTING = f"HTTPS_PROXY=http://someone:{PROXY_PASSWORD}@127.0.0.1:9"


def play(*tasks: Json, **keywords: t.Any) -> list[Json]:
    return [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": LOCALLY,
            "tasks": list(tasks),
            **keywords,
        }
    ]


class Elsewhere:
    """A server on another port that takes note of all that reaches it."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, dict(self.headers.items())))
                body = b"[]"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Set-Cookie", "session=stolen")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: t.Any) -> None:
                """What came is in C(requests)."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def elsewhere() -> t.Iterator[Elsewhere]:
    site = Elsewhere()
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


def fragments(secrets: t.Iterable[str]) -> list[str]:
    """Each secret, alone and as part of what basic authentication sends."""
    found = []
    for secret in secrets:
        found.append(secret)
        # Base64 depends on where in its groups of three a secret begins.
        for shift in ("", "a", "ab", "admin:", "bob:"):
            encoded = base64.b64encode((shift + secret).encode()).decode()
            found.append(encoded[4 if shift else 0 : -4])
    return found


def leaks(texts: t.Mapping[str, str], secrets: t.Iterable[str]) -> list[tuple[str, str]]:
    return [(name, part) for part in fragments(secrets) for name, text in texts.items() if part in text]


@pytest.mark.parametrize("how", [LOCALLY, SENT], ids=["own", "sent"])
def test_no_way_to_fail_shows_a_secret(registry: Registry, ansible: Ansible, elsewhere: Elsewhere, how: Json) -> None:
    """All of it in one run at -vvvv: its output, log, cached facts and left-over files are searched."""
    client = harness.Client(registry.standin, "admin")
    token = client("POST", "/api/v0/api_tokens?username=admin", {"tokenLabel": "test"}).json()["token"]
    registry.control.put_account("bob", full_name="Bob", password="the-password-of-bob-in-the-test")
    key = registry.client.key_file.read_text()
    secrets = [
        registry.connection["password"],
        token,
        WRONG_PASSWORD,
        "the-password-of-bob-in-the-test",
        *key.splitlines()[1:-1],
    ]
    for fault in (
        {"action": "html"},
        {"action": "redirect", "url": f"{elsewhere.url}/content_caches?token={token}"},
        {"action": "redirect", "url": "/login"},
        {"action": "status", "status": 500},
        {"action": "status", "status": 503},
        {"action": "drop"},
        {"action": "delay", "seconds": 0.5},
        {"action": "cut_json"},
        {"action": "empty"},
    ):
        registry.control.fault(**fault, method="GET", path="content_caches$", count=1)

    def failing(name: str, **options: t.Any) -> Json:
        module = {"timeout": 0.3, "retries": 0, **options}
        return {"name": name, "dtr.cache.content_caches_info": module, "ignore_errors": True, "register": "last"}

    faulty = ["html", "redirect", "log-in", "500", "503", "drop", "time-out", "half", "empty"]
    run = ansible.run(
        play(
            *(failing(f"fails: {name}") for name in faulty),
            failing("fails: wrong password", password="{{ wrong }}"),
            failing("fails: bad CA", ca_path="{{ wrong_ca }}"),
            failing("fails: in the URL", url="https://admin:{{ wrong }}@127.0.0.1:9"),
            {
                "name": "fails: in the URL of a cache",
                "dtr.cache.content_caches": {"caches": [{"name": "a", "host": "https://a:{{ wrong }}@cache"}]},
                "ignore_errors": True,
            },
            failing("fails: other key", client_cert="{{ certificate }}", client_key="{{ other_key }}"),
            {
                "name": "fails: no admin",
                "dtr.cache.content_caches": {
                    "caches": [{"name": "region-asia", "host": ASIA}],
                    "username": "bob",
                    "password": "{{ bob }}",
                },
                "ignore_errors": True,
            },
            {
                "name": "by token",
                "dtr.cache.content_caches": {
                    "caches": [{"name": "region-asia", "host": ASIA}],
                    "password": "{{ token }}",
                },
                "diff": True,
            },
            {
                "name": "by certificate",
                "dtr.cache.cache_assignments": {
                    "assignments": [{"cache": "region-asia", "accounts": ["alice"]}],
                    "client_cert": "{{ certificate }}",
                    "client_key": "{{ key }}",
                    "username": "",
                    "password": "",
                },
            },
            {"dtr.cache.cache_assignments_info": {"names": True}, "register": "last"},
            {"ansible.builtin.set_fact": {"kept": "{{ last }}", "cacheable": True}},
            {"ansible.builtin.debug": {"var": "kept"}},
            vars=how,
            module_defaults={
                "group/dtr.cache.dtr": {
                    "url": "{{ url }}",
                    "username": "admin",
                    "password": "{{ password }}",
                    "ca_path": "{{ ca }}",
                }
            },
        ),
        "-vvvv",
        url=registry.standin.url,
        password=registry.connection["password"],
        wrong=WRONG_PASSWORD,
        bob="the-password-of-bob-in-the-test",
        token=token,
        ca=str(registry.standin.ca),
        wrong_ca=str(registry.client.certificate_file),
        certificate=str(registry.client.certificate_file),
        key=str(registry.client.key_file),
        other_key=str(registry.standin.ca.with_name("ca.key.pem")),
    )
    assert run.code == 0, run.output
    ignored = re.search(r"ignored=(\d+)", run.stdout)
    assert ignored is not None
    assert int(ignored[1]) == len(faulty) + 6, run.output
    assert registry.settings() == {"alice": "region-asia"}
    assert elsewhere.requests == []
    texts = {"stdout": run.stdout, "stderr": run.stderr, **ansible.written()}
    assert any("region-asia" in text for name, text in texts.items() if "/facts/" in name)
    assert "content_caches" in texts[str(ansible.home / "ansible.log")]
    assert not leaks(texts, secrets)
    assert "Traceback" not in run.output
    assert ("runs in Ansible's own process" in run.stdout) is (how is LOCALLY)


@pytest.mark.parametrize("how", [LOCALLY, SENT], ids=["own", "sent"])
def test_no_way_to_fail_while_accounts_are_written_shows_a_secret(
    registry: Registry, ansible: Ansible, how: Json
) -> None:
    """The failures that come late, of the other modules, of a proxy, and of addresses that hold a password."""
    password = registry.connection["password"]
    token = harness.Client(registry.standin, "admin")(
        "POST", "/api/v0/api_tokens?username=admin", {"tokenLabel": "test"}
    )
    secrets = [password, token.json()["token"], WRONG_PASSWORD, PROXY_PASSWORD]
    registry.set_up({"a1": ("region-asia", ASIA), "e1": ("region-europe", EUROPE)}, {"alice": "a1", "bob": "e1"})
    registry.control.fault("status", status=500, method="PATCH", path="alice/settings")
    registry.control.fault("html", status=404, path="bob/settings", count=2)
    registry.control.fault("status", status=500, path="/ca$", count=1)
    registry.control.fault("cut_json", path="/meta/features$", count=1)
    registry.control.behave(empty_uuid="refused", null_uuid="refused", omitted_uuid="ignored", local_uuid="refused")
    everyone = {"assignments": [{"cache": "region-asia", "everyone": True}]}
    reset = {"assignments": [{"cache": "local", "accounts": ["alice", "bob"]}]}
    replace = {"caches": [{"name": "region-asia", "host": f"{ASIA}1"}]}
    tasks: list[tuple[str, str, Json]] = [
        ("partly unreadable", "cache_assignments_info", {}),
        ("partly written", "cache_assignments", everyone),
        ("no way to reset", "cache_assignments", reset),
        ("by token", "cache_assignments", {**reset, "password": "{{ token }}"}),
        ("accounts not moved", "content_caches", replace),
        ("no CA", "registry_ca_info", {}),
        ("another pin", "registry_ca_info", {"fingerprint": "0" * 64}),
        ("no state", "registry_info", {}),
        ("wrong password", "registry_info", {"password": "{{ wrong }}"}),
        (
            "wrong password for each account",
            "cache_assignments_info",
            {"password": "{{ wrong }}", "accounts": ["alice"]},
        ),
        ("in an address without a scheme", "registry_info", {"url": "admin:{{ wrong }}@127.0.0.1:9"}),
        ("alone in an address", "registry_info", {"url": "https://{{ wrong }}@127.0.0.1:9"}),
        ("with a slash in an address", "registry_ca_info", {"url": "https://admin:x/{{ wrong }}@127.0.0.1:9"}),
        ("in a host", "content_caches", {"caches": [{"name": "a", "host": "a:{{ wrong }}@cache.example.org"}]}),
        ("in what is no list", "content_caches", {"caches": "https://a:{{ wrong }}@cache.example.org"}),
        ("unknown option", "content_caches_info", {"unheard_of": 1}),
    ]
    proxied = {
        "name": "proxy",
        "dtr.cache.registry_info": {"url": "https://dtr.example.org", "retries": 0},
        "environment": {"HTTPS_PROXY": "http://someone:{{ proxy }}@127.0.0.1:9", "NO_PROXY": ""},
        "ignore_errors": True,
    }
    run = ansible.run(
        play(
            *({"name": name, f"dtr.cache.{module}": options, "ignore_errors": True} for name, module, options in tasks),
            proxied,
            vars=how,
            module_defaults={
                "group/dtr.cache.dtr": {
                    "url": "{{ url }}",
                    "username": "admin",
                    "password": "{{ password }}",
                    "ca_path": "{{ ca }}",
                    "timeout": 2,
                }
            },
        ),
        "-vvvv",
        "--diff",
        url=registry.standin.url,
        password=password,
        token=secrets[1],
        wrong=WRONG_PASSWORD,
        proxy=PROXY_PASSWORD,
        ca=str(registry.standin.ca),
    )
    assert run.code == 0, run.output
    ignored = re.search(r"ignored=(\d+)", run.stdout)
    assert ignored is not None
    assert int(ignored[1]) == len(tasks) + 1, run.output
    for code in ("ACCOUNTS_FAILED", "ACCOUNTS_NOT_MOVED", "UNSET_REFUSED", "FINGERPRINT_MISMATCH", "PROXY_FAILED"):
        assert code in run.stdout
    texts = {"stdout": run.stdout, "stderr": run.stderr, **ansible.written()}
    texts = {name: text.replace(PROXY_SETTING, "") for name, text in texts.items()}
    assert not leaks(texts, secrets)
    assert "Traceback" not in run.output
    assert ("runs in Ansible's own process" in run.stdout) is (how is LOCALLY)


def test_a_netrc_is_never_read(
    registry: Registry, elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in place of credentials that are given, nor where there are none; and no cookie is sent back."""
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login admin password {NETRC_PASSWORD}\ndefault login x password y\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    given = {"url": elsewhere.url, "username": "admin", "password": "given"}
    assert run_module("content_caches_info", **given)["content_caches"] == []
    assert "failed" in run_module("registry_ca_info", url=elsewhere.url)
    assert run_module("cache_assignments_info", **given)["counts"] == {"local": 0}
    headers = [headers for _path, headers in elsewhere.requests]
    expected = "Basic " + base64.b64encode(b"admin:given").decode()
    assert [each.get("Authorization") for each in headers] == [expected, None, *[expected] * (len(headers) - 2)]
    assert len(headers) > 2
    assert not any("Cookie" in each for each in headers)


def test_the_environment_and_a_certificate_alone_are_enough(registry: Registry, ansible: Ansible) -> None:
    """Twice in one run: once all options by the environment, once without user and password."""
    everything = {
        "DTR_URL": registry.standin.url,
        "DTR_USERNAME": "admin",
        "DTR_PASSWORD": registry.connection["password"],
        "DTR_CA_PATH": str(registry.standin.ca),
    }
    certified = {
        "DTR_URL": registry.standin.url,
        "DTR_CA_PATH": str(registry.standin.ca),
        "DTR_CLIENT_CERT": str(registry.client.certificate_file),
        "DTR_CLIENT_KEY": str(registry.client.key_file),
    }
    run = ansible.run(
        play(
            {
                "dtr.cache.content_caches": {"caches": [{"name": "region-asia", "host": ASIA}]},
                "environment": everything,
                "no_log": True,
            },
            {
                "dtr.cache.content_caches": {"caches": [{"name": "region-asia", "host": ASIA}]},
                "environment": certified,
            },
        ),
        "--diff",
    )
    assert run.code == 0, run.output
    assert "ok=2    changed=1" in run.stdout
    assert registry.caches() == [("region-asia", ASIA)]


def progress_of(module: str, run: Run) -> list[str]:
    """The lines that tell how far a module got, without what all of them begin with."""
    begin = f"{module} (localhost): "
    return [line.removeprefix(begin) for line in run.stderr.splitlines() if line.startswith(begin)]


def test_a_long_assignment_shows_that_it_lives_where_people_read(registry: Registry, ansible: Ansible) -> None:
    """Side by side with the usual output and with such as programs read, also in check mode."""
    registry.set_up({"e1": ("region-europe", EUROPE)}, {})
    registry.control.fault("delay", method="GET", path="/settings$", seconds=0.33)
    options = {
        **registry.connection,
        "assignments": [{"cache": "region-europe", "everyone": True}],
        "concurrency": 1,
    }
    assign = {"dtr.cache.cache_assignments": options}
    people = ansible.start(play(assign), "--check", env={"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default"})
    programs = ansible.start(play(assign), "--check", env={"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"})
    one_line = ansible.start_module("dtr.cache.cache_assignments", options, "--check", "-o")
    shown, parsed, single = (finished(process) for process in (people, programs, one_line))
    assert shown.code == parsed.code == single.code == 0, shown.output + parsed.output + single.output
    told = progress_of("cache_assignments", shown)
    assert len(told) >= 2, shown.stderr
    assert all(re.fullmatch(r"still working|\d+ accounts listed|\d+ of 34 accounts read", line) for line in told)
    assert "accounts read" not in shown.stdout
    assert len(json.loads(parsed.stdout)["plays"]) == 1
    assert progress_of("cache_assignments", parsed) == []
    assert len(single.stdout.splitlines()) == 1
    assert single.stdout.startswith("localhost | CHANGED => {")
    assert progress_of("cache_assignments", single) == []
    assert not list(ansible.home.rglob("*progress*"))


def test_a_long_replacement_of_a_cache_shows_that_it_lives(registry: Registry, ansible: Ansible) -> None:
    registry.set_up({"e1": ("region-europe", EUROPE)}, {"alice": "e1"})
    registry.control.fault("delay", path="/settings$", seconds=0.18)
    declare = {
        "dtr.cache.content_caches": {
            **registry.connection,
            "caches": [{"name": "region-europe", "host": ASIA}],
            "concurrency": 1,
        }
    }
    run = ansible.run(play(declare))
    assert run.code == 0, run.output
    told = progress_of("content_caches", run)
    assert len(told) >= 2, run.stderr
    assert all(re.fullmatch(r"still working|\d+( of \d+)? accounts (listed|read|moved)", line) for line in told)
    assert registry.settings() == {"alice": "region-europe"}


def test_a_task_that_ansible_does_not_wait_for(registry: Registry, ansible: Ansible) -> None:
    declare = {
        "dtr.cache.content_caches": {**registry.connection, "caches": [{"name": "region-asia", "host": ASIA}]},
        "async": 60,
        "poll": 1,
    }
    run = ansible.run(play(declare), ansible_async_dir=str(ansible.home / "async"))
    assert run.code == 0, run.output
    assert registry.caches() == [("region-asia", ASIA)]


def results(run: Run) -> list[Json]:
    """What each task returned, without how it was called, which names what only the other way has."""
    tasks = json.loads(run.stdout)["plays"][0]["tasks"]
    return [{key: value for key, value in task["hosts"]["localhost"].items() if key != "invocation"} for task in tasks]


def test_a_module_gives_the_same_in_ansibles_own_process_and_sent(registry: Registry, ansible: Ansible) -> None:
    """Options from everywhere, a vaulted one, check mode and diff, warnings, failures, and a template of DTR's."""
    hostile = "{{ lookup('ansible.builtin.pipe', 'id') }}"
    registry.set_up({"e1": ("region-europe", EUROPE), "h1": (hostile, ASIA)}, {"alice": "e1", "bob": "h1"})
    key = ansible.folder / "vault-password"
    key.write_text("of the test")
    vaulted = ansible.folder / "vaulted.yml"
    vaulted.write_text(
        subprocess.run(
            ["ansible-vault", "encrypt_string", f"--vault-password-file={key}", "--stdin-name", "vaulted"],
            input=registry.connection["password"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    )
    modules: list[tuple[str, Json]] = [
        ("content_caches", {"caches": [{"name": "region-europe", "host": f"{EUROPE}1"}], "password": "{{ vaulted }}"}),
        ("cache_assignments_info", {"accounts": ["alice", "bob"]}),
        ("content_caches_info", {"unheard_of": 1}),
        ("content_caches", {"caches": [{"host": ASIA}]}),
        ("cache_assignments", {"assignments": [{"cache": "region-asia", "accounts": ["nobody"]}]}),
        ("content_caches_info", {"retries": "many"}),
        ("content_caches_info", {"ca_certificate": "{{ lookup('ansible.builtin.file', ca) }}"}),
    ]
    told = []
    for how in (LOCALLY, SENT):
        registry.control.fault("status", status=503, method="GET", path="content_caches$", count=1)
        run = ansible.run(
            play(
                *({f"dtr.cache.{name}": options, "register": "last"} for name, options in modules),
                {"ansible.builtin.debug": {"msg": "{{ last.content_caches }}"}},
                vars=how,
                check_mode=True,
                diff=True,
                ignore_errors=True,
                environment={
                    "DTR_URL": registry.standin.url,
                    "DTR_USERNAME": "admin",
                    "DTR_PASSWORD": "{{ vaulted }}",
                    "DTR_CA_PATH": str(registry.standin.ca),
                },
            ),
            f"-e@{vaulted}",
            f"--vault-password-file={key}",
            env={"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
            ca=str(registry.standin.ca),
        )
        told.append(results(run))
    own, sent = told
    assert own == sent
    assert own[-1]["msg"] == own[-2]["content_caches"]
    assert [each["name"] for each in own[-1]["msg"]] == ["region-europe", hostile]
    assert own[0]["changed"]
    assert "503" in own[0]["warnings"][0]
    assert [each.get("failure", {}).get("code") for each in own[1:-1]] == [
        None,
        "INVALID_INPUT",
        "INVALID_INPUT",
        "INVALID_ASSIGNMENTS",
        "INVALID_INPUT",
        None,
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_a_pull_leaves_no_access_token_behind(
    registry: Registry, ansible: Ansible, number: signal.Signals
) -> None:
    registry.set_up({"a1": ("region-asia", ASIA)}, {"alice": "a1"})
    registry.control.fault("delay", path="^/v2/", seconds=60)
    options = {**registry.connection, "cache": "region-asia", "images": ["engineering/app:1.0"], "account": "alice"}
    process = ansible.start(play({"dtr.cache.cache_pull": {**options, "timeout": 60}}))
    client = harness.Client(registry.standin, "admin")

    def tokens() -> int:
        return len(client("GET", "/api/v0/api_tokens?username=alice").json())

    def becomes(count: int) -> bool:
        end = time.monotonic() + 20
        while tokens() != count and time.monotonic() < end:
            time.sleep(0.05)
        return tokens() == count

    assert becomes(1)
    process.send_signal(number)
    run = finished(process)
    assert run.code != 0
    assert "Traceback" not in run.output
    assert becomes(0)


def test_the_fleet_is_assigned_in_one_go(two_regions: Registry, ansible: Ansible) -> None:
    inventory = fleet(two_regions, asia={"accounts": "alice, bob"}, europe={"teams": ["research/genomics"]})
    with two_regions.nothing_is_written():
        check = ansible.run("dtr.cache.assign", "--check", inventory=inventory)
    assert check.code == 0, check.output
    run = ansible.run("dtr.cache.assign", inventory=inventory)
    assert run.code == 0, run.output
    assert two_regions.settings() == {
        **dict.fromkeys(("alice", "bob", "heidi", "ivan"), "region-asia"),
        **dict.fromkeys(("erin", "frank"), "region-europe"),
    }
    assert two_regions.control.count("GET", "content_caches") == 2
    headings, *found = rows(run)
    announced, *planned = rows(check)
    assert headings == ["region", "cache", "accounts", "arrived", "left", "result"]
    assert announced == ["region", "cache", "accounts", "would arrive", "would leave", "result"]
    assert (
        found
        == planned
        == [
            ["manager-asia", "region-asia", "2", "2", "0", "ok"],
            ["manager-europe", "region-europe", "2", "2", "1", "ok"],
            ["local", "local", "0", "0", "3", "ok"],
        ]
    )


def test_a_region_that_claims_nobody_needs_no_cache_yet(two_regions: Registry, ansible: Ansible) -> None:
    inventory = fleet(two_regions, asia={"accounts": "alice"}, new={"accounts": []}, planned={})
    run = ansible.run("dtr.cache.assign", inventory=inventory)
    assert run.code == 0, run.output
    assert two_regions.settings()["alice"] == "region-asia"
    assert ["manager-new", "region-new", "0", "0", "0", "ok"] in rows(run)


def test_one_dtr_in_two_spellings_is_one(two_regions: Registry, ansible: Ansible) -> None:
    """As two, each of them would reset the accounts of the other."""
    inventory = fleet(two_regions, asia={"accounts": ["alice"]}, europe={"accounts": ["erin"]})
    url = two_regions.standin.url
    inventory["dtr_caches"]["hosts"]["manager-asia"]["dtr_cache_registry_url"] = url.replace("https", "HTTPS") + "/"
    run = ansible.run("dtr.cache.assign", inventory=inventory, dtr_cache_assignments_exclusive=True)
    assert run.code == 0, run.output
    assert two_regions.settings() == {"alice": "region-asia", "erin": "region-europe", "ivan": "region-asia"}
    assert two_regions.control.count("GET", "content_caches") == 1
    again = ansible.run("dtr.cache.assign", inventory=inventory, dtr_cache_assignments_exclusive=True)
    assert "changed=0" in again.stdout
    assert "changed=1" not in again.stdout


def test_the_ca_of_the_region_wins_over_the_environment(two_regions: Registry, ansible: Ansible) -> None:
    inventory = fleet(two_regions, asia={"accounts": ["alice"]})
    run = ansible.run("dtr.cache.assign", inventory=inventory, env={"DTR_CA_PATH": "/nonexistent/ca.pem"})
    assert run.code == 0, run.output
    assert two_regions.settings()["alice"] == "region-asia"


@pytest.mark.parametrize("verified", [True, False])
def test_without_verification_the_ca_is_fetched_as_well(
    two_regions: Registry, ansible: Ansible, verified: bool
) -> None:
    """The certificate is for the address, and the region names the DTR by another one."""
    inventory = fleet(two_regions, asia={"accounts": ["alice"]})
    url = two_regions.standin.url.replace("127.0.0.1", "localhost")
    inventory["dtr_caches"]["vars"] |= {"dtr_cache_registry_url": url, "dtr_cache_registry_ca": "fetch"}
    run = ansible.run("dtr.cache.assign", inventory=inventory, dtr_cache_registry_validate_certs=verified)
    assert ("has a certificate for another host name" in run.stdout) is verified
    assert (run.code == 0) is not verified, run.output
    assert two_regions.settings()["alice"] == ("region-europe" if verified else "region-asia")


def test_an_account_that_two_regions_claim_is_found(two_regions: Registry, ansible: Ansible) -> None:
    inventory = fleet(two_regions, asia={"accounts": ["carol"]}, europe={"teams": ["engineering/backend"]})
    with two_regions.nothing_is_written():
        run = ansible.run("dtr.cache.assign", inventory=inventory)
    assert run.code != 0
    assert "carol is claimed by region-asia and region-europe" in run.stdout
    failed = "failed at: Check the settings"
    assert [row[-1] for row in rows(run)[1:]] == [failed, failed]


def test_a_fleet_resets_only_what_no_region_claims(two_regions: Registry, ansible: Ansible) -> None:
    inventory = fleet(two_regions, asia={"accounts": ["alice"]}, europe={"accounts": ["erin"]})
    with two_regions.nothing_is_written():
        limited = ansible.run(
            "dtr.cache.assign", "--limit", "manager-asia", inventory=inventory, dtr_cache_assignments_exclusive=True
        )
        refused = ansible.run(
            "dtr.cache.assign", inventory=inventory, dtr_cache_assignments_exclusive=True, dtr_cache_max_resets="0"
        )
    assert limited.code != 0
    assert "run the playbook without --limit" in limited.stdout
    assert refused.code != 0
    words = " ".join(refused.stdout.split())
    assert "would reset 1 account that it does not name (1 of region-asia)" in words, refused.output
    assert "set dtr_cache_max_resets to 1 for this run" in words
    run = ansible.run("dtr.cache.assign", inventory=inventory, dtr_cache_assignments_exclusive="yes")
    assert run.code == 0, run.output
    assert two_regions.settings() == {"alice": "region-asia", "erin": "region-europe", "ivan": "region-asia"}
    assert ["local", "local", "32", "1", "1", "ok"] in rows(run)


def test_a_region_with_bad_settings_stops_the_whole_fleet(two_regions: Registry, ansible: Ansible) -> None:
    inventory = fleet(two_regions, asia={"users": ["alice"]}, europe={"accounts": ["erin"]})
    with two_regions.nothing_is_written():
        run = ansible.run("dtr.cache.assign", inventory=inventory)
    assert run.code != 0
    assert "dtr_cache_assignments: users is unknown" in run.stdout


def test_a_backup_of_a_fleet_and_back(two_regions: Registry, ansible: Ansible, tmp_path: Path) -> None:
    inventory = fleet(two_regions, asia={}, europe={})
    file = tmp_path / "dtr.json"
    caches, settings = two_regions.caches(), two_regions.settings()
    unnamed = ansible.run("dtr.cache.backup", inventory=inventory)
    assert unnamed.code != 0 and "dtr_cache_backup_file: is required" in unnamed.stdout
    run = ansible.run("dtr.cache.backup", inventory=inventory, dtr_cache_backup_file=f" {file}")
    assert run.code == 0, run.output
    # He is not active, and so pulls from nowhere.
    assert "ivan" in json.loads(file.read_text())["accounts"][settings.pop("ivan")]
    assert re.search(rf"^{two_regions.connection['url']} +2 +36 +{file} +ok$", run.stdout, re.MULTILINE), run.stdout
    two_regions.set_up({}, {})
    with two_regions.nothing_is_written():
        check = ansible.run("dtr.cache.restore", "--check", inventory=inventory, dtr_cache_backup_file=str(file))
    assert check.code == 0 and "accounts would change" in check.stdout
    run = ansible.run("dtr.cache.restore", inventory=inventory, dtr_cache_backup_file=str(file))
    assert run.code == 0, run.output
    assert re.search(rf"^{two_regions.connection['url']} +2 +{len(settings)} +{file} +ok$", run.stdout, re.MULTILINE)
    assert two_regions.caches() == caches and two_regions.settings() == settings
