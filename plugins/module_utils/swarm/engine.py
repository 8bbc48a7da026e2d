# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a Swarm through the Docker Engine API of one of its managers. Nothing is written here."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import math
import os
import pwd
import re
import socket
import time
import traceback
import typing as t
from urllib.parse import quote

from ..common.failure import Failure
from .model import (
    NAMESPACE_LABEL,
    NO_ENGINE,
    NOT_A_MANAGER,
    FormerStack,
    Moment,
    Swarm,
    by_host_name,
    of_stack,
)

try:
    import docker
    import docker.auth
    import docker.errors
    import docker.tls
    import requests.adapters
    import requests.exceptions

    _SdkTlsConfig: t.Any = docker.tls.TLSConfig
    DOCKER_IMPORT_ERROR = None
except ImportError:
    _SdkTlsConfig = object
    DOCKER_IMPORT_ERROR = traceback.format_exc()

# For so long a log may send nothing. What the Engine has of it comes at once, or it does not come.
SECONDS_OF_SILENCE = 10.0
# Two classes before Python 3.10, one from then on.
TIME_OUTS = (socket.timeout, TimeoutError)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_NO_SOCKET = (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR, *_FORBIDDEN)
_LONGEST_ERROR = 2000
# What libraries put before the words for a failed connection: the object that it belonged to.
_OBJECT = re.compile(r"(?:<[^>]*>|\w+\(host=[^)]*\)): ")
# The Engine itself tries for longer where it has no way to the registry.
SECONDS_FOR_REGISTRY = 15


