# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a Swarm through the Docker Engine API of one of its managers. Nothing is written here."""

from __future__ import annotations

import contextlib
import functools
import os
import time
import traceback
import typing as t
from urllib.parse import quote

from ..common.failure import Failure
from .model import (
    NAMESPACE_LABEL,
    NOT_A_MANAGER,
    Moment,
    Swarm,
    by_host_name,
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

# The Engine itself tries for longer where it has no way to the registry.
SECONDS_FOR_REGISTRY = 15


class Engine:
    """A manager's Docker Engine.

    Raises:
        Failure: C(ENGINE_UNREACHABLE), C(NOT_A_MANAGER) or C(ENGINE_ERROR), naming the Engine.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self.address = params["docker_host"]
        self._params = params

    @functools.cached_property
    def _client(self) -> t.Any:
        """The SDK's client, made when it is needed, since it asks the Engine for its version."""
        return docker.APIClient(
            base_url=self.address,
            tls=_tls_config(self._params),
            version=self._params["api_version"],
            timeout=self._params["engine_timeout"],
            use_ssh_client=self.address.startswith("ssh://"),
        )

    def require_manager(self) -> dict[str, t.Any]:
        """The Engine's own information, if it is a manager of a Swarm."""
        with self._explained():
            info: dict[str, t.Any] = self._client.info()
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

    def read_swarm(self, stack: str) -> Swarm:
        """All that a plan for this stack compares."""
        own, others = {}, []
        for service in self.all_services():
            if (service["Spec"].get("Labels") or {}).get(NAMESPACE_LABEL) == stack:
                own[service["Spec"]["Name"][len(stack) + 1 :]] = service
            else:
                others.append(service)
        with self._explained():
            return Swarm(
                nodes=by_host_name(self._client.nodes()),
                services=own,
                other_services=others,
                configs={config["Spec"]["Name"]: config for config in self._client.configs()},
                secrets={secret["Spec"]["Name"]: secret for secret in self._client.secrets()},
                networks={
                    network["Name"]: network
                    for network in self._client.networks(filters={"label": f"{NAMESPACE_LABEL}={stack}"})
                },
            )

    def observe(self, stack: str) -> Moment:
        """What shows whether a stack has settled."""
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

    def all_tasks(self) -> list[dict[str, t.Any]]:
        """The tasks of the whole Swarm that are to run."""
        with self._explained():
            return list(self._client.tasks(filters={"desired-state": "running"}))

    def registry_says(self, image: str, *, with_auth: bool) -> tuple[int, str]:
        """Status and words with which this Engine passes on what an image's registry says of it.

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

    def last_log_lines(self, service_id: str, tasks: t.Collection[str], lines: int) -> list[str]:
        """The end of the log of some of a service's tasks as it was written; empty when it cannot be read."""
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
        return own[-lines:]

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
        with self._explained(), contextlib.ExitStack() as stack:
            address = f"{self._client.base_url}/v{self._client.api_version}/services/{service_id}/logs"
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


class _TlsConfig(_SdkTlsConfig):
    """TLS as the SDK does it, but with another host name to expect in the certificate, which newer SDKs cannot."""

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
    """TLS as the options say; files that they do not name are those of Docker's own folder for them, if it is set."""
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
