# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs as AWX runs them: C(ansible-runner) on a private data directory that is laid out as AWX lays it out."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import jinja2
import yaml

Json = dict[str, t.Any]

PROJECT = Path(__file__).resolve().parents[2]
SKELETON = PROJECT / "docs" / "examples" / "awx-project"
CONTENT: Json = yaml.safe_load((PROJECT / "playbooks" / "vars" / "awx.yml").read_text(encoding="utf-8"))
TYPES: dict[str, Json] = {each["name"]: each for each in CONTENT["credential_types"]}
# A process of its own, as runner is in the container, so that nothing of the tests' environment is in it.
RUN = """
import json, sys, ansible_runner
data, playbook = sys.argv[1:]
job = ansible_runner.run(private_data_dir=data, playbook=playbook, ident="1", quiet=True)
print(json.dumps({"code": job.rc, "status": job.status}))
"""


class Job(t.NamedTuple):
    """The end of a job.

    Args:
        code: The exit code of C(ansible-playbook).
        output: What it printed.
        artifacts: What it leaves for the next job of a workflow.
        files: What runner has written of it: output, events, facts.
    """

    code: int
    output: str
    artifacts: Json
    files: dict[str, str]


class Unsafe(str):
    """A text that is no template, as AWX marks all that is not part of a job template."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(Unsafe, lambda dumper, text: dumper.represent_scalar("!unsafe", str(text)))


def unsafe(value: t.Any) -> t.Any:
    """The value with all of its texts marked."""
    if isinstance(value, dict):
        return {key: unsafe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unsafe(item) for item in value]
    return Unsafe(value) if isinstance(value, str) else value


class Awx:
    """Starts the jobs of templates.

    Args:
        folder: Where the private data directories are made.
        inventory: What AWX knows of the project's inventory: the answer of C(ansible-inventory --list).
        collections: Where Ansible finds the collections that the project asks for, unless a container has them.
        credentials: The fields of the credentials that each job has, by their types.
        container: What C(ansible-runner) is to know of the container that each job gets, if it gets one.
        environment: What C(ansible-runner) itself needs in its environment.
    """

    def __init__(
        self,
        folder: Path,
        inventory: Json,
        collections: str,
        credentials: t.Mapping[str, Json],
        *,
        container: Json | None = None,
        environment: t.Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self._inventory = inventory
        self._collections = collections
        self._credentials = credentials
        self._container = container
        self._environment = environment or {}
        self._numbers = itertools.count(1)

    def start(
        self,
        template: str,
        variables: Json,
        *,
        limit: str = "",
        check: bool = False,
        diff: bool = False,
        key: str = "",
        revision: str = "0a1b2c",
        files: t.Mapping[str, bytes] | None = None,
    ) -> Job:
        """Run the job of a template to its end.

        Args:
            variables: The answers of the survey and, in a workflow, the artifacts of the jobs before.
            revision: That of the project.
            key: The SSH key of the credential of type Machine, which an agent has.
            files: What the project has beside the skeleton's files.
        """
        number = next(self._numbers)
        data = self.folder / str(number)
        (data / "env").mkdir(parents=True)
        shutil.copytree(SKELETON, data / "project")
        # Beside the project, so that nothing of it counts: AWX knows the inventory from its source.
        shutil.rmtree(data / "project" / "inventory")
        for name, given in (files or {}).items():
            (data / "project" / name).write_bytes(given)
        self._write_inventory(data)
        if key:
            (data / "env" / "ssh_key").write_text(key)
        seen = Path("/runner") if self._container else data
        arguments = ["-u", "root", *(["--check"] if check else []), *(["-l", limit] if limit else [])]
        arguments += ["--diff"] if diff else []
        environment: dict[str, str] = {
            "ANSIBLE_FORCE_COLOR": "True",
            "ANSIBLE_HOST_KEY_CHECKING": "False",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
            "AWX_PRIVATE_DATA_DIR": str(seen),
            "JOB_ID": str(number),
        }
        if not self._container:
            environment["ANSIBLE_COLLECTIONS_PATH"] = self._collections
        for kind, fields in self._credentials.items():
            arguments += _inject(TYPES[kind], fields, environment, data / "env", seen / "env", kind.replace(" ", "-"))
        meta = {
            f"{product}_{name}": value
            for product in ("awx", "tower")
            for name, value in (("job_id", number), ("project_revision", revision))
        }
        (data / "env" / "extravars").write_text(yaml.dump(unsafe({**variables, **meta}), Dumper=_Dumper))
        (data / "env" / "envvars").write_text(json.dumps(environment))
        (data / "env" / "cmdline").write_text(shlex.join(arguments))
        settings = {"job_timeout": 600, "suppress_ansible_output": True, **(self._container or {})}
        (data / "env" / "settings").write_text(json.dumps(settings))
        unwanted = ("ANSIBLE_", "DTR_", "DOCKER_", "HOME", "TERM", "COLUMNS", "PYTHONPATH")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
        started = subprocess.run(
            [sys.executable, "-c", RUN, str(data), f"{template}.yml"],
            env={**kept, **self._environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=700,
        )
        assert started.returncode == 0, started.stdout + started.stderr
        return _ended(data / "artifacts" / "1", json.loads(started.stdout.splitlines()[-1]))

    def _write_inventory(self, data: Path) -> None:
        """A program that prints it, as AWX makes it."""
        (data / "inventory").mkdir()
        script = data / "inventory" / "hosts"
        script.write_text(f"#!/usr/bin/env python3\nprint({json.dumps(self._inventory)!r})\n")
        script.chmod(0o700)


def _ended(artifacts: Path, result: Json) -> Job:
    events = [json.loads(path.read_text()) for path in sorted((artifacts / "job_events").glob("*.json"))]
    left = [event["event_data"].get("artifact_data") for event in events if event["event"] == "playbook_on_stats"]
    # With the environment in them, of which AWX keeps no credential; the files go with the container.
    for name in ("command", "env.list"):
        (artifacts / name).unlink(missing_ok=True)
    files = {str(path): path.read_text(errors="replace") for path in artifacts.rglob("*") if path.is_file()}
    output = (artifacts / "stdout").read_text()
    return Job(result["code"], output, (left or [None])[-1] or {}, files)


def _inject(written: Json, fields: Json, environment: dict[str, str], folder: Path, seen: Path, kind: str) -> list[str]:
    """Fill in what a credential injects, as AWX does, and give the arguments that Ansible gets for it.

    Args:
        folder: Where its files are written, which the job sees as C(seen).
    """
    names = {}
    for label, template in written["injectors"].get("file", {}).items():
        name = label.removeprefix("template.")
        path = folder / f"{kind}-{name}"
        path.write_text(jinja2.Template(template).render(fields))
        path.chmod(0o600)
        names[name] = str(seen / path.name)
    known = {**fields, "tower": {"filename": names}}
    for name, template in written["injectors"].get("env", {}).items():
        environment[name] = jinja2.Template(template).render(known)
    variables = written["injectors"].get("extra_vars", {})
    if not variables:
        return []
    rendered = {name: jinja2.Template(template).render(known) for name, template in variables.items()}
    path = folder / f"{kind}-variables"
    path.write_text(yaml.dump(unsafe(rendered), Dumper=_Dumper))
    return ["-e", f"@{seen / path.name}"]