class Engine:
    """A manager's Docker Engine.

    Raises:
        Failure: C(ENGINE_UNREACHABLE), C(NO_ENGINE), C(NOT_A_MANAGER) or C(ENGINE_ERROR), naming the Engine.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self.address = params["docker_host"]
        self._params = params
        self._seconds: int = params["engine_timeout"]

    @functools.cached_property
    def _client(self) -> t.Any:
        """Return the SDK's client, which asks the Engine for its version."""
        return docker.APIClient(
            base_url=self.address,
            tls=_tls_config(self._params),
            version=self._params["api_version"],
            timeout=self._seconds,
            use_ssh_client=self.address.startswith("ssh://"),
        )

    def answer_within(self, seconds: float) -> None:
        """Give up each further request after so many seconds, or earlier where the options say so."""
        self._seconds = max(1, min(self._params["engine_timeout"], math.ceil(seconds)))
        # Made already, it has its time-out from then.
        if "_client" in vars(self):
            self._client.timeout = self._seconds

    def require_manager(self) -> dict[str, t.Any]:
        """Return the Engine's own information, if it is a manager of a Swarm."""
        info: dict[str, t.Any] = self._ask("info")
        state = info["Swarm"].get("LocalNodeState", "inactive")
        if state != "active":
            raise Failure(
                NOT_A_MANAGER,
                f"The Docker Engine on {info['Name']} is in no Swarm (its state is {state}).",
                hint="Name a manager of the Swarm, or make one with: docker swarm init",
            )
        if not info["Swarm"].get("ControlAvailable"):
            managers = ", ".join(manager["Addr"] for manager in info["Swarm"].get("RemoteManagers") or [])
            raise Failure(
                NOT_A_MANAGER,
                f"The Docker Engine on {info['Name']} is a worker, and only a manager can change a Swarm.",
                hint=f"Use one of the managers: {managers}",
            )
        return info

    def read_swarm(self, stack: str, former: t.Sequence[str] = ()) -> Swarm:
        """Return the objects that a plan for a stack compares.

        Args:
            stack: The stack.
            former: Stacks that were the same cache before.
        """

        def of(networks: t.Iterable[dict[str, t.Any]], name: str) -> dict[str, dict[str, t.Any]]:
            return {each["Name"]: each for each in networks if (each.get("Labels") or {}).get(NAMESPACE_LABEL) == name}

        services = self.all_services()
        by_stack = {name: of_stack(services, name) for name in (stack, *former)}
        known = {service["ID"] for found in by_stack.values() for service in found.values()}
        networks = self.networks()
        return Swarm(
            nodes=by_host_name(self.nodes().values()),
            services=by_stack[stack],
            other_services=[service for service in services if service["ID"] not in known],
            configs=self.configs(),
            secrets=self.secrets(),
            networks=of(networks, stack),
            former={name: FormerStack(by_stack[name], of(networks, name)) for name in former},
            network_names={network["Id"]: network["Name"] for network in networks},
        )

    def networks(self) -> list[dict[str, t.Any]]:
        """Return the networks that this Engine knows."""
        return list(self._ask("networks"))

    def secrets(self) -> dict[str, dict[str, t.Any]]:
        """Return the Docker secrets of the whole Swarm by name."""
        return {secret["Spec"]["Name"]: secret for secret in self._ask("secrets")}

    def configs(self) -> dict[str, dict[str, t.Any]]:
        """Return the Docker configs of the whole Swarm by name, with their content."""
        return {config["Spec"]["Name"]: config for config in self._ask("configs")}

    def nodes(self) -> dict[str, dict[str, t.Any]]:
        """Return the nodes of the Swarm by id."""
        return {node["ID"]: node for node in self._ask("nodes")}

    def all_services(self) -> list[dict[str, t.Any]]:
        """Return the services of the whole Swarm."""
        return list(self._ask("services"))

    def services_of(self, stack: str) -> dict[str, dict[str, t.Any]]:
        """Return the services of a stack, by name without the stack's."""
        return of_stack(self._ask("services", label=f"{NAMESPACE_LABEL}={stack}"), stack)

    def tasks_of(self, stack: str) -> list[dict[str, t.Any]]:
        """Return the tasks of a stack's services, also those that have ended."""
        return list(self._ask("tasks", label=f"{NAMESPACE_LABEL}={stack}"))

    def all_tasks(self) -> list[dict[str, t.Any]]:
        """Return the tasks of the whole Swarm that are to run."""
        return list(self._ask("tasks", **{"desired-state": "running"}))

    def observe(self, stack: str, former: t.Collection[str] = ()) -> Moment:
        """Return the state of a stack, and of the services (C(former)) that it replaces."""
        moment = Moment(self.services_of(stack), self.tasks_of(stack), self.nodes())
        if not former:
            return moment
        services = [service for service in self.all_services() if service["Spec"]["Name"] in former]
        found = [(service, self._ask("tasks", service=service["ID"])) for service in services]
        return dataclasses.replace(moment, former=found)

    def _ask(self, kind: str, **filters: str) -> t.Any:
        """Return the objects of a kind, such as C(services), or the Engine's C(info)."""
        with self._explained():
            question = getattr(self._client, kind)
            return question(filters=filters) if filters else question()

    def registry_says(self, image: str, *, with_auth: bool) -> tuple[int, str]:
        """Return the status and the words of an image's registry, as this Engine passes them on.

        C(docker stack deploy) asks the same to resolve the image.

        Args:
            image: The image's reference.
            with_auth: Whether to log in as Docker's command does, with C(--with-registry-auth).
        """
        address = f"{self._client.base_url}/v{self._client.api_version}/distribution/{quote(image)}/json"
        with self._explained():
            headers = {}
            if with_auth:
                registry, _name = docker.auth.resolve_repository_name(image)
                credentials = docker.auth.get_config_header(self._client, registry)
                headers = {"X-Registry-Auth": credentials} if credentials else {}
            answer = self._client.get(address, headers=headers, timeout=SECONDS_FOR_REGISTRY)
        try:
            words = str(answer.json().get("message") or "")
        except (ValueError, AttributeError):
            words = answer.text[:500]
        return int(answer.status_code), " ".join(words.split())

    def task_log(
        self, task_id: str, *, lines: int, seconds: float, since: int = 0, described: bool = False
    ) -> t.Iterator[bytes]:
        """Yield the end of the log of one task as the Engine sends it.

        The log of a whole service may never end: where a task had no container, or its node does not answer (seen with
        Engine 26.1).

        Args:
            task_id: The task.
            lines: Only so many, the newest.
            seconds: Time after which what has come by then must do.
            since: Nothing older, in seconds since 1970.
            described: Whether each message is to begin with its time, node and task.

        Raises:
            Failure: C(LOG_UNREAD), in words that follow the name of the task; or that of any other request.
        """
        end = time.monotonic() + seconds
        query: dict[str, t.Any] = {"stdout": 1, "stderr": 1, "follow": 0, "since": since, "tail": lines}
        query.update({"details": 1, "timestamps": 1} if described else {})
        silence = max(1.0, min(seconds, SECONDS_OF_SILENCE))
        with self._explained(), contextlib.ExitStack() as stack:
            address = f"{self._client.base_url}/v{self._client.api_version}/tasks/{task_id}/logs"
            try:
                log = self._client.get(address, params=query, stream=True, timeout=silence)
                stack.callback(log.close)
                if log.status_code != 200:
                    said = next(log.iter_content(_LONGEST_ERROR), b"").decode(errors="replace").strip()
                    raise Failure(
                        "LOG_UNREAD", f"the Engine does not give it: {said}", http_status=int(log.status_code)
                    )
                for chunk in log.iter_content(64 * 1024):
                    yield chunk
                    if time.monotonic() > end:
                        raise Failure("LOG_UNREAD", f"it was not at its end after {seconds:g} seconds")
            except requests.exceptions.RequestException as error:
                if not _is_time_out(error):
                    raise
                raise Failure("LOG_UNREAD", f"the Engine sent nothing of it for {silence:g} seconds") from error

    @contextlib.contextmanager
    def _explained(self) -> t.Iterator[None]:
        """Raise Docker's errors as failures."""
        try:
            yield
        except docker.errors.APIError as error:
            raise Failure(
                "ENGINE_ERROR",
                f"The Docker Engine at {self.address} refused a request: {error.explanation or error}",
                http_status=error.status_code,
            ) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            missing = self._missing_socket(error)
            if missing and missing.errno in _FORBIDDEN:
                raise Failure(
                    NO_ENGINE,
                    f"The Docker Engine at {self.address} does not let user {_user()} in: {_words(missing)}.",
                    hint="Set ansible_become: true for the manager, or add the user to its group docker.",
                ) from error
            if missing:
                raise Failure(
                    NO_ENGINE,
                    f"There is no Docker Engine at {self.address}: {_words(missing)}.",
                    hint="Is Docker installed and running there?",
                ) from error
            raise Failure(
                "ENGINE_UNREACHABLE",
                f"The Docker Engine at {self.address} cannot be reached: {_told(error).rstrip('.')}.",
                hint="Is it running, and is the way to it open?",
            ) from error

    def _missing_socket(self, error: BaseException) -> OSError | None:
        """Return why a socket of this machine refuses connections; None for other errors, which may end soon."""
        if not self.address.startswith(("unix:", "http+unix:", "/")):
            return None
        return next((each for each in _causes(error) if isinstance(each, OSError) and each.errno in _NO_SOCKET), None)


