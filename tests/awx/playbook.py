# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(dtr.cache.awx) as somebody runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from .controller import TOKEN, Controller

PROJECT = Path(__file__).resolve().parents[2]
# Where tests/lib/bootstrap.sh puts the collections that only these tests need.
COLLECTIONS = Path(sys.prefix) / "awx"


class Awx:
    """Runs the playbook on a controller of its own."""

    def __init__(self, folder: Path, host: str, controller: Controller) -> None:
        self.controller = controller
        linked = folder / "collections" / "ansible_collections" / "dtr"
        linked.mkdir(parents=True)
        (linked / "cache").symlink_to(PROJECT)
        self._own = str(linked.parents[1])
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "CONTROLLER_"))},
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
            "CONTROLLER_HOST": host,
            "CONTROLLER_OAUTH_TOKEN": TOKEN,
            "HOME": str(folder),
            "ANSIBLE_COLLECTIONS_PATH": self._own,
        }

    def __call__(
        self,
        *options: str,
        env: t.Mapping[str, str] | None = None,
        collections: str = str(COLLECTIONS),
        **variables: t.Any,
    ) -> tuple[int, str]:
        """Run it with C(dtr_cache_awx_*) and what is installed in a folder; return its exit code and its output."""
        paths = [self._own, collections]
        given = {f"dtr_cache_awx_{name}": value for name, value in variables.items()}
        result = subprocess.run(
            ["ansible-playbook", "-i", "localhost,", "dtr.cache.awx", "-e", json.dumps(given), *options],
            env={**self.environment, "ANSIBLE_COLLECTIONS_PATH": ":".join(paths), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        assert "Traceback" not in result.stdout, result.stdout
        return result.returncode, result.stdout
