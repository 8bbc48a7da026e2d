# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running other programs."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import LabError

BOUND = ("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""Goes before a long command so that it and all its children end when this process is killed."""


def run(
    command: Sequence[str],
    *,
    check: bool = True,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it printed.

    Raises:
        LabError: It ended with another status than 0 (and C(check) is set), or is not installed.
    """
    try:
        result = subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is not installed") from error
    if check and result.returncode != 0:
        said = (result.stderr.strip() or result.stdout.strip())[-2000:]
        raise LabError(f"`{' '.join(command)}` failed with status {result.returncode}: {said}")
    return result


def run_bound(command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a long command that must not outlive this process, its output going to a file.

    Raises:
        LabError: It failed; the message ends with the last lines of its output.
    """
    with log.open("wb") as stream:
        result = subprocess.run(
            [*BOUND, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if result.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise LabError(f"`{' '.join(command)}` failed with status {result.returncode} (all of it in {log}):\n{tail}")
