# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(docs/dashboard.json) and C(docs/prometheus.yml) with a real Prometheus, which has read real metrics.

Those of a report are written as C(dtr.cache.status) writes them; the registry's own are those of the distribution's
C(docker-registry), of the version that the lab's cache is built from.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import typing as t
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.filter.status_metrics import status_metrics

from .fleets import DTR, healthy, traffic

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD: dict[str, t.Any] = json.loads((DOCS / "dashboard.json").read_text())
REGIONS = ("region-asia", "region-europe")
SECONDS_TO_READ = 60
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"needs {name}, of the distribution's package of this name"
    return found


@contextlib.contextmanager
def running(command: t.Sequence[str], url: str, log: Path) -> t.Iterator[None]:
    """A program that serves, from its first answer on."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            end = time.monotonic() + SECONDS_TO_READ
            while not _answers(url):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(urllib.request.urlopen(url, timeout=2).status == 200)
    return False


class Registry:
    """The distribution's registry with a layer in it."""

    def __init__(self, folder: Path) -> None:
        self.port, self.metrics_port = free_port(), free_port()
        self.config = folder / "config.yml"
        configuration = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(folder / "layers")}},
            "http": {
                "addr": f"127.0.0.1:{self.port}",
                # As the collection writes it for dtr_cache_metrics_port.
                "debug": {"addr": f"127.0.0.1:{self.metrics_port}", "prometheus": {"enabled": True}},
            },
        }
        self.config.write_text(yaml.safe_dump(configuration))
        self.command = [program("docker-registry"), "serve", str(self.config)]
        self.url = f"http://127.0.0.1:{self.port}/v2/"
        self._layer = b"layer" * 10_000
        self._digest = f"sha256:{hashlib.sha256(self._layer).hexdigest()}"

    def push(self) -> None:
        begun = self._ask("POST", f"{self.url}eng/app/blobs/uploads/")
        self._ask("PUT", f"{begun}&digest={self._digest}", self._layer)

    def pull(self) -> None:
        self._ask("GET", f"{self.url}eng/app/blobs/{self._digest}")

    def _ask(self, method: str, url: str, body: bytes | None = None) -> str:
        request = urllib.request.Request(url, body, {"Content-Type": "application/octet-stream"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()
            return str(answer.headers.get("Location"))


class Prometheus:
    """Questions to a Prometheus."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str) -> list[dict[str, t.Any]]:
        """The series that a query gives now."""
        path = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(path, timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return list(found["data"]["result"])


def configuration(status_port: int, metrics_port: int) -> dict[str, t.Any]:
    """The documented one, with the places of this machine."""
    found: dict[str, t.Any] = yaml.safe_load((DOCS / "prometheus.yml").read_text())
    status, registries = found["scrape_configs"]
    status["static_configs"] = [{"targets": [f"127.0.0.1:{status_port}"]}]
    labels = [each["labels"] for each in registries["static_configs"]]
    # One registry stands for both caches, by two names of this machine.
    names = ("127.0.0.1", "localhost")
    registries["static_configs"] = [
        {"targets": [f"{name}:{metrics_port}"], "labels": each} for name, each in zip(names, labels)
    ]
    return {**found, "global": {"scrape_interval": "1s"}, "rule_files": [str(DOCS / "alerts.yml")]}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    rows = [{**healthy(region, days=200), "traffic": traffic()} for region in REGIONS]
    registry_row = {"url": DTR, "healthy": True, "read_only": False, "dangling": 0, "undeclared": [], "cause": None}
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    (folder / "metrics").write_text(status_metrics(rows, now, [registry_row]))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    registry, port = Registry(folder), free_port()
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(configuration(server.server_address[1], registry.metrics_port)))
    command = [
        *(program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"),
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    found = Prometheus(port)
    with (
        running(registry.command, registry.url, folder / "registry.log"),
        running(command, f"{found.url}/-/ready", folder / "prometheus.log"),
    ):
        registry.push()
        end = time.monotonic() + SECONDS_TO_READ
        # A rate is made of two readings.
        while len(found.ask("rate(registry_http_requests_total{handler='blob',method='get'}[1m]) > 0")) < len(REGIONS):
            registry.pull()
            assert time.monotonic() < end, (folder / "prometheus.log").read_text()
            time.sleep(0.2)
        yield found
    server.shutdown()


def query_of(expression: str) -> str:
    """A query as Grafana asks it, with all regions chosen."""
    return expression.replace("$region", ".*").replace("$__rate_interval", "1m")


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_gives_a_series(prometheus: Prometheus, name: str) -> None:
    query = query_of(QUERIES[name])
    assert "$" not in query, "a variable that this test does not know"
    series = prometheus.ask(query)
    assert series, query
    assert all(each["value"][1] != "NaN" for each in series), query
    if "$region" in QUERIES[name]:
        assert {each["metric"].get("region") for each in series} == set(REGIONS), (
            "the regions of both kinds have one name"
        )


def test_the_regions_to_choose_from(prometheus: Prometheus) -> None:
    (variable,) = (each for each in DASHBOARD["templating"]["list"] if each["type"] == "query")
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()  # type: ignore[union-attr]
    assert {each["metric"][label] for each in prometheus.ask(metric)} == set(REGIONS)


def test_every_metric_of_a_report_is_shown_or_alerted() -> None:
    rows = [{**healthy(), "traffic": traffic()}]
    registry = {"url": DTR, "healthy": True, "read_only": False, "dangling": 0, "undeclared": [], "cause": None}
    written = set(re.findall(r"^# TYPE (\w+)", status_metrics(rows, "2026-11-24T01:40:00Z", [registry]), re.MULTILINE))
    used = " ".join([*QUERIES.values(), (DOCS / "alerts.yml").read_text()])
    assert [name for name in sorted(written) if not re.search(rf"\b{name}\b", used)] == []


def test_prometheus_takes_the_documented_configuration(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(DOCS / name, tmp_path)
    done = subprocess.run(
        [program("promtool"), "check", "config", str(tmp_path / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_have_their_own_places() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _y in cells) < 24
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in PANELS)
