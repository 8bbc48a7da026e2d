# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge of the modules that read a Swarm: their connection options, and failures in Ansible's form."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import missing_required_lib

from ..common.failure import Failure
from ..swarm.engine import DOCKER_IMPORT_ERROR, Engine
from .base import Module, SentModule, run_to_end
from .options import ENGINE_ARGUMENT_SPEC

Warn = t.Callable[[str], None]


class EngineModule:
    """A module that reads a Swarm: its own options, and its work.

    Args:
        work: Does the module's work and returns its result, or raises C(Failure).
        argument_spec: The module's own options.
        prevented_by: What stands against the work, as sentences; they are the result then. It gets the Engine, the
            options and what takes a warning. The Docker SDK need not be there for that.
        engine: How the Engine is read.
        constraints: What else Ansible checks of the options, such as C(required_one_of).
    """

    def __init__(
        self,
        work: t.Callable[[Engine, Module], dict[str, t.Any]],
        argument_spec: t.Mapping[str, t.Any],
        prevented_by: t.Callable[[Engine, t.Mapping[str, t.Any], Warn], list[str]] = lambda *_asked: [],
        engine: t.Callable[[t.Mapping[str, t.Any]], Engine] = Engine,
        **constraints: t.Any,
    ) -> None:
        self._work = work
        self._argument_spec = argument_spec
        self._prevented_by = prevented_by
        self._engine = engine
        self._constraints = constraints

    def run(self, module_class: t.Callable[..., Module] = SentModule) -> None:
        """Make the module, do its work, and end with its result."""
        spec = {**self._argument_spec, **ENGINE_ARGUMENT_SPEC}
        module = module_class(argument_spec=spec, supports_check_mode=True, **self._constraints)

        def checked_work() -> dict[str, t.Any]:
            engine = self._engine(module.params)
            problems = self._prevented_by(engine, module.params, module.warn)
            if problems:
                return {"changed": False, "problems": problems}
            if DOCKER_IMPORT_ERROR:
                reason = "to read the Swarm from the Docker Engine (package python3-docker on Debian and Ubuntu)"
                raise Failure("MISSING_LIBRARY", missing_required_lib("docker", reason=reason))
            return self._work(engine, module)

        run_to_end(module, checked_work)
