# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a DTR: what its replicas say of themselves, its version, settings and CA."""

from __future__ import annotations

import typing as t

from ..common.failure import Failure
from ..http.responses import looks_like_html
from .model import Health
from .resources import Json, Resources, object_in, object_or_none

# Not there, another method, or another media type.
_NO_SUCH_QUESTION = (404, 405, 406)

_Answered = t.TypeVar("_Answered")


class State(Resources):
    """What can be read of a DTR, and needs no account or an administrator's."""

    def ping(self) -> Health:
        """The replica's own verdict, from C(/_ping): 200 or 503, without authentication, with C(Error) and C(Healthy).

        Not retried on 503: that is an answer here.
        """
        answer = self._transport.request("GET", "/_ping", expect=(200, 503))
        document = object_or_none(answer) or {}
        fields = {key.lower(): value for key, value in document.items()}
        healthy = answer.status == 200 and bool(fields.get("healthy", answer.status == 200))
        error = str(fields.get("error") or "")
        if not healthy and not error:
            error = "an HTML page instead of the state" if looks_like_html(answer) else "no reason given"
        return Health(healthy, error)

    def version(self) -> str | None:
        """The version, from C(/api/v0/admin/version), which is in no swagger and may be missing."""
        answer = self._transport.request("GET", "/api/v0/admin/version", expect=(200, 403, 404))
        document = object_or_none(answer) if answer.status == 200 else None
        version = (document or {}).get("version")
        return str(version) if version else None

    def features(self) -> Json:
        """What is switched on and licensed (DTR swagger, GetFeatures); the cheapest request that needs a log-in."""
        return object_in(self._transport.request("GET", "/api/v0/meta/features"))

    def cluster_status(self) -> Json | None:
        """State of the replicas (DTR swagger, GetClusterStatus); C(None) for users who are no administrators."""
        answer = self._transport.request("GET", "/api/v0/meta/cluster_status", expect=(200, 403))
        return None if answer.status == 403 else object_in(answer)

    def settings(self) -> Json | None:
        """DTR's own settings (DTR swagger, GetSettings); C(None) for users who are no administrators."""
        answer = self._transport.request("GET", "/api/v0/meta/settings", expect=(200, 403))
        return None if answer.status == 403 else object_in(answer)

    def read_only(self) -> bool | None:
        """Whether nobody can push: C(readOnlyRegistry) of the settings, or a replica that says so of itself.

        C(None) for users who are no administrators, and where a version does not say, as none of MSR 3 does.
        """
        try:
            settings = self.settings()
            if settings is None or settings.get("readOnlyRegistry"):
                return None if settings is None else True
            status = self.cluster_status()
        except Failure as failure:
            if failure.http_status != 404:
                raise
            return None
        return _read_only(settings, status)

    def ca(self) -> str:
        """The text that C(/ca) serves without authentication: DTR's CA as PEM."""
        answer = self._transport.request("GET", "/ca", headers={"Accept": "*/*"})
        return answer.body.decode("utf-8", "replace")


def described(dtr: State) -> dict[str, t.Any]:
    """The state as a result. A DTR that says it is unhealthy is an answer, not a failure, whatever else it refuses."""
    health = dtr.ping()
    if health.healthy:
        return {**health._asdict(), **_details(dtr)}
    details: dict[str, t.Any] = dict.fromkeys(("version", "read_only", "features", "replicas"))
    try:
        details.update(_details(dtr))
    except Failure as failure:
        if failure.http_status in (401, 403):
            raise
    return {**health._asdict(), **details}


def _details(dtr: State) -> dict[str, t.Any]:
    # The first question shows whether the credentials are good, and that DTR itself answers at this address.
    features = _where_there_is_one(dtr.features, unless_redirected=False)
    status = _where_there_is_one(dtr.cluster_status)
    settings = _where_there_is_one(dtr.settings)
    version = _where_there_is_one(dtr.version)
    return {
        "version": version,
        "read_only": _read_only(settings, status),
        "features": features,
        "replicas": None if status is None else _replicas(status),
    }


def _read_only(settings: Json | None, status: Json | None) -> bool | None:
    """Whether nobody can push, as far as anything says so: MSR 3 has neither field (its list of API changes)."""
    of_replicas = (status or {}).get("replica_readonly")
    said = [*of_replicas.values()] if isinstance(of_replicas, dict) else []
    said += [value for name, value in (settings or {}).items() if name == "readOnlyRegistry"]
    return any(said) if said else None


def _where_there_is_one(read: t.Callable[[], _Answered | None], *, unless_redirected: bool = True) -> _Answered | None:
    """An answer, or C(None) of a version that does not have this question or asks it elsewhere."""
    try:
        return read()
    except Failure as failure:
        if failure.http_status in _NO_SUCH_QUESTION or (unless_redirected and failure.code == "UNEXPECTED_REDIRECT"):
            return None
        raise


def _by_replica(status: Json, field: str) -> Json:
    found = status.get(f"replica_{field}")
    return found if isinstance(found, dict) else {}


def _replicas(status: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    health, read_only, times = (_by_replica(status, each) for each in ("health", "readonly", "timestamp"))
    return [
        {
            "id": replica,
            "health": health.get(replica),
            "read_only": bool(read_only[replica]) if replica in read_only else None,
            "timestamp": times.get(replica),
        }
        for replica in sorted({*health, *read_only, *times})
    ]
