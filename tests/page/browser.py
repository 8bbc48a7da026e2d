# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless Chromium, driven over a pipe by its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

# In this order; a snap cannot read the folders of the tests.
PROGRAMS = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# Long enough for a machine that has much else to do.
SECONDS = 60.0

Answer = dict[str, t.Any]


def program() -> str | None:
    """The browser of this machine."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


def _pipes() -> tuple[int, int, int, int]:
    """Our reading and writing end, then the browser's; all of them above the two numbers that it will have."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    ends = (ours_in, ours_out, theirs_in, theirs_out)
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return t.cast("tuple[int, int, int, int]", high)


class Browser:
    """One browser with one tab; C(events) keeps what the tab said since the last page was opened."""

    def __init__(self, path: str, folder: Path) -> None:
        self._reads, self._writes, read_by_browser, written_by_browser = _pipes()
        # The protocol wants file descriptors 3 and 4, which a shell can give it.
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                f'exec "$@" 3<&{read_by_browser} 4>&{written_by_browser}',
                "bash",
                path,
                *OPTIONS,
                f"--user-data-dir={folder}",
                "about:blank",
            ],
            pass_fds=(read_by_browser, written_by_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_by_browser)
        os.close(written_by_browser)
        self._number = 0
        self._session: str | None = None
        self._buffer = b""
        self.events: list[Answer] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Security", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: t.Any) -> Answer:
        """A command's result."""
        self._number += 1
        message: Answer = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._message(deadline, method)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return t.cast("Answer", answer["result"])

    def _message(self, deadline: float, what: str) -> Answer:
        while b"\0" not in self._buffer:
            ready, _writable, _failed = select.select([self._reads], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._reads, 1 << 20) if ready else b""
            if not data:
                raise RuntimeError(f"{what}: no answer of the browser (exit code {self._process.poll()})")
            self._buffer += data
        text, _end, self._buffer = self._buffer.partition(b"\0")
        message: Answer = json.loads(text)
        if "method" in message:
            self.events.append(message)
        return message

    def look(self, width: int, height: int = 900, dark: bool = False) -> None:
        """Set the size of the window and what the reader prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Load a page and wait until it is complete."""
        self.events = []
        self.call("Page.navigate", url=address)
        deadline = time.monotonic() + SECONDS
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._message(deadline, address)

    def run(self, script: str) -> t.Any:
        """The value of an expression in the page, by JSON; the page's own policy does not bind it."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        codes = {"Tab": 9, "Enter": 13}
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], **text)

    def picture(self, path: Path, whole: bool = True) -> None:
        """Write what is to be seen as a PNG file."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def seen(self, *methods: str) -> list[Answer]:
        """The events of these kinds since the page was opened, after everything that is under way has come in."""
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))")
        return [event["params"] for event in self.events if event["method"] in methods]

    def close(self) -> None:
        """End the browser."""
        self._session = None
        with contextlib.suppress(RuntimeError, OSError):
            self.call("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._reads)
        os.close(self._writes)


@contextlib.contextmanager
def browser() -> t.Iterator[Browser]:
    """A browser that knows nothing, and leaves nothing behind."""
    path = program()
    if path is None:
        raise FileNotFoundError("finds none of these programs: " + ", ".join(PROGRAMS))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        running = Browser(path, Path(folder))
        try:
            yield running
        finally:
            running.close()
