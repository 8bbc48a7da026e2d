# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that the running server knows, and what of it outlives a restart."""

from __future__ import annotations

import collections
import dataclasses
import json
import logging
import logging.handlers
import pathlib
import secrets
import time
import typing as t
import urllib.parse

from .accounts import seeded
from .behaviours import Behaviours
from .caches import ContentCache, ContentCaches
from .faults import Faults
from .tokens import AccessToken, AccessTokens, BearerTokens, Passwords, Signer, write_private

Address = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Options:
    """How the server was started; `__main__` says what each means."""

    listen: Address
    control: Address
    upstream: str
    state: pathlib.Path
    accounts: int = 10_000
    certificate: pathlib.Path | None = None
    key: pathlib.Path | None = None
    ca: pathlib.Path | None = None
    client_ca: pathlib.Path | None = None


#: The fields of `forms.Settings` with their first values: what an admin can change.
SETTINGS_FORM: dict[str, t.Any] = {
    "dtrHost": "",
    "sso": False,
    "createRepositoryOnPush": True,
    "disableUpgrades": True,
    "reportAnalytics": False,
    "anonymizeAnalytics": True,
    "disableBackupWarning": True,
    "webTLSCert": "",
    "webTLSKey": "",
    "webTLSCA": "",
    "scanningEnabled": False,
    "scanningSyncOnline": False,
    "scanningDeadline": 0,
    "scanningEnableAutoRecheck": False,
    "jobHistoryCompactionEnabled": False,
    "jobHistoryToKeep": 0,
    "jobHistoryMaxAge": "",
    "repoEventHistoryCompactionEnabled": False,
    "repoEventHistoryToKeep": 0,
    "repoEventHistoryMaxAge": "",
    "readOnlyRegistry": False,
}


class Traffic:
    """Which requests came and how they were answered; paths never carry their query, which may hold a secret."""

    _RECENT = 20_000
    _LOG_BYTES = 10_000_000

    def __init__(self, log: pathlib.Path) -> None:
        handler = logging.handlers.RotatingFileHandler(log, maxBytes=self._LOG_BYTES, backupCount=1)
        handler.setFormatter(logging.Formatter("%(message)s"))
        self._log = logging.Logger("access")
        self._log.addHandler(handler)
        self._unwritten: list[str] = []
        self.clear()

    def clear(self) -> None:
        self.counts: collections.Counter[tuple[str, str, int]] = collections.Counter()
        self._recent: collections.deque[tuple[float, str, str, str, str, int, float]] = collections.deque(
            maxlen=self._RECENT
        )
        self.in_flight = 0
        self.in_flight_peak = 0

    def entered(self) -> None:
        self.in_flight += 1
        self.in_flight_peak = max(self.in_flight_peak, self.in_flight)

    def left(self, client: str, method: str, path: str, route: str, user: str, status: int, seconds: float) -> None:
        """Notes the end of a request; C(status) 0 means that the connection was dropped."""
        self.in_flight = max(0, self.in_flight - 1)
        self.counts[method, route, status] += 1
        now = time.time()
        self._recent.append((now, client, method, path, user, status, seconds))
        self._unwritten.append(f"{now:.3f} {client} {user or '-'} {method} {path} {status} {seconds * 1000:.1f}ms")

    def write(self) -> None:
        """Appends to the log file what came since the last time; one write for many requests keeps each cheap."""
        if self._unwritten:
            self._log.info("\n".join(self._unwritten))
            self._unwritten = []

    def summary(self, recent: int) -> dict[str, t.Any]:
        names = ("time", "client", "method", "path", "user", "status", "seconds")
        last = list(self._recent)[-recent:] if recent else []
        return {
            "in_flight": self.in_flight,
            "in_flight_peak": self.in_flight_peak,
            "counts": [
                {"method": method, "route": route, "status": status, "count": count}
                for (method, route, status), count in sorted(self.counts.items())
            ],
            "recent": [dict(zip(names, entry, strict=True)) for entry in last],
        }


