# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of one run share. Ansible makes one for each task of each host, and none hears of the others.

It lies in Ansible's own temporary folder, which only the user can read and Ansible removes at the end of the run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import typing as t
from pathlib import Path

from ansible import constants


def made_once(key: str, make: t.Callable[[], t.Any]) -> t.Any:
    """What C(make) gives, as JSON has it. The first process of the run that asks for the key makes it for all."""
    with _held(key) as place:
        if place.exists():
            return json.loads(place.read_text(encoding="utf-8"))
        made = json.dumps(make())
        _write(place, made)
    return json.loads(made)


def first_claim(key: str, claim: t.Any) -> t.Any:
    """The claim of the first process of the run that made one for the key, which may be this one."""
    return made_once(key, lambda: claim)


def gathered(key: str, name: str, item: t.Any) -> dict[str, t.Any]:
    """Add an item to what the processes of the run have left under a key, and return all of it by name."""
    with _held(key) as place:
        found = json.loads(place.read_text(encoding="utf-8")) if place.exists() else {}
        found[name] = item
        _write(place, json.dumps(found))
    return t.cast("dict[str, t.Any]", json.loads(json.dumps(found)))


@contextlib.contextmanager
def _held(key: str) -> t.Iterator[Path]:
    """The place of a key, as long as no other process has it."""
    name = f"dtr-cache-{hashlib.sha256(key.encode()).hexdigest()[:24]}"
    folder = Path(constants.DEFAULT_LOCAL_TMP)
    with open(folder / f"{name}.lock", "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / f"{name}.json"


def _write(place: Path, text: str) -> None:
    """Write it as a whole or not at all: a process may be killed in between."""
    unfinished = place.with_suffix(".new")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, place)