class Snapshot(Engine):
    """An Engine at one moment: each question is asked once, and for several stacks all tasks come with one request."""

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        super().__init__(params)
        self._known: dict[tuple[t.Any, ...], t.Any] = {}

    def services_of(self, stack: str) -> dict[str, dict[str, t.Any]]:
        """Return the services of a stack, by name without the stack's."""
        return of_stack(self.all_services(), stack)

    def tasks_of(self, stack: str) -> list[dict[str, t.Any]]:
        """Return the tasks of a stack's services, also those that have ended."""
        if not self._params.get("stacks"):
            return super().tasks_of(stack)
        services = {service["ID"] for service in self.services_of(stack).values()}
        return [task for task in self._ask("tasks", label=NAMESPACE_LABEL) if task["ServiceID"] in services]

    def _ask(self, kind: str, **filters: str) -> t.Any:
        key = (kind, *filters.items())
        if key not in self._known:
            self._known[key] = super()._ask(kind, **filters)
        return self._known[key]


def _told(error: BaseException) -> str:
    """Return the words for a failed connection, without the names of Python objects around them."""
    _before, caused_by, cause = str(error).partition("(Caused by ")
    cause = cause.rstrip(")")
    if not caused_by or cause[-1:] not in ("'", '"'):
        return str(error)
    # The last text in the code by which the cause would be made again.
    words = cause[cause.rfind(cause[-1], 0, -1) + 1 : -1]
    return _OBJECT.sub("", words, count=1)


def _words(error: OSError) -> str:
    return str(error.strerror).lower()


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"number {os.geteuid()}"


def _causes(error: BaseException | None) -> t.Iterator[BaseException]:
    """Yield an error and its causes, which libraries wrap in their own errors."""
    seen: list[BaseException] = []
    pending = [error]
    while pending:
        each = pending.pop()
        if each is None or any(each is other for other in seen):
            continue
        seen.append(each)
        yield each
        pending += [each.__cause__, each.__context__, *(arg for arg in each.args if isinstance(arg, BaseException))]


def _is_time_out(error: BaseException) -> bool:
    return any(isinstance(each, TIME_OUTS) or type(each).__name__ == "ReadTimeoutError" for each in _causes(error))


class _TlsConfig(_SdkTlsConfig):
    """The TLS of the SDK, with another host name to expect in the certificate, which newer SDKs cannot."""

    def __init__(self, host_name: str | None, **options: t.Any) -> None:
        super().__init__(**options)
        self._host_name = host_name

    def configure_client(self, client: t.Any) -> None:
        super().configure_client(client)
        if self._host_name:
            adapter = requests.adapters.HTTPAdapter()
            adapter.init_poolmanager(1, 10, assert_hostname=self._host_name)
            client.mount("https://", adapter)


def _tls_config(params: t.Mapping[str, t.Any]) -> t.Any:
    """Return the TLS of the options, with files from C(DOCKER_CERT_PATH) where the options name none."""
    if not (params["tls"] or params["validate_certs"]):
        return False
    folder = os.environ.get("DOCKER_CERT_PATH")
    ca, certificate, key = (
        params[option] or (os.path.join(folder, name) if folder else None)
        for option, name in (("ca_path", "ca.pem"), ("client_cert", "cert.pem"), ("client_key", "key.pem"))
    )
    if ca:
        # The SDK's HTTP library would trust what these name instead of the CA that was given.
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            os.environ.pop(name, None)
    return _TlsConfig(
        params["tls_hostname"],
        client_cert=(certificate, key) if certificate and key else None,
        ca_cert=ca,
        verify=params["validate_certs"] or False,
    )
