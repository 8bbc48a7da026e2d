# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the control interface, of the standard library only.

From a shell, with the running server's state folder::

    python -m dtr_standin.control_client STATE GET /requests
    python -m dtr_standin.control_client STATE PUT /behaviours '{"delete_missing": 404}'
"""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t
import urllib.error
import urllib.request

# The address is the lab's own: a proxy from the environment must not come in between.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ControlError(Exception):
    """The server refused a request; the text is its reason."""


class Control:
    """One running stand-in.

    Args:
        url: Its control address, for example C(http://198.18.57.10:9080).
        secret: The text of C(control.secret) in its state folder.
    """

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._secret = secret

    @classmethod
    def of(cls, state: pathlib.Path | str) -> Control:
        """The stand-in that runs with a state folder."""
        folder = pathlib.Path(state)
        ready = json.loads((folder / "ready").read_text())
        return cls(ready["control"], (folder / "control.secret").read_text().strip())

    def behave(self, **behaviours: t.Any) -> dict[str, t.Any]:
        """Changes some behaviours; answers all."""
        return t.cast("dict[str, t.Any]", self.request("PUT", "/behaviours", behaviours))

    def fault(self, action: str, **rule: t.Any) -> int:
        """Puts a rule in force; answers its id."""
        return int(self.request("POST", "/faults", {"action": action, **rule})["id"])

    def faults(self) -> list[dict[str, t.Any]]:
        return t.cast("list[dict[str, t.Any]]", self.request("GET", "/faults"))

    def remove_faults(self) -> None:
        self.request("DELETE", "/faults")

    def reset(self, data: bool = False, accounts: int | None = None) -> None:
        """Default behaviours, no faults; with C(data) the seed's data, of so many generated accounts where told."""
        self.request("POST", "/reset", {"data": data, "accounts": accounts})

    def state(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.request("GET", "/state"))

    def set_state(self, content_caches: list[dict[str, str]], settings: dict[str, str]) -> None:
        self.request("PUT", "/state", {"content_caches": content_caches, "settings": settings})

    def journal(self) -> list[tuple[str, str, str]]:
        """Every change of caches and settings in the order in which it took effect."""
        return [(what, subject, detail) for what, subject, detail in self.request("GET", "/journal")]

    def requests(self, recent: int = 0) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.request("GET", f"/requests?recent={recent}"))

    def count(self, method: str = "", route: str = "", status: int | None = None) -> int:
        """How many requests came, of all or of one method, of the routes with C(route) in them, of one status."""
        return sum(
            entry["count"]
            for entry in self.requests()["counts"]
            if method in ("", entry["method"]) and route in entry["route"] and status in (None, entry["status"])
        )

    def forget_requests(self) -> None:
        self.request("DELETE", "/requests")

    def put_account(self, name: str, **account: t.Any) -> None:
        self.request("POST", "/accounts", {"name": name, **account})

    def request(self, method: str, path: str, body: t.Any = None) -> t.Any:
        """One request; the answer's JSON, or none when it has no body.

        Raises:
            ControlError: The server refused it.
        """
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Control-Secret": self._secret, "Content-Type": "application/json"},
        )
        try:
            with _OPENER.open(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ControlError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error
        return json.loads(text) if text else None


def main(arguments: list[str]) -> int:
    if len(arguments) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    state, method, path, *body = arguments
    try:
        answer = Control.of(state).request(method, path, json.loads(body[0]) if body else None)
    except ControlError as error:
        print(error, file=sys.stderr)
        return 1
    if answer is not None:
        print(json.dumps(answer, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
