# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast and how large the modules are with ten thousand accounts, each figure a ratio from one run on one machine.

Prints a table with the goal of each. Requests, writes and memory beyond theirs make it fail. Whether a ratio of times
is within its goal is only told, since other work on the same machine counts as well. C(python tests/bench NAME…) runs
some of them.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import measure
from measure import Json, Row, expect

sys.path.insert(0, str(measure.PROJECT / "tests" / "lab" / "registry"))
import standin_harness as harness

ACCOUNTS = 10_000
MANY_ACCOUNTS = 50_000
CONCURRENCY = 16
LOOPED = 30
CACHES = 100
# The faster of a few runs, because what disturbs a run can only make it slower.
RUNS = 2


class Bench:
    """A running stand-in, and what is measured on it."""

    def __init__(self, standin: harness.Standin, accounts: int, environment: dict[str, str]) -> None:
        self.standin = standin
        self.control = standin.control
        self.environment = environment
        names = [f"user{number:05d}" for number in range(1, accounts + 1) if number % 100]
        self.accounts = ["admin", *names]
        self.connection: Json = {
            "url": standin.url,
            "username": "admin",
            "password": standin.passwords["admin"],
            "ca_path": str(standin.ca),
        }
        self.everyone: Json = {
            **self.connection,
            "assignments": [{"cache": "region-asia", "everyone": True}],
            "concurrency": CONCURRENCY,
        }

    def set_up(self, *, assigned: bool) -> None:
        """One cache, and whether all accounts pull from it already."""
        cache = {"id": "a1", "name": "region-asia", "host": "https://cache-asia.example.org"}
        everybody = [*self.accounts, *("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")]
        self.control.set_state([cache], dict.fromkeys(everybody, "a1") if assigned else {})
        self.control.forget_requests()

    def module(self, name: str, options: Json) -> tuple[float, int, Json]:
        return tuple(measure.module(name, options, self.environment))

    def bare(self, *, writes: bool) -> float:
        """Seconds that the same requests take without any of what a module does around them."""
        credentials = base64.b64encode(f"admin:{self.connection['password']}".encode()).decode()
        given = {
            "url": self.standin.url,
            "ca": str(self.standin.ca),
            "authorization": f"Basic {credentials}",
            "accounts": self.accounts,
            "cache": "a1" if writes else None,
            "concurrency": CONCURRENCY,
        }
        return measure.script("bare_client.py", given, self.environment).seconds

    def requests(self, method: str, route: str = "") -> int:
        return self.control.count(method, route)


def compared(bench: Bench, what: str, *, writes: bool) -> Row:
    """The module against the bare client, in turns."""
    module_times, bare_times = [], []
    for _each in range(RUNS):
        bench.set_up(assigned=not writes)
        bare_times.append(bench.bare(writes=writes))
        bench.set_up(assigned=not writes)
        seconds, _size, result = bench.module("cache_assignments", bench.everyone)
        module_times.append(seconds)
        changed = len(result["changed_accounts"])
        expect("accounts that were changed", changed > 0, writes)
        expect("writes", bench.requests("PATCH"), changed)
        expect("reads of settings", bench.requests("GET", "settings"), len(bench.accounts) + 8 + changed)
        expect("other writes", sum(map(bench.requests, ("POST", "PUT", "DELETE"))), 0)
    ratio = min(module_times) / min(bare_times)
    figures = f"{ratio:.2f} times ({min(module_times):.1f} s against {min(bare_times):.1f} s)"
    return Row(what, figures, "at most 1.5 times", ratio <= 1.5)


def writes_against_bare(bench: Bench) -> Row:
    return compared(bench, f"assign {ACCOUNTS:,} accounts, against a bare keep-alive client", writes=True)


def reads_against_bare(bench: Bench) -> Row:
    return compared(bench, f"{ACCOUNTS:,} accounts that are right already, no write", writes=False)


