# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules in Ansible's own process: the same results as those that are sent, and nothing left in the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible import constants
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.http import retries
from ansible_collections.dtr.cache.plugins.module_utils.module.base import Module
from ansible_collections.dtr.cache.plugins.module_utils.module.of_dtr import DtrModule
from ansible_collections.dtr.cache.plugins.modules import registry_info
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.in_process import Task, run_here
from ansible_collections.dtr.cache.tests.unit.support import deprecating
from ansible_collections.dtr.cache.tests.unit.support.dtr import Dtr
from ansible_collections.dtr.cache.tests.unit.support.web import serve

PASSWORD = "s3cret-of-the-test"
CONNECTION = {"url": "https://dtr.example.org", "username": "admin", "password": PASSWORD}


def made(work: t.Callable[[Module], dict[str, t.Any]]) -> DtrModule:
    return DtrModule(work, {"word": {"type": "str"}})


def sent(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The result of the module that warns, in a process of its own and without the control node's part of Ansible."""
    program = Path(deprecating.__file__ or "")
    # Where the collection was imported from: its folder is ansible_collections/dtr/cache.
    path = os.pathsep.join([str(program.parents[6]), *sys.path])
    finished = subprocess.run(
        [sys.executable, str(program)],
        input=json.dumps(options),
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return t.cast("dict[str, t.Any]", json.loads(finished.stdout))


def message(warning: t.Any) -> str:
    """Return the text of a warning; a module that is sent returns more."""
    return str(warning["event"]["msg"] if isinstance(warning, dict) and "event" in warning else warning)


def deprecation(each: dict[str, t.Any]) -> tuple[str, str, str]:
    """What is said, when it is removed, and of which collection."""
    collection = each["deprecator"]["resolved_name"] if "deprecator" in each else each["collection_name"]
    return each["msg"] if "msg" in each else message(each), str(each.get("version") or each.get("date")), collection


def test_the_name_of_the_module_and_its_options_are_enough() -> None:
    with serve(Dtr("alice")) as site:
        result = run_here(registry_info.MODULE, Task("dtr.cache.registry_info", {**CONNECTION, "url": site.url}))
    assert result["healthy"]
    assert "invocation" not in result


def test_a_dtr_that_has_answered_in_this_run_may_be_starting_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one that refuses connections was never there, which is said soon and once."""
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(retries, "_PAUSE_OF_FIRST_CONTACT", 0.01)
    monkeypatch.setattr(retries.Backoff, "pause", lambda _self, _attempt: 0.01)
    refused = "{url} refused the connection".format

    def warnings() -> list[str]:
        result = run_here(registry_info.MODULE, Task("dtr.cache.registry_info", {**CONNECTION, "url": site.url}))
        assert result["failure"]["code"] == "CONNECTION_FAILED"
        return [warning.partition(refused(url=site.url[7:]))[2] for warning in result["warnings"]]

    with serve(Dtr("alice")) as site:
        pass
    assert warnings() == ["; it is tried again for 2 seconds"]
    with serve(Dtr("alice")) as site:
        task = Task("dtr.cache.registry_info", {**CONNECTION, "url": site.url})
        assert run_here(registry_info.MODULE, task)["healthy"]
    assert warnings() == [f", {left} of 5 retries left" for left in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    "options",
    [
        {"accounts": ["alice"]},
        {"users": ["alice"]},
        {"accounts": ["alice"], "users": ["bob"]},
        {"names": ["alice"], "old": "x", "older": "y"},
    ],
)
def test_warnings_and_deprecations_are_those_of_a_module_that_is_sent(options: dict[str, t.Any]) -> None:
    given = {**CONNECTION, **options}
    expected, found = sent(given), run_here(deprecating.MODULE, Task("dtr.cache.deprecating", given))
    assert found["accounts"] == expected["accounts"]
    assert list(map(message, found["warnings"])) == list(map(message, expected["warnings"]))
    assert sorted(map(deprecation, found["deprecations"])) == sorted(map(deprecation, expected["deprecations"]))
    assert len(found["deprecations"]) == 2 + sum(name in options for name in ("names", "old", "older"))


def test_a_failure_has_its_form_and_its_warnings() -> None:
    def work(module: Module) -> dict[str, t.Any]:
        module.warn("Odd.")
        raise Failure("BROKEN", "It broke.", hint="Fix it.")

    result = run_here(made(work), Task("dtr.cache.made", CONNECTION))
    assert (result["failed"], result["failure"]["code"], result["msg"]) == (True, "BROKEN", "It broke. Fix it.")
    assert result["warnings"] == ["Odd."]


def test_an_error_nobody_expected_ends_in_a_failure() -> None:
    result = run_here(made(lambda module: {"x": module.params["not there"]}), Task("dtr.cache.made", CONNECTION))
    assert (result["failed"], result["failure"]["code"]) == (True, "INTERNAL")


def test_wrong_options_are_named_with_the_module() -> None:
    result = run_here(made(lambda _module: {}), Task("dtr.cache.made", {**CONNECTION, "unheard_of": 1}))
    assert result["failed"]
    assert result["msg"].startswith("Unsupported parameters for (dtr.cache.made) module: unheard_of")
    assert result["failure"]["code"] == "INVALID_INPUT"


def test_all_that_is_wrong_with_the_options_is_said_at_once() -> None:
    """A name that is wrong is most often the reason why another one is missing."""
    options = {"registry_url": "https://dtr.example.org", "username": "admin", "password": PASSWORD, "timeout": "soon"}
    result = run_here(made(lambda _module: {}), Task("dtr.cache.made", options))
    assert result["failure"]["code"] == "INVALID_INPUT"
    for part in ("missing required arguments: url", "'timeout' is of type", "dtr.cache.made) module: registry_url. "):
        assert part in result["msg"]


def test_modes_and_invocation() -> None:
    def work(module: Module) -> dict[str, t.Any]:
        return {"check": module.check_mode, "diff": {"before": "", "after": ""}}

    plain = run_here(made(work), Task("dtr.cache.made", CONNECTION))
    assert (plain["check"], "diff" in plain) == (False, False)
    task = Task("dtr.cache.made", CONNECTION, check_mode=True, diff=True, invocation=True)
    shown = run_here(made(work), task)
    assert (shown["check"], "diff" in shown) == (True, True)
    assert shown["invocation"]["module_args"]["url"] == CONNECTION["url"]
    assert PASSWORD not in json.dumps(shown)


def test_secrets_are_hidden_wherever_they_stand() -> None:
    result = run_here(made(lambda _module: {"said": f"by {PASSWORD}"}), Task("dtr.cache.made", CONNECTION))
    assert PASSWORD not in json.dumps(result)
    assert result["changed"] is False


def test_the_environment_is_the_tasks_while_the_module_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTR_CACHE_KEPT", "before")
    monkeypatch.delenv("DTR_CACHE_NEW", raising=False)
    names = ("DTR_CACHE_KEPT", "DTR_CACHE_NEW")
    module = made(lambda _module: {"seen": [os.environ.get(name) for name in names]})
    task = Task("dtr.cache.made", CONNECTION, environment=dict.fromkeys(names, "within"))
    assert run_here(module, task)["seen"] == ["within", "within"]
    assert [os.environ.get(name) for name in names] == ["before", None]


def test_side_by_side_in_threads() -> None:
    together = threading.Barrier(3)

    def work(module: Module) -> dict[str, t.Any]:
        together.wait(timeout=20)
        return {"said": module.params["word"]}

    results: dict[str, t.Any] = {}

    def run(word: str) -> None:
        results[word] = run_here(made(work), Task("dtr.cache.made", {**CONNECTION, "word": word}))["said"]

    threads = [threading.Thread(target=run, args=(word,)) for word in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"a": "a", "b": "b", "c": "c"}


def test_a_signal_lets_the_module_clean_up_and_then_ends_the_process() -> None:
    seen: list[str] = []

    def work(_module: Module) -> dict[str, t.Any]:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(20)
        finally:
            seen.append("cleaned up")
        return {}

    before = signal.signal(signal.SIGTERM, lambda *_args: seen.append("signal"))
    try:
        with pytest.raises(KeyboardInterrupt):
            run_here(made(work), Task("dtr.cache.made", CONNECTION))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == ["cleaned up", "signal"]
