# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the lab."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence

from . import lock, nodes, status
from .down import down
from .errors import LabError
from .folders import Folders
from .progress import Progress
from .topology import NODES, node_named
from .up import Up


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command and what it works on."""
    parser = argparse.ArgumentParser(
        prog="tests/lab/lab",
        description="Two regions of real Docker Swarm nodes, a registry and a client on one machine.",
        epilog="The state is in /var/lib/dtr-cache-lab, or where the environment variable DTR_CACHE_LAB says.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="bring the lab up; what is there is left alone")
    commands.add_parser("down", help="end and remove it, but for certificates, keys, the cache's image and logs")
    commands.add_parser("status", help="describe it as JSON; fails when a part is ill and says which")
    node_names = [node.name for node in NODES]
    run = commands.add_parser("run", help="run a command inside a node, as root")
    run.add_argument("node", choices=node_names, metavar="NODE", help=", ".join(node_names))
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")
    logs = commands.add_parser("logs", help="print what a node's services said")
    logs.add_argument("node", choices=node_names, metavar="NODE", help=", ".join(node_names))
    return parser.parse_args(arguments)


def bring_up(folders: Folders) -> int:
    progress = Progress()
    with lock.exclusive(progress):
        changed = Up(folders, progress).run()
    progress.say("the lab is up" if changed else "the lab is up: nothing had to be done")
    return 0


def take_down(folders: Folders) -> int:
    progress = Progress()
    with lock.exclusive(progress):
        down(folders, progress)
    progress.say("the lab is down")
    return 0


def print_status(folders: Folders) -> int:
    if not status.is_up():
        raise LabError("the lab is not up: bring it up with `tests/lab/lab up`")
    found = status.problems(folders)
    for problem in found:
        print(f"lab: {problem}", file=sys.stderr)
    json.dump(status.describe(folders), sys.stdout, indent=2)
    print()
    return 1 if found else 0


def run_inside(name: str, words: Sequence[str]) -> int:
    command = nodes.enter_command(node_named(name), words or ["sh"])
    os.execvp(command[0], command)


def print_logs(folders: Folders, name: str) -> int:
    node = node_named(name)
    folder = folders.node_logs(node)
    if not folder.is_dir():
        folder = folders.logs / name
    files = sorted(folder.glob("*.log"))
    if not files:
        raise LabError(f"{name} has no logs")
    for file in files:
        print(f"==> {file} <==")
        print(file.read_text(errors="replace"))
    return 0


def main() -> int:
    arguments = parse(sys.argv[1:])
    folders = Folders.from_environment()
    commands: dict[str, Callable[[], int]] = {
        "up": lambda: bring_up(folders),
        "down": lambda: take_down(folders),
        "status": lambda: print_status(folders),
        "run": lambda: run_inside(arguments.node, arguments.words),
        "logs": lambda: print_logs(folders, arguments.node),
    }
    return commands[arguments.command]()


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
        sys.exit(code)
    except BrokenPipeError:
        # Whoever reads the output, such as head, has seen enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
