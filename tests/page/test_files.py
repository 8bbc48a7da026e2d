# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that C(dtr.cache.status) writes of a report, by the playbook's own tasks in a real C(ansible-playbook)."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from ansible_collections.dtr.cache.plugins.filter.status_metrics import status_metrics
from ansible_collections.dtr.cache.plugins.filter.status_page import status_page

from .fleets import HOSTILE, TIME, hostile, three

TASKS = Path(__file__).parents[2] / "playbooks" / "tasks" / "status_files.yml"
PLAY = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        # As what modules and filters return: nothing in it is a template.
        __dtr_cache_report: "{{ {'report': lookup('ansible.builtin.file', source) | from_json} }}"
    - ansible.builtin.include_tasks: "{{ tasks }}"
"""


# Ansible itself takes no half of a surrogate pair, and a name that long is no better a test than a short one.
LEFT_OUT = (HOSTILE[4], HOSTILE[-1])


def test_the_files_hold_the_report(tmp_path: Path) -> None:
    rows = [*three(), *(row for row in hostile() if row["region"] not in LEFT_OUT)]
    report = {"time": TIME, "well": False, "regions": rows, "registries": []}
    source, target, play = tmp_path / "report.json", tmp_path / "report", tmp_path / "play.yml"
    source.write_text(json.dumps(report))
    play.write_text(PLAY)
    options = {"source": str(source), "tasks": str(TASKS), "__dtr_cache": {"settings": {"status_to": str(target)}}}
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    command = [program, "-i", "localhost,", "-c", "local", str(play), "-e", json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"changed=0 ", done.stdout)
    assert sorted(path.name for path in target.iterdir()) == ["status.html", "status.json", "status.prom"]
    assert json.loads((target / "status.json").read_text()) == report
    assert (target / "status.html").read_text(encoding="utf-8") == status_page(rows, TIME)
    assert (target / "status.prom").read_text(encoding="utf-8") == status_metrics(rows, TIME)
