# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a task failed, in words, from the result that any module or Ansible itself left."""

from __future__ import annotations

import re
import typing as t

from ansible import constants

from ...module_utils.common.failure import Failure
from ...module_utils.common.redaction import redacted

Result = t.Mapping[str, t.Any]

# What Swarm says when somebody else was quicker: the version of an object changed, or its name was taken meanwhile.
_CONFLICT = re.compile(
    r"update out of sequence|AlreadyExists|name conflicts with an existing object|\b409 Client Error",
    re.IGNORECASE,
)
_ANOTHER_RUN = (
    "Another run, or somebody by hand, changed the same thing in this Swarm at the same moment. Run the playbook again "
    "when the other one has ended."
)
# What a manager says as long as nobody leads the managers, or the one that did does not answer.
_NO_LEADER = re.compile(
    r"code = (?:DeadlineExceeded|Unavailable)\b|does not have a leader|too few managers|Manager is being prepared",
    re.IGNORECASE,
)
_BETWEEN_LEADERS = (
    "The managers of this Swarm had no leader that answered. They choose another within seconds as long as most of "
    "them are up: docker node ls. Run the playbook again then."
)
# What Ansible says of a machine that it has reached, and takes for one that it has not.
_NO_FOLDER = re.compile(r"create temporary directory|No space left|Read-only file system|quota exceeded", re.IGNORECASE)
# Of the machine whose folder it is, Python's words say nothing.
_FULL = re.compile(r"\[Errno (?:28|30|122)\]")
_MAKE_ROOM = (
    "Make room (df -h, df -i) for temporary files: in Ansible's folders on the control node (ANSIBLE_LOCAL_TEMP) and "
    "on the manager (ansible_remote_tmp), and in TMPDIR of each."
)
_NO_REASON = "no reason was given"
IN_FAILURE = "The reason is in this result, as failure.message, and in the report at the end."
# Texts in a result that its reason may be made of, and lists of such.
_TEXTS = ("detail", "error", "event", "hint", "message", "msg")
_LISTS = ("log", "problems")
# What a crashed module wrote, as it is, secrets among it; and Ansible's words for the crash, which it shows instead.
_RAW = ("module_stdout", "module_stderr", "exception")


def reason_of(result: Result, manager: str) -> str:
    """Why a task failed; of a loop, why its items did, each reason once.

    Args:
        result: The failed result.
        manager: The host that the task was for.
    """
    failed = [item for item in result.get("results") or [] if item.get("failed") or item.get("unreachable")]
    reasons = dict.fromkeys(_reason(item, manager) for item in failed or [result])
    return " ".join(reason for reason in reasons if reason) or _reason(result, manager) or _NO_REASON


def told_once(result: Result, *, is_reported: bool) -> dict[str, t.Any]:
    """Return a failed result that has its reason once.

    Ansible shows all of a failed result, and its C(msg) above it a second time.

    Args:
        result: The result, with C(failure).
        is_reported: Whether a report tells the reason as well; C(msg) then only says where it is.
    """
    reason = str(result["msg"])
    failure = {name: result["failure"][name] for name in ("code", "http_status", "url")}
    # The exception is the message once more, and the last event the verdict; Ansible makes another exception of C(msg).
    kept = _without({name: each for name, each in result.items() if name != "exception"}, reason)
    kept.update({name: kept[name][:-1] for name in ("timeline",) if name in kept})
    if is_reported:
        return {**kept, "msg": IN_FAILURE, "failure": {**failure, "message": reason}}
    return {**kept, "msg": reason, "failure": failure}


def _without(value: t.Any, reason: str) -> t.Any:
    """Leave out the texts that the reason has."""
    if isinstance(value, t.Mapping):
        kept = {name: each for name, each in value.items() if not (name in _TEXTS and str(each) in reason)}
        lists = {name: [each for each in kept[name] if str(each) not in reason] for name in _LISTS if kept.get(name)}
        return {name: _without(each, reason) for name, each in {**kept, **lists}.items()}
    return [_without(each, reason) for each in value] if isinstance(value, list) else value


