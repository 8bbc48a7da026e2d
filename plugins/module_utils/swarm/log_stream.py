# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a Swarm task as the Engine streams it: its frames, and each message with time, node and task."""

from __future__ import annotations

import datetime
import functools
import re
import typing as t
import urllib.parse

# The Engine splits longer messages; of a terminal's output a line may be longer.
_LONGEST_LINE = 64 * 1024
_HEADER = 8
_STREAMS = (0, 1, 2, 3)
# The stream in which the Engine itself writes.
OF_THE_ENGINE = 3
_NODE_LABEL = "com.docker.swarm.node.id"
_TASK_LABEL = "com.docker.swarm.task.id"
_PREFIX = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) (\S*) ?(.*)", re.DOTALL)


class LogLine(t.NamedTuple):
    """One message of a task's log."""

    time: str  # as in RFC 3339, in UTC, to the second
    node: str  # its id
    task: str  # its id
    text: str


def moment_of(timestamp: str) -> datetime.datetime:
    """One of the Engine's timestamps, to the second."""
    match = _PREFIX.match(f"{timestamp} ")
    if not match:
        return datetime.datetime.fromtimestamp(0, tz=datetime.timezone.utc)
    return datetime.datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))


def messages(chunks: t.Iterable[bytes]) -> t.Iterator[tuple[int, str]]:
    """The messages of a stream with the stream's number, from either form: with frames, or as a terminal shows it.

    The Engine puts a timestamp before each message, and no digit can begin a frame: so the first byte shows the form.
    """
    source = iter(chunks)
    buffer = bytearray()
    for chunk in source:
        buffer += chunk
        if len(buffer) >= 4:
            break
    if not buffer:
        return
    framed = buffer[0] in _STREAMS and not any(buffer[1:4])
    yield from (_framed if framed else _plain)(buffer, source)


def _framed(buffer: bytearray, source: t.Iterator[bytes]) -> t.Iterator[tuple[int, str]]:
    skip = 0
    while True:
        if skip:
            dropped = min(skip, len(buffer))
            del buffer[:dropped]
            skip -= dropped
        elif len(buffer) >= _HEADER:
            length = int.from_bytes(buffer[4:_HEADER], "big")
            kept = min(length, _LONGEST_LINE)
            if len(buffer) >= _HEADER + kept:
                yield buffer[0], bytes(buffer[_HEADER : _HEADER + kept]).decode(errors="replace").rstrip("\r\n")
                del buffer[: _HEADER + kept]
                skip = length - kept
                continue
        if skip and buffer:
            continue
        chunk = next(source, None)
        if chunk is None:
            return
        buffer += chunk


def _plain(buffer: bytearray, source: t.Iterator[bytes]) -> t.Iterator[tuple[int, str]]:
    while True:
        *lines, rest = bytes(buffer).split(b"\n")
        for line in lines:
            yield 1, line[:_LONGEST_LINE].decode(errors="replace").rstrip("\r")
        buffer[:] = rest[:_LONGEST_LINE]
        chunk = next(source, None)
        if chunk is None:
            if buffer:
                yield 1, bytes(buffer).decode(errors="replace").rstrip("\r")
            return
        buffer += chunk


def line_of(message: str) -> LogLine | None:
    """A message with its timestamp and labels taken apart."""
    match = _PREFIX.fullmatch(message)
    if not match:
        return None
    node, task = _origin(match[4])
    return LogLine(f"{match[1]}Z", node, task, match[5]) if task else None


@functools.lru_cache(maxsize=256)
def _origin(labels: str) -> tuple[str, str]:
    """The ids of node and task in the labels of a message."""
    known = dict(urllib.parse.parse_qsl(labels.replace(",", "&")))
    return known.get(_NODE_LABEL, ""), known.get(_TASK_LABEL, "")