def against_a_loop(bench: Bench) -> Row:
    """A whole C(ansible-playbook) with one task, against a C(uri) task in a loop, an account."""
    bench.set_up(assigned=False)
    playbook(bench, {"dtr.cache.cache_assignments": {key: f"{{{{ {key} }}}}" for key in bench.everyone}})
    bench.set_up(assigned=False)
    start = time.perf_counter()
    playbook(bench, {"dtr.cache.cache_assignments": {key: f"{{{{ {key} }}}}" for key in bench.everyone}})
    one = (time.perf_counter() - start) / len(bench.control.state()["settings"])
    bench.set_up(assigned=False)
    playbook(
        bench,
        {
            "ansible.builtin.uri": {
                "url": "{{ url }}/api/v0/accounts/{{ item }}/settings",
                "method": "PATCH",
                "url_username": "{{ username }}",
                "url_password": "{{ password }}",
                "force_basic_auth": True,
                "ca_path": "{{ ca_path }}",
                "body_format": "json",
                "body": {"contentCacheUUID": "a1"},
            },
            "loop": bench.accounts[:LOOPED],
        },
    )
    moments = [entry["time"] for entry in bench.control.requests(recent=LOOPED)["recent"]]
    expect("items of the loop", len(moments), LOOPED)
    looped = (moments[-1] - moments[0]) / (LOOPED - 1)
    figures = f"1/{looped / one:.0f} ({one * 1000:.2f} ms against {looped * 1000:.0f} ms)"
    return Row(f"assign {ACCOUNTS:,} accounts, against uri in a loop", figures, "at most 1/100", one * 100 <= looped)


def memory(bench: Bench) -> Row:
    bench.set_up(assigned=False)
    _seconds, size, result = bench.module("cache_assignments", bench.everyone)
    expect("accounts that were changed", len(result["changed_accounts"]), len(bench.accounts) + 8)
    megabytes = size / 1024
    what = f"peak memory with {MANY_ACCOUNTS:,} accounts"
    return Row(what, f"{megabytes:.0f} MB", "below 150 MB", megabytes < 150, timed=False)


def many_caches(bench: Bench) -> Row:
    """Requests, which can be told exactly: a list, a write for each difference, and a list once more after a new entry.

    Another run may have made the same entries at the same moment.
    """
    caches = [{"name": f"region-{number}", "host": f"https://cache-{number}.example.org"} for number in range(CACHES)]
    bench.control.reset(data=True)
    counts = []
    for declared in (caches, caches, [*caches[: CACHES // 2], {"name": "region-99", "state": "absent"}]):
        bench.control.forget_requests()
        bench.module("content_caches", {**bench.connection, "caches": declared, "reassign": False})
        counts.append((bench.requests("GET"), bench.requests("POST"), bench.requests("DELETE")))
    figures = ", ".join("{} GET {} POST {} DELETE".format(*count) for count in counts)
    wanted = [(2, CACHES, 0), (1, 0, 0), (1, 0, 1)]
    what = f"{CACHES} caches: new, unchanged, one less"
    return Row(what, figures, "a list, 1 write a difference", counts == wanted, timed=False)


def playbook(bench: Bench, task: Json) -> None:
    """Run a play with one task."""
    with tempfile.TemporaryDirectory(prefix="dtr-cache-bench-") as folder:
        keywords = {"hosts": "localhost", "gather_facts": False, "tasks": [task]}
        (Path(folder) / "play.json").write_text(json.dumps([keywords]))
        (Path(folder) / "vars.json").write_text(json.dumps(bench.everyone))
        command = ["ansible-playbook", "-i", "localhost,", f"{folder}/play.json", "-e", f"@{folder}/vars.json"]
        interpreter = ["-e", "ansible_connection=local", "-e", f"ansible_python_interpreter={sys.executable}"]
        result = subprocess.run([*command, *interpreter], env=bench.environment, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"ansible-playbook ended with {result.returncode}: {result.stdout[-2000:]}")


BENCHMARKS: dict[str, tuple[int, t.Callable[[Bench], Row]]] = {
    "loop": (ACCOUNTS, against_a_loop),
    "writes": (ACCOUNTS, writes_against_bare),
    "reads": (ACCOUNTS, reads_against_bare),
    "memory": (MANY_ACCOUNTS, memory),
    "caches": (0, many_caches),
}


def measured(names: t.Iterable[str]) -> t.Iterator[Row]:
    """The row of each benchmark, when it is known."""
    with tempfile.TemporaryDirectory(prefix="dtr-cache-bench-") as temporary:
        folder = Path(temporary)
        environment = measure.collection_in(folder)
        ca = harness.issue(folder, "ca")
        for name in names:
            accounts, benchmark = BENCHMARKS[name]
            state = folder / name
            state.mkdir()
            print(f"{name} …", file=sys.stderr)
            with harness.running(state, "http://127.0.0.1:9", accounts=accounts, ca=ca, client_ca=ca) as standin:
                yield benchmark(Bench(standin, accounts, environment))


if __name__ == "__main__":
    sys.exit(measure.report(measured(measure.chosen(BENCHMARKS, __doc__))))
