# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a module on the control node without a process of its own, and what it sees there of Ansible.

A module that Ansible sends costs a third of a second of a processor before its first line runs, for unpacking and
compiling what this process mostly has loaded already. Those that talk to DTR run on the control node, several for each
region, and their requests take milliseconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
import typing as t

from ansible import constants
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.module_utils.errors import UnsupportedError
from ansible.plugins.filter.core import to_json

from ...module_utils.common.redaction import writable
from ...module_utils.module.base import Module
from ...module_utils.module.of_dtr import DtrModule


class Task(t.NamedTuple):
    """One call of a module.

    Args:
        module: The module's full name, for messages about its options.
        arguments: Its options.
        check_mode: Whether nothing may be changed.
        diff: Whether the result has a diff.
        invocation: Whether the result says how the module was called.
        verbosity: How much Ansible is to show.
        environment: Environment variables for as long as the module runs. They are the whole process's, so modules
            that run side by side in threads get none.
    """

    module: str
    arguments: t.Mapping[str, t.Any]
    check_mode: bool = False
    diff: bool = False
    invocation: bool = False
    verbosity: int = 0
    environment: t.Mapping[str, str] = {}


class _Ended(BaseException):
    """A module has ended; like C(SystemExit), no handler of errors catches it."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__()
        self.result = result


class _Here:
    """What modules use of C(AnsibleModule), for one that runs in this process."""

    def __init__(
        self,
        task: Task,
        argument_spec: dict[str, t.Any],
        supports_check_mode: bool,  # noqa: ARG002 (all modules that run here support it)
        **rules: t.Any,
    ) -> None:
        self.argument_spec = argument_spec
        self.check_mode = task.check_mode
        self.no_log_values: set[str] = set()
        self._diff = task.diff
        self._verbosity = task.verbosity
        self._invocation = task.invocation
        self._warnings: list[str] = []
        self._deprecations: list[dict[str, t.Any]] = []
        # What comes from playbooks may be of Ansible's own types, vaulted ones among them; modules know JSON's.
        validated = ArgumentSpecValidator(argument_spec, **rules).validate(json.loads(to_json(task.arguments)))
        self.params: dict[str, t.Any] = validated.validated_parameters
        # ansible-core has no public way to them; AnsibleModule reports them in the same words.
        for deprecation in validated._deprecations:
            self.deprecate(**deprecation)
        for double in validated._warnings:
            self.warn(f"Both option {double['option']} and its alias {double['alias']} are set.")
        if wrong := validated.errors.errors:
            unknown = f"Unsupported parameters for ({task.module}) module: "
            self.fail_json("; ".join(unknown * isinstance(error, UnsupportedError) + error.msg for error in wrong))

    def warn(self, warning: str) -> None:
        if warning not in self._warnings:
            self._warnings.append(warning)

    def deprecate(
        self, msg: str, version: str | None = None, date: str | None = None, collection_name: str | None = None
    ) -> None:
        when = {"date": date} if date else {"version": version}
        deprecation = {"msg": msg, **when, "collection_name": collection_name}
        if deprecation not in self._deprecations:
            self._deprecations.append(deprecation)

    def exit_json(self, **result: t.Any) -> None:
        answer = {"changed": False, **result}
        if self._invocation:
            answer["invocation"] = {"module_args": writable(self.params)}
        if self._warnings:
            answer["warnings"] = self._warnings
        if self._deprecations:
            answer["deprecations"] = self._deprecations
        shown = remove_values(answer, self.no_log_values)
        # A password that reads like a truth value hides none.
        shown.update({key: value for key, value in answer.items() if value is None or isinstance(value, bool)})
        raise _Ended(shown)

    def fail_json(self, msg: str, **result: t.Any) -> None:
        self.exit_json(**result, msg=msg, failed=True)


class ControlNodeModule(Module, _Here):
    """A module that runs in this process.

    Each task of a run is a process of its own, so what they are to know of each other stands in a folder of the run.
    """

    def has_answered(self, server: str) -> bool:
        return os.path.exists(_mark_of(server))

    def note_answered(self, server: str) -> None:
        with contextlib.suppress(OSError):
            os.close(os.open(_mark_of(server), os.O_CREAT | os.O_WRONLY, 0o600))


def _mark_of(server: str) -> str:
    digest = hashlib.sha256(server.encode("utf-8", "replace")).hexdigest()
    return os.path.join(constants.DEFAULT_LOCAL_TMP, f"dtr-cache-answered-{digest[:32]}")


def run_here(module: DtrModule, task: Task) -> dict[str, t.Any]:
    """The result of a module that talks to DTR, as Ansible would return it."""
    with _environment(task.environment), _orderly_end():
        try:
            module.run(lambda **options: ControlNodeModule(task, **options))
        except _Ended as end:
            return end.result
    raise AssertionError("a module ends by a result")


@contextlib.contextmanager
def _environment(variables: t.Mapping[str, str]) -> t.Iterator[None]:
    """The task's environment, for as long as the module runs."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _orderly_end() -> t.Iterator[None]:
    """A signal ends the module, which still does what it does in the end (deletes its token), and then the process."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Signals are not for this thread.
        return
    met: list[int] = []

    def end(number: int, _frame: t.Any) -> t.NoReturn:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        met.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in met:
            os.kill(os.getpid(), number)
