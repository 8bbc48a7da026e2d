# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task failed, from the results that modules, Docker's command and Ansible leave."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible import constants
from ansible_collections.dtr.cache.plugins.plugin_utils.actions.reasons import crash_of, reason_of, told_once

TRACEBACK = (
    'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nImportError: no module named _ssl\n'
)
CRASHED = {
    "failed": True,
    "msg": "MODULE FAILURE: No start of json char found\nSee stdout/stderr for the exact error",
    "module_stdout": "",
    "module_stderr": f"{TRACEBACK}Shared connection to 10.0.0.1 closed.\r\n",
    "rc": 1,
}
ANOTHER = (
    "Another run, or somebody by hand, changed the same thing in this Swarm at the same moment. Run the playbook again "
    "when the other one has ended."
)
OUT_OF_SEQUENCE = "failed to update service dtr-cache_cache: rpc error: code = Unknown desc = update out of sequence"
EXISTS = (
    "Error creating config: 409 Client Error for http+docker://localhost/v1.47/configs/create: Conflict "
    '("rpc error: code = AlreadyExists desc = config c-1 already exists")'
)
LEADERLESS = (
    '500 Server Error: Internal Server Error ("rpc error: code = DeadlineExceeded desc = context deadline exceeded")'
)

CASES: dict[str, tuple[dict[str, t.Any], str]] = {
    "a module's own words": ({"msg": "The DTR refused it."}, "The DTR refused it."),
    "nothing": ({"failed": True}, "no reason was given"),
    "a crash": (CRASHED, "A module crashed on asia: ImportError: no module named _ssl."),
    "a crash without a word": (
        {"module_stdout": "", "module_stderr": "\n"},
        "A module crashed on asia: it wrote nothing.",
    ),
    "a crash that holds a secret": (
        {"module_stderr": "ValueError: password=hunter2", "module_stdout": ""},
        "A module crashed on asia: ValueError: password=***.",
    ),
    "a full folder": (
        {"msg": "Task failed: [Errno 28] No space left on device"},
        "[Errno 28] No space left on device. Make room (df -h, df -i) for temporary files: in Ansible's folders on the "
        "control node (ANSIBLE_LOCAL_TEMP) and on the manager (ansible_remote_tmp), and in TMPDIR of each.",
    ),
    "a silent manager": (
        {"failed": True, "msg": "Timed out after 60 second(s).", "timedout": {"period": 60, "frame": "x"}},
        "The manager asia did not answer within 60 seconds. Run the playbook again when it does: it goes on where this "
        "run ended.",
    ),
    "docker's own words": (
        {"msg": "docker stack up deploy command failed", "stderr": "Creating x\n\ninvalid mount config\n\n", "rc": 1},
        "docker stack up deploy command failed: invalid mount config",
    ),
    "a service that somebody else changed": (
        {"msg": "docker stack up deploy command failed", "stderr": OUT_OF_SEQUENCE},
        f"docker stack up deploy command failed: {OUT_OF_SEQUENCE}. {ANOTHER}",
    ),
    "a conflict in DTR": (
        {"msg": "PATCH https://dtr.example.org/x answered 409 Conflict (CONFLICT)."},
        "PATCH https://dtr.example.org/x answered 409 Conflict (CONFLICT).",
    ),
    "a config that somebody else made": ({"msg": EXISTS}, f"{EXISTS}. {ANOTHER}"),
    "a leader that was lost": (
        {"msg": f"Error accessing secret s: {LEADERLESS}"},
        f"Error accessing secret s: {LEADERLESS}. The managers of this Swarm had no leader that answered. They choose "
        "another within seconds as long as most of them are up: docker node ls. Run the playbook again then.",
    ),
    "a loop": (
        {
            "msg": "One or more items failed",
            "results": [
                {"failed": True, "msg": "b"},
                {"msg": "fine"},
                {"failed": True, "msg": "b"},
                {"failed": True, "msg": "c"},
            ],
        },
        "b c",
    ),
    "a manager that cannot be reached": (
        {"unreachable": True, "msg": "no route to host"},
        "The manager asia cannot be reached: no route to host. Check that it is up, and Ansible's way to it "
        "(ansible_host, SSH). Then run the playbook again: it goes on where this run ended.",
    ),
    **{
        f"a manager without room: {words}": (
            {"unreachable": True, "msg": words},
            f"The manager asia answers, and Ansible cannot make a folder for its modules there: {told}. Make room "
            "there (df -h, df -i), or set ansible_remote_tmp to a folder that can be written.",
        )
        for words, told in {
            "mkdir: cannot create directory '/x': No space left on device": (
                "mkdir: cannot create directory '/x': No space left on device"
            ),
            "Failed to create temporary directory. In some cases, you may": "Failed to create temporary directory",
        }.items()
    },
    "a loop that failed by itself": ({"msg": "the loop is no list", "results": []}, "the loop is no list"),
}


@pytest.mark.parametrize(("result", "reason"), CASES.values(), ids=CASES)
def test_a_failed_result_has_its_reason(result: dict[str, t.Any], reason: str) -> None:
    assert reason_of(result, "asia") == reason


def test_a_limit_of_the_users_own_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the manager answers is not known then."""
    monkeypatch.setattr(constants, "TASK_TIMEOUT", 60)
    reason = reason_of({"failed": True, "timedout": {"period": 60}}, "asia")
    assert reason.startswith("The task did not end within 60 seconds, which ANSIBLE_TASK_TIMEOUT (task_timeout in")
    assert "asia" not in reason


@pytest.mark.parametrize("is_reported", [True, False])
def test_a_result_has_its_reason_once(is_reported: bool) -> None:
    message, hint = "Stack a did not settle: on b: No such image: c:1.", "Load it."
    failure = {"code": "TASK_FAILED", "message": message, "hint": hint, "http_status": None, "url": None}
    result = {
        "failed": True,
        "msg": f"{message} {hint}",
        "failure": failure,
        "exception": f"{message} {hint}",
        "tasks": [{"node": "b", "error": "No such image: c:1"}, {"node": "b", "error": "another"}],
        "timeline": [{"second": 0, "event": "begins"}, {"second": 9, "event": "service x: No such image: c:1"}],
        "log": ["began", "on b: No such image: c:1"],
    }
    once = told_once(result, is_reported=is_reported)
    assert json.dumps(once).count("No such image: c:1") == json.dumps(once).count("Load it.") == 1
    assert (once["tasks"][1]["error"], once["log"], len(once["timeline"])) == ("another", ["began"], 1)
    assert reason_of(once, "asia") == f"{message} {hint}"


def test_long_output_is_cut() -> None:
    assert len(reason_of({"msg": "m", "stderr": "word " * 10_000}, "asia")) < 1100
    assert len(crash_of({"module_stderr": "word " * 10_000, "module_stdout": ""}) or "") <= 500


def test_what_gave_a_result_did_not_crash() -> None:
    assert crash_of({"failed": True, "msg": "x"}) is None
