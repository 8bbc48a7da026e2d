# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that talk to DTR: their connection options, one result or one failure at the end."""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.basic import env_fallback

from ..common.failure import Failure
from ..dtr.api import DtrApi
from ..http.transport import Transport, basic_credentials
from .base import Module, SentModule, run_to_end

_MAX_CONCURRENCY = 128
_LONGEST_TIMEOUT = 86400


def connection_argument_spec() -> dict[str, t.Any]:
    """The options of the doc fragment C(dtr.cache.registry)."""
    return {
        "url": {"type": "str", "required": True, "fallback": (env_fallback, ["DTR_URL"])},
        "username": {"type": "str", "fallback": (env_fallback, ["DTR_USERNAME"])},
        "password": {"type": "str", "no_log": True, "fallback": (env_fallback, ["DTR_PASSWORD"])},
        # Of the environment only where no CA is given at all, which a fallback cannot know.
        "ca_path": {"type": "path"},
        "ca_certificate": {"type": "str"},
        "client_cert": {"type": "path", "fallback": (env_fallback, ["DTR_CLIENT_CERT"])},
        "client_key": {"type": "path", "fallback": (env_fallback, ["DTR_CLIENT_KEY"])},
        "client_certificate": {"type": "str", "no_log": True},
        "validate_certs": {"type": "bool", "default": True, "fallback": (env_fallback, ["DTR_VALIDATE_CERTS"])},
        "timeout": {"type": "float", "default": 30},
        "retries": {"type": "int", "default": 5},
    }


def concurrency_argument_spec() -> dict[str, t.Any]:
    """The option of the modules that send many requests."""
    return {"concurrency": {"type": "int", "default": 16}}


class DtrModule:
    """A module that talks to DTR: its own options, and its work.

    Args:
        work: Does the module's work and returns its result, or raises C(Failure).
        argument_spec: The module's own options.
        authenticated: Whether DTR wants to know who asks.
    """

    def __init__(
        self,
        work: t.Callable[[Module], dict[str, t.Any]],
        argument_spec: t.Mapping[str, t.Any] | None = None,
        *,
        authenticated: bool = True,
    ) -> None:
        self._work = work
        self._argument_spec = argument_spec or {}
        self._authenticated = authenticated

    def run(self, module_class: t.Callable[..., Module] = SentModule) -> None:
        """Make the module, do its work, and end with its result."""
        module = module_class(
            argument_spec={**connection_argument_spec(), **self._argument_spec},
            mutually_exclusive=[("ca_path", "ca_certificate")],
            required_by={"client_key": "client_cert"},
            required_one_of=[("username", "client_cert", "client_certificate")] if self._authenticated else [],
            supports_check_mode=True,
        )
        params = module.params
        if not params["ca_path"] and not params["ca_certificate"]:
            params["ca_path"] = os.path.expandvars(os.path.expanduser(os.environ.get("DTR_CA_PATH", "")))
        module.no_log_values.update(secret_forms(params["username"], params["password"]))
        module.no_log_values.update(filter(None, [params["client_certificate"]]))

        def checked_work() -> dict[str, t.Any]:
            _check_connection(params, self._authenticated)
            try:
                return _shown(module, self._work(module))
            except Failure as failure:
                failure.result = _shown(module, failure.result)
                raise

        run_to_end(module, checked_work)


def secret_forms(username: str | None, password: str | None) -> set[str]:
    """The forms in which a password goes to a server, which may repeat them in its answer."""
    if not username or not password:
        return set()
    return {password, basic_credentials(username, password)}


def _shown(module: Module, result: dict[str, t.Any]) -> dict[str, t.Any]:
    """The result without its diff unless that is asked for: it repeats every one of thousands of accounts."""
    return result if module._diff else {key: value for key, value in result.items() if key != "diff"}


class DtrSession:
    """DTR as a module's options describe it; retries become warnings of the module."""

    def __init__(self, module: Module, **overrides: t.Any) -> None:
        self._module = module
        self._overrides = overrides

    def __enter__(self) -> DtrApi:
        self.transport = _transport(self._module.params, self._overrides)
        self.transport.patient = self._module.has_answered(self.transport.base_url)
        return DtrApi(self.transport)

    def __exit__(self, *exc_info: object) -> None:
        for warning in self.transport.warnings:
            self._module.warn(warning)
        if self.transport.answered and not self.transport.patient:
            self._module.note_answered(self.transport.base_url)
        self.transport.close()


def _check_connection(params: t.Mapping[str, t.Any], authenticated: bool) -> None:
    """What an argument spec cannot say: who is not asked who it is may have half of that in the environment."""
    if authenticated and bool(params["username"]) != bool(params["password"]):
        there, missing = ("username", "password") if params["username"] else ("password", "username")
        raise Failure(
            "INVALID_INPUT",
            f"username and password are required together, and {missing} is missing beside {there}.",
            hint=f"Set {missing}, or the environment variable DTR_{missing.upper()}.",
        )
    if authenticated and not any(params[name] for name in ("username", "client_cert", "client_certificate")):
        raise Failure("INVALID_INPUT", "username, client_cert or client_certificate is required, and all are empty.")
    timeout = params["timeout"]
    if not timeout > 0:
        raise Failure("INVALID_INPUT", f"timeout: {timeout:g} is not a number of seconds above 0.")
    if timeout > _LONGEST_TIMEOUT:
        raise Failure("INVALID_INPUT", f"timeout: {timeout:g} is more than a day, {_LONGEST_TIMEOUT} seconds.")
    if params["retries"] < 0:
        raise Failure("INVALID_INPUT", f"retries: {params['retries']} is not a number from 0 on.")
    if not 1 <= params.get("concurrency", 1) <= _MAX_CONCURRENCY:
        raise Failure(
            "INVALID_INPUT", f"concurrency: {params['concurrency']} is not a number from 1 to {_MAX_CONCURRENCY}."
        )


def _transport(params: t.Mapping[str, t.Any], overrides: t.Mapping[str, t.Any]) -> Transport:
    options = {name: params[name] for name in connection_argument_spec() if name != "url"}
    usual = {"concurrency": params.get("concurrency", 1), **options}
    return Transport(params["url"], **{**usual, **overrides})
