# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(dtr.cache.awx) with the modules of C(awx.awx) on a small AWX: what it makes, and that it makes it once."""

from __future__ import annotations

import typing as t

from .controller import Controller
from .playbook import PROJECT, Awx

PROJECT_URL = "https://git.example.org/dtr/caches.git"


def test_what_is_wrong_is_said_at_once_and_nothing_is_changed(awx: Awx) -> None:
    code, output = awx(installed=False, schedules="jes", inventory="/etc/hosts", project_url="https://a:b@git.test/x")
    assert code != 0
    for problem in (
        "dtr_cache_awx_project_url: has a password in it",
        "dtr_cache_awx_inventory: '/etc/hosts' is not a path inside of the project",
        "dtr_cache_awx_schedules: 'jes' is neither true nor false",
        "ansible-galaxy collection install awx.awx",
        "have 4 problems",
    ):
        assert problem in output, output
    assert "a:b@" not in output
    code, output = awx(project_url=PROJECT_URL, organization="Default", project_credential="git", credentials=["vault"])
    assert code != 0
    assert "project dtr-cache project: there is no credential git" in output
    assert ": there is no credential vault" in output
    assert "CONTROLLER_HOST" not in output
    assert awx.controller.writes == []


def test_a_second_run_changes_nothing(awx: Awx) -> None:
    given: dict[str, t.Any] = {
        "project_url": PROJECT_URL,
        "credentials": ["managers"],
        "image": "registry.example.org/dtr/ee:1",
    }
    code, output = awx(**given)
    assert code == 0, output
    controller = awx.controller
    playbooks = {path.stem for path in (PROJECT / "playbooks").glob("*.yml")} - {"awx"}
    assert set(controller.names("job_templates")) == {f"dtr-cache {name}" for name in playbooks}
    # What AWX fills in has arrived as it is written, templated by nobody.
    dtr = controller.named("credential_types", "dtr-cache DTR")
    assert dtr["injectors"]["env"]["DTR_PASSWORD"] == "{{ password }}"
    assert "inputs" not in controller.named("credentials", "dtr-cache DTR")
    assert controller.named("projects", "dtr-cache project")["scm_update_cache_timeout"] == 60
    assert controller.named("inventory_sources", "dtr-cache inventory source")["update_cache_timeout"] == 60
    backup = controller.named("job_templates", "dtr-cache backup")
    assert controller.surveys[backup["id"]]["spec"][0]["min"] == 1
    deploy = controller.named("job_templates", "dtr-cache deploy")
    assert {
        controller.objects["credentials"][number]["name"]
        for number in controller.associated[f"{deploy['url']}credentials"]
    } == {
        "dtr-cache DTR",
        "managers",
    }
    assert chain(controller) == ["check", "approval", "deploy", "verify"]
    schedule = controller.named("schedules", "dtr-cache status every hour")
    assert (schedule["extra_data"], schedule["enabled"]) == ({"dtr_cache_serial": "100%"}, False)

    # Meanwhile somebody has filled in the credential, as is meant, and changed a survey, as is not.
    controller.named("credentials", "dtr-cache DTR")["inputs"] = {"url": "https://dtr.test", "password": "$encrypted$"}
    controller.surveys[deploy["id"]]["spec"][0]["required"] = False
    controller.writes.clear()
    code, output = awx(**given)
    assert code == 0, output
    assert controller.writes == [f"POST {deploy['related']['survey_spec']}"], output
    assert controller.surveys[deploy["id"]]["spec"][0]["required"] is True
    assert '"job template dtr-cache deploy: updated"' in output


def chain(controller: Controller) -> list[str]:
    """The identifiers of the workflow's nodes, one after the other by success."""
    nodes = controller.objects["workflow_job_template_nodes"]
    after = {number: controller.associated.get(f"{node['url']}success_nodes", []) for number, node in nodes.items()}
    (number,) = set(nodes) - {each for others in after.values() for each in others}
    found = [nodes[number]["identifier"]]
    while after[number]:
        (number,) = after[number]
        found.append(nodes[number]["identifier"])
    return found
