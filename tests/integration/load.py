# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulls that go on while something else happens, every one of them counted.

Two kinds: blobs that are read as a Docker Engine reads them (DTR's redirect, then the cache at the first of its
addresses that answers), several at any moment; and a Docker Engine's own pulls.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import itertools
import json
import socket
import ssl
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests

from .conftest import Lab

REGISTRY = "dtr.lab.test"
BYTES_AT_ONCE = 64 * 1024
SECONDS_TO_ANSWER = 20
# Between a client's pulls: what is counted is what happens to the cache, not how much a machine can do.
PAUSE_BETWEEN_BLOBS = 0.15
PAUSE_BETWEEN_PULLS = 0.5


class Attempt(t.NamedTuple):
    """One pull: what went wrong, if anything."""

    what: str
    address: str
    started: float
    seconds: float
    error: str

    def __str__(self) -> str:
        when = f"at {self.started:.1f} s for {self.seconds:.1f} s"
        return f"{self.what} from {self.address or 'nowhere'} {when}: {self.error or 'ok'}"


class _Connection(http.client.HTTPSConnection):
    """Connects to the first of several addresses where somebody takes the connection, as a Docker Engine does."""

    def __init__(self, host: str, port: int, addresses: t.Sequence[str], context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=SECONDS_TO_ANSWER)
        self._addresses = addresses
        self._tls = context
        self.address = ""

    def connect(self) -> None:
        for number, address in enumerate(self._addresses, 1):
            try:
                self.sock = self._connect_to(address)
            except OSError:
                if number == len(self._addresses):
                    raise
                continue
            self.address = address
            return

    def _connect_to(self, address: str) -> ssl.SSLSocket:
        plain = socket.create_connection((address, self.port), SECONDS_TO_ANSWER)
        try:
            return self._tls.wrap_socket(plain, server_hostname=self.host)
        except ConnectionResetError:
            # The kernel had taken the connection for a listener that was just being closed.
            raise ConnectionRefusedError("refused, before anybody took it") from None
        finally:
            # Where wrapping worked, the socket belongs to its result.
            plain.close()