def crash_of(result: Result) -> str | None:
    """The last line of what a module wrote that ended without a result; None where it gave one."""
    if "module_stdout" not in result and "module_stderr" not in result:
        return None
    for output in (result.get("module_stderr"), result.get("module_stdout"), result.get("exception")):
        lines = [line.strip() for line in str(output or "").splitlines() if line.strip()]
        # SSH says so of its own accord when it ends.
        lines = [line for line in lines if not re.fullmatch(r"(?:Shared c|C)onnection to \S+ closed\.", line)]
        if lines:
            return redacted(lines[-1])
    return "it wrote nothing"


def out_of_reach(manager: str, error: t.Any) -> Failure:
    """Why Ansible gave up a manager."""
    said = " ".join(str(error or _NO_REASON).removeprefix("Task failed: ").split())
    if _NO_FOLDER.search(said):
        return Failure(
            "NO_TEMPORARY_FOLDER",
            f"The manager {manager} answers, and Ansible cannot make a folder for its modules there: "
            f"{said.partition('. In some cases')[0].rstrip('.')}.",
            hint="Make room there (df -h, df -i), or set ansible_remote_tmp to a folder that can be written.",
        )
    return Failure(
        "MANAGER_UNREACHABLE",
        f"The manager {manager} cannot be reached: {said.rstrip('.')}.",
        hint="Check that it is up, and Ansible's way to it (ansible_host, SSH). Then run the playbook again: it goes "
        "on where this run ended.",
    )


def too_late(manager: str, seconds: int) -> Failure:
    """Why a task was ended by its time."""
    if seconds == constants.TASK_TIMEOUT:
        return Failure(
            "TASK_TIMEOUT",
            f"The task did not end within {seconds} seconds, which ANSIBLE_TASK_TIMEOUT (task_timeout in ansible.cfg) "
            "allows.",
            hint="Raise it, or leave it out, and run the playbook again.",
        )
    return Failure(
        "MANAGER_SILENT",
        f"The manager {manager} did not answer within {seconds} seconds.",
        hint="Run the playbook again when it does: it goes on where this run ended.",
    )


def explained(result: Result, module: str, manager: str) -> dict[str, t.Any]:
    """The result with the module's own last words where it crashed; Ansible says only that it did."""
    crash = crash_of(result) if result.get("failed") else None
    if crash is None:
        return dict(result)
    failure = Failure(
        "MODULE_CRASHED",
        f"The module {module} crashed on {manager}: {crash.rstrip('.')}.",
        hint="Check Python (ansible_python_interpreter) and the packages of dtr_cache_requirements there; with -vvv "
        "Ansible shows all of it.",
    )
    return {**{name: value for name, value in result.items() if name not in _RAW}, **failure.as_result()}


def _reason(result: Result, manager: str) -> str:
    period = (result.get("timedout") or {}).get("period")
    if period or result.get("unreachable"):
        ended = too_late(manager, period) if period else out_of_reach(manager, result.get("msg"))
        return str(ended.as_result()["msg"])
    crash = crash_of(result)
    said = str(result.get("msg") or "").removeprefix("Task failed: ").strip()
    if crash:
        said = f"A module crashed on {manager}: {crash.rstrip('.')}."
    if said == IN_FAILURE:
        return str(result["failure"]["message"])
    # A message that only names the command says nothing of its reason, which is the last that Docker's command writes.
    last = next((line.strip() for line in reversed(str(result.get("stderr") or "").splitlines()) if line.strip()), "")
    if last and last not in said:
        said = f"{said.rstrip('.')}: {redacted(last)}" if said else redacted(last)
    for pattern, meaning in ((_CONFLICT, _ANOTHER_RUN), (_NO_LEADER, _BETWEEN_LEADERS), (_FULL, _MAKE_ROOM)):
        if pattern.search(said) and meaning not in said:
            return f"{said.rstrip('.')}. {meaning}"
    return said