class Site:
    """The data, the behaviours and the faults of one running server."""

    def __init__(self, options: Options) -> None:
        options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.options = options
        self.upstream = options.upstream.rstrip("/")
        self.read_certificates()
        self.passwords = Passwords.kept_in(options.state / "passwords.json")
        self.control_secret = _secret_kept_in(options.state / "control.secret")
        self.signer = Signer(_secret_kept_in(options.state / "signing.key").encode())
        self.traffic = Traffic(options.state / "access.log")
        self._file = options.state / "state.json"
        self._dirty = False
        self.reset(data=True)
        if self._file.exists():
            self.restore(json.loads(self._file.read_text()))
            self._dirty = False

    @property
    def scheme(self) -> str:
        return "https" if self.options.certificate else "http"

    @property
    def read_only(self) -> bool:
        """Whether pushes are refused, by an admin's setting or by a behaviour."""
        return bool(self.behaviours.read_only_registry or self.settings["readOnlyRegistry"])

    def read_certificates(self) -> None:
        """Reads what /ca serves and what the registry's settings show."""
        self.ca_pem = self.options.ca.read_text() if self.options.ca else ""
        self.certificate_pem = self.options.certificate.read_text() if self.options.certificate else ""

    def reset(self, data: bool, accounts: int | None = None) -> None:
        """Back to the default behaviours, without faults and counts; with C(data) also back to the seed.

        Args:
            data: Whether caches, settings, tokens and accounts are the seed's again.
            accounts: How many accounts the seed generates until the next start; none for as many as at the start.
        """
        self.behaviours = Behaviours()
        self.faults = Faults()
        self.traffic.clear()
        if data:
            self.directory = seeded(self.options.accounts if accounts is None else accounts)
            self.caches = ContentCaches()
            self.access_tokens = AccessTokens()
            self.bearer_tokens = BearerTokens()
            self.settings = dict(SETTINGS_FORM)
            self.changed()

    def changed(self) -> None:
        """To be called after every change of the data that must outlive a restart."""
        self._dirty = True

    def snapshot(self) -> dict[str, t.Any]:
        """The caches and settings as they truly are, in the shape that `restore` takes."""
        return {
            "content_caches": [dataclasses.asdict(cache) for cache in self.caches.by_id.values()],
            "settings": dict(self.caches.settings),
        }

    def restore(self, data: t.Mapping[str, t.Any]) -> None:
        """Replaces the caches and settings, and the access tokens where C(data) has them.

        Raises:
            TypeError, KeyError: C(data) has another shape than a snapshot.
        """
        caches = ContentCaches()
        caches.by_id = {cache["id"]: ContentCache(**cache) for cache in data["content_caches"]}
        caches.settings = dict(data["settings"])
        replaced = {cache.id: cache.host for cache in self.caches.by_id.values() if cache.id not in caches.by_id}
        caches.former_hosts = {**self.caches.former_hosts, **replaced, **data.get("former_hosts", {})}
        tokens = {token["hashed_token"]: AccessToken(**token) for token in data.get("access_tokens", [])}
        self.caches = caches
        if "access_tokens" in data:
            self.access_tokens.by_hash = tokens
        self.settings |= data.get("registry_settings", {})
        self.changed()

    def save(self) -> None:
        """Writes the log, and the data if it changed. A kill loses what came since the last call."""
        self.traffic.write()
        if self._dirty:
            self._dirty = False
            tokens = [dataclasses.asdict(token) for token in self.access_tokens.by_hash.values()]
            kept = {
                **self.snapshot(),
                "former_hosts": self.caches.former_hosts,
                "access_tokens": tokens,
                "registry_settings": self.settings,
            }
            write_private(self._file, json.dumps(kept))

    def blob_location(self, host: str, path: str, account: str) -> str:
        """The signed address of a path on a cache."""
        quoted = urllib.parse.quote(path, safe="/:")
        return f"{host.rstrip('/')}{quoted}?{self.signer.query(path, account, self.behaviours.signature_seconds)}"


def _secret_kept_in(file: pathlib.Path) -> str:
    if not file.exists():
        write_private(file, secrets.token_urlsafe(32) + "\n")
    return file.read_text().strip()
