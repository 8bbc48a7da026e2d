# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a Swarm through the Docker Engine API of one of its managers. Nothing is written here."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import time
import traceback
import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.failure import Failure

try:
    import docker
    import docker.errors
    import docker.tls
    import requests.exceptions

    DOCKER_IMPORT_ERROR = None
except ImportError:
    DOCKER_IMPORT_ERROR = traceback.format_exc()

NAMESPACE_LABEL = "com.docker.stack.namespace"

Raw = t.Mapping[str, t.Any]

_QUERY = re.compile(r"\?[^\s\"]+")


@dataclasses.dataclass(frozen=True)
class Swarm:
    """What was read of a Swarm, in the Engine API's own shapes, keyed by the names that people use."""

    nodes: dict[str, dict[str, t.Any]]  # by host name
    services: dict[str, dict[str, t.Any]]  # of one stack, by name without the stack's
    configs: dict[str, dict[str, t.Any]]  # by name
    secrets: dict[str, dict[str, t.Any]]  # by name
    networks: dict[str, dict[str, t.Any]]  # of one stack, by name


@dataclasses.dataclass(frozen=True)
class Moment:
    """What one look at a stack showed, in the Engine API's shapes."""

    services: t.Mapping[str, Raw]
    tasks: t.Sequence[Raw]
    nodes: t.Mapping[str, Raw]  # by id


class Engine:
    """A manager's Docker Engine.

    Raises:
        Failure: C(ENGINE_UNREACHABLE), C(NOT_A_MANAGER) or C(ENGINE_ERROR), naming the Engine.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self.address = params["docker_host"]
        if params["ca_path"]:
            # The SDK's HTTP library would trust what these name instead of the CA that was given.
            for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
                os.environ.pop(name, None)
        with self._explained():
            self._client = docker.APIClient(
                base_url=self.address,
                tls=_tls_config(params),
                version=params["api_version"],
                timeout=params["engine_timeout"],
                use_ssh_client=self.address.startswith("ssh://"),
            )

    def require_manager(self) -> dict[str, t.Any]:
        """The Engine's own information, if it is a manager of a Swarm."""
        with self._explained():
            info: dict[str, t.Any] = self._client.info()
        state = info["Swarm"].get("LocalNodeState", "inactive")
        if state != "active":
            raise Failure(
                "NOT_A_MANAGER",
                f"The Docker Engine on {info['Name']} is in no Swarm (its state is {state}).",
                hint="Name a manager of the Swarm, or make one with: docker swarm init",
            )
        if not info["Swarm"].get("ControlAvailable"):
            managers = ", ".join(manager["Addr"] for manager in info["Swarm"].get("RemoteManagers") or [])
            raise Failure(
                "NOT_A_MANAGER",
                f"The Docker Engine on {info['Name']} is a worker, and only a manager can change a Swarm.",
                hint=f"Use one of the managers: {managers}",
            )
        return info

    def read_swarm(self, stack: str) -> Swarm:
        """All that a plan for this stack compares."""
        with self._explained():
            return Swarm(
                nodes={node["Description"]["Hostname"]: node for node in self._client.nodes()},
                services=self.services_of(stack),
                configs={config["Spec"]["Name"]: config for config in self._client.configs()},
                secrets={secret["Spec"]["Name"]: secret for secret in self._client.secrets()},
                networks={
                    network["Name"]: network
                    for network in self._client.networks(filters={"label": f"{NAMESPACE_LABEL}={stack}"})
                },
            )

    def look_at(self, stack: str) -> Moment:
        """What tells whether a stack has settled."""
        return Moment(self.services_of(stack), self.tasks_of(stack), self.nodes())

    def services_of(self, stack: str) -> dict[str, dict[str, t.Any]]:
        """The services of a stack, by name without the stack's."""
        with self._explained():
            found = self._client.services(filters={"label": f"{NAMESPACE_LABEL}={stack}"})
        return {service["Spec"]["Name"][len(stack) + 1 :]: service for service in found}

    def all_services(self) -> list[dict[str, t.Any]]:
        """The services of the whole Swarm."""
        with self._explained():
            return list(self._client.services())

    def tasks_of(self, stack: str) -> list[dict[str, t.Any]]:
        """The tasks of a stack's services, those that have ended as well."""
        with self._explained():
            return list(self._client.tasks(filters={"label": f"{NAMESPACE_LABEL}={stack}"}))

    def nodes(self) -> dict[str, dict[str, t.Any]]:
        """The Swarm's nodes by id."""
        with self._explained():
            return {node["ID"]: node for node in self._client.nodes()}

    def last_log_lines(self, service_id: str, tasks: t.Collection[str], lines: int) -> list[str]:
        """The end of the log of some of a service's tasks; empty when the log cannot be read.

        Query strings are left out: in the cache's log of requests they carry signatures.
        """
        try:
            with self._explained():
                text = self._client.service_logs(
                    service_id, details=True, stdout=True, stderr=True, tail=str(lines), is_tty=False
                )
                chunks = [text] if isinstance(text, bytes) else list(text)
        except Failure:
            return []
        # Each line begins with labels, C(com.docker.swarm.node.id=...,com.docker.swarm.task.id=... MESSAGE).
        found = [line.partition(" ") for line in b"".join(chunks).decode(errors="replace").splitlines()]
        own = [message for labels, _space, message in found if labels.rpartition("task.id=")[2] in tasks]
        return [_QUERY.sub("?...", message) for message in own[-lines:]]

    def stream_log(self, service_id: str, *, since: int, lines: int, seconds: float) -> t.Iterator[bytes]:
        """The log of all tasks of a service as the Engine sends it, each message with its time, node and task.

        Args:
            service_id: The service.
            since: Nothing older, in seconds since 1970.
            lines: Of each task only so many, the newest.
            seconds: Time after which what has come by then must do.
        """
        end = time.monotonic() + seconds
        query = {"stdout": 1, "stderr": 1, "details": 1, "timestamps": 1, "follow": 0, "since": since, "tail": lines}
        address = f"{self._client.base_url}/v{self._client.api_version}/services/{service_id}/logs"
        with self._explained(), contextlib.ExitStack() as stack:
            log = self._client.get(address, params=query, stream=True, timeout=max(1.0, seconds))
            stack.callback(log.close)
            if log.status_code != 200:
                raise Failure(
                    "ENGINE_ERROR",
                    f"The Docker Engine at {self.address} does not give the log: {log.text[:500].strip()}",
                    http_status=log.status_code,
                )
            for chunk in log.iter_content(64 * 1024):
                yield chunk
                if time.monotonic() > end:
                    raise Failure("LOG_CUT_OFF", f"the log was not at its end after {seconds:g} seconds")

    @contextlib.contextmanager
    def _explained(self) -> t.Iterator[None]:
        """Docker's errors in words."""
        try:
            yield
        except docker.errors.APIError as error:
            raise Failure(
                "ENGINE_ERROR",
                f"The Docker Engine at {self.address} refused a request: {error.explanation or error}",
                http_status=error.status_code,
            ) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            raise Failure(
                "ENGINE_UNREACHABLE",
                f"The Docker Engine at {self.address} cannot be reached: {error}",
                hint="Is it running, and may this user use its socket (group docker, or become)?",
            ) from error


def _tls_config(params: t.Mapping[str, t.Any]) -> t.Any:
    if not (params["tls"] or params["validate_certs"]):
        return False
    pair = (params["client_cert"], params["client_key"]) if params["client_cert"] and params["client_key"] else None
    return docker.tls.TLSConfig(client_cert=pair, ca_cert=params["ca_path"], verify=params["validate_certs"] or False)