class Load:
    """Pulls by several clients at once for as long as the context lasts.

    Args:
        account: Who pulls; DTR sends this account to the cache.
        host: The cache's name, whose addresses are tried in turn.
        repository, tag: The image whose blobs are read.
        roots: The authorities that may have signed the cache's certificate.
    """

    def __init__(
        self,
        lab: Lab,
        account: str,
        host: str,
        roots: t.Sequence[str],
        *,
        repository: str = "engineering/app",
        tag: str = "1.0",
        clients: int = 4,
    ) -> None:
        self._lab = lab
        self._account = account
        self._repository = repository
        self._tls = ssl.create_default_context(cadata="\n".join(roots))
        self._addresses = socket.gethostbyname_ex(host)[2]
        self._session = requests.Session()
        # A bundle or proxy of the machine's environment must not come in between.
        self._session.trust_env = False
        # Each request has a connection of its own, as those of many clients do.
        self._session.headers["Connection"] = "close"
        self._session.verify = lab.status["registry"]["ca_path"]
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._clients = clients
        self.attempts: list[Attempt] = []
        manifest = self._ask(f"manifests/{tag}").json()
        self.digests = [layer["digest"] for layer in (manifest["config"], *manifest["layers"])]

    @contextlib.contextmanager
    def running(self) -> Iterator[Load]:
        """Pull until the end of the context, and finish what was begun then."""
        threads = [threading.Thread(target=self._read_blobs, args=(number,)) for number in range(self._clients)]
        threads.append(threading.Thread(target=self._pull_with_engine))
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(120)

    @property
    def failed(self) -> list[str]:
        return [str(attempt) for attempt in self.attempts if attempt.error]

    def count(self, what: str, address: str = "") -> int:
        return sum(attempt.what == what and address in ("", attempt.address) for attempt in self.attempts)

    def longest_silence(self) -> float:
        """The longest time in seconds in which no blob came to its end."""
        ends = sorted(each.started + each.seconds for each in self.attempts if each.what == "blob" and not each.error)
        return max(later - earlier for earlier, later in itertools.pairwise(ends))

    def _ask(self, path: str) -> requests.Response:
        """A request to DTR with a fresh token, redirects not followed."""
        scope = f"repository:{self._repository}:pull"
        token = self._session.get(
            f"https://{REGISTRY}/auth/token",
            params={"service": REGISTRY, "scope": scope},
            auth=(self._account, self._lab.passwords[self._account]),
            timeout=SECONDS_TO_ANSWER,
        ).json()["token"]
        answer = self._session.get(
            f"https://{REGISTRY}/v2/{self._repository}/{path}",
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.docker.distribution.manifest.v2+json",
            },
            allow_redirects=False,
            timeout=SECONDS_TO_ANSWER,
        )
        answer.raise_for_status()
        return answer

    def read_once(self, address: str) -> None:
        """Read every blob of the image once, from one of the cache's addresses."""
        for digest in self.digests:
            self._attempt(digest, [address])

    def _read_blobs(self, number: int) -> None:
        for turn in itertools.count(number):
            if self._stop.wait(PAUSE_BETWEEN_BLOBS):
                return
            # Each address is the first that is tried in every other round.
            addresses = [*self._addresses, *self._addresses][turn // len(self.digests) % len(self._addresses) :]
            self._attempt(self.digests[turn % len(self.digests)], addresses)

    def _attempt(self, digest: str, addresses: list[str]) -> None:
        started = time.monotonic()
        address, error = "", ""
        try:
            url = self._ask(f"blobs/{digest}").headers["Location"]
            address = self._read_blob(url, digest, addresses)
        except (requests.RequestException, OSError, http.client.HTTPException, AssertionError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        self._note("blob", address, started, error)

    def _read_blob(self, url: str, digest: str, addresses: list[str]) -> str:
        parts = urlsplit(url)
        assert parts.hostname
        connection = _Connection(parts.hostname, parts.port or 443, addresses, self._tls)
        with contextlib.closing(connection):
            connection.request("GET", f"{parts.path}?{parts.query}")
            answer = connection.getresponse()
            assert answer.status == 200, f"status {answer.status} from {connection.address}"
            content = hashlib.sha256()
            while piece := answer.read(BYTES_AT_ONCE):
                content.update(piece)
            assert f"sha256:{content.hexdigest()}" == digest, f"another content from {connection.address}"
            return connection.address

    def _pull_with_engine(self) -> None:
        image = f"{REGISTRY}/{self._repository}:1.0"
        password = self._lab.passwords[self._account]
        self._lab.inside("client", "docker", "login", "-u", self._account, "--password-stdin", REGISTRY, stdin=password)
        while not self._stop.wait(PAUSE_BETWEEN_PULLS):
            started = time.monotonic()
            error = ""
            try:
                self._lab.inside("client", "docker", "pull", "--quiet", image)
                self._lab.inside("client", "docker", "image", "rm", "--force", image)
            except AssertionError as failure:
                error = str(failure)
            self._note("pull", "client", started, error)

    def _note(self, what: str, address: str, started: float, error: str) -> None:
        now = time.monotonic()
        self.attempts.append(Attempt(what, address, started - self._began, now - started, error))


@contextlib.contextmanager
def engine_trusts(lab: Lab, authority: str) -> Iterator[None]:
    """The client's Engine trusts one more authority: in DTR's folder, which is the one that counts on a redirect."""
    path = f"/etc/docker/certs.d/{REGISTRY}/test-authority.crt"
    lab.inside("client", "sh", "-c", f"cat > {path}", stdin=authority)
    try:
        yield
    finally:
        lab.inside("client", "rm", path)


def engine_retries(lab: Lab) -> int:
    """How often the client's Engine began a download again: no user sees it, but a cut connection is behind it."""
    log = Path(lab.status["state"]) / "nodes" / "client" / "log" / "dockerd.log"
    return sum("retrying" in line.lower() for line in log.read_text(errors="replace").splitlines())


def summary(load: Load) -> str:
    """What was counted, for a person who looks at the output of the test."""
    nodes = {attempt.address for attempt in load.attempts if attempt.what == "blob" and attempt.address}
    counts = {node: load.count("blob", node) for node in sorted(nodes)}
    return json.dumps({"blobs": counts, "pulls": load.count("pull"), "failed": load.failed}, indent=2)
