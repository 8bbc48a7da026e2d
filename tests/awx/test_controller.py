# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(dtr.cache.awx) with the modules of C(awx.awx) on a small AWX."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .conftest import GIVEN
from .controller import PLAYBOOKS, Controller
from .playbook import COLLECTIONS, Awx


def changes(output: str) -> list[str]:
    """What the playbook says it changed, or would change."""
    shown = output.partition("TASK [Show what was changed]")[2].partition("]\n}")[0]
    return [line.strip().strip('",') for line in shown.splitlines() if line.startswith(" " * 8)]


def test_wrong_values_are_named_together(awx: Awx) -> None:
    code, output = awx(
        collections="/nowhere",
        schedules="jes",
        inventory="/etc/hosts",
        project_url="https://a:b@git.test/x",
        state="gone",
    )
    assert code != 0
    for problem in (
        "dtr_cache_awx_project_url: has a password in it",
        "dtr_cache_awx_inventory: '/etc/hosts' is not a path inside of the project",
        "dtr_cache_awx_schedules: 'jes' is neither true nor false",
        "dtr_cache_awx_state: 'gone' is none of present, absent",
        "ansible-galaxy collection install awx.awx",
        "have 5 problems",
    ):
        assert problem in output, output
    assert "a:b@" not in output


def test_what_awx_does_not_have_is_said_before_anything_is_changed(awx: Awx) -> None:
    # Of two in other organizations neither is meant, and a Machine credential fetches no project.
    others = [awx.controller.make("organizations", {"name": name})["id"] for name in ("Sales", "Support")]
    for organization in others:
        awx.controller.credential("shared", organization)
    awx.controller.writes.clear()
    awx.controller.user["is_superuser"] = False
    code, output = awx(
        **{**GIVEN, "organization": "Operations", "project_credential": "managers", "credentials": ["vault", "shared"]}
    )
    assert code != 0
    for problem in (
        "dtr_cache_awx_organization: there is no organization Operations",
        "dtr_cache_awx_project_credential: no credentials are called managers and are of type Source Control",
        "dtr_cache_awx_credentials: no credentials are called vault",
        "dtr_cache_awx_credentials: 2 credentials are called shared",
        "CONTROLLER_OAUTH_TOKEN: AWX lets only a system administrator make credential types: dtr-cache DTR,",
    ):
        assert problem in output, output
    code, output = awx(env={"CONTROLLER_OAUTH_TOKEN": "another"}, **GIVEN)
    assert code != 0
    assert "AWX or Controller cannot be asked: Invalid authentication credentials" in output
    assert "CONTROLLER_HOST is the address" in output
    assert awx.controller.writes == []


def test_the_objects_are_as_awx_has_to_have_them(made: Awx) -> None:
    controller = made.controller
    assert set(controller.names("job_templates")) == {f"dtr-cache {name.removesuffix('.yml')}" for name in PLAYBOOKS}
    # What AWX fills in has arrived as it is written, templated by nobody.
    dtr = controller.named("credential_types", "dtr-cache DTR")
    assert dtr["injectors"]["env"]["DTR_PASSWORD"] == "{{ password }}"
    assert "inputs" not in controller.named("credentials", "dtr-cache DTR")
    assert controller.named("projects", "dtr-cache project")["scm_update_cache_timeout"] == 60
    assert controller.named("inventory_sources", "dtr-cache inventory source")["update_cache_timeout"] == 60
    backup, deploy = (controller.named("job_templates", f"dtr-cache {name}") for name in ("backup", "deploy"))
    assert controller.surveys[backup["id"]]["spec"][0]["min"] == 1
    attached = controller.associated[f"{deploy['url']}credentials"]
    assert {controller.objects["credentials"][number]["name"] for number in attached} == {"dtr-cache DTR", "managers"}
    # An account that starts a job cannot name another DTR.
    assert not any(each["ask_variables_on_launch"] for each in controller.objects["job_templates"].values())
    assert chain(controller) == ["check", "approval", "deploy", "verify"]
    check = controller.named("workflow_job_template_nodes", "check")
    assert (check["job_type"], check["diff_mode"], check["unified_job_template"]) == ("check", True, deploy["id"])
    schedule = controller.named("schedules", "dtr-cache status every hour")
    assert (schedule["extra_data"], schedule["enabled"]) == ({"dtr_cache_serial": "100%"}, False)
    said = changes(controller.output)
    assert "credential dtr-cache DTR: created; fill it in in AWX" in said
    assert "job template dtr-cache deploy: created" in said
    assert len(said) == 25


def test_a_second_run_changes_only_what_differs(made: Awx, tmp_path: Path) -> None:
    controller = made.controller
    # Meanwhile somebody has filled in the credential, as is meant, and changed a survey, as is not.
    controller.named("credentials", "dtr-cache DTR")["inputs"] = {"url": "https://dtr.test", "password": "$encrypted$"}
    deploy = controller.named("job_templates", "dtr-cache deploy")
    controller.surveys[deploy["id"]]["spec"][0]["required"] = False
    code, output = made("--check", **GIVEN)
    assert code == 0, output
    assert changes(output) == ["job template dtr-cache deploy: would be updated"]
    assert controller.writes == []
    code, output = made(collections=as_controller(tmp_path), **GIVEN)
    assert code == 0, output
    assert controller.writes == [f"POST {deploy['related']['survey_spec']}"], output
    assert controller.surveys[deploy["id"]]["spec"][0]["required"] is True
    assert changes(output) == ["job template dtr-cache deploy: updated"]


def as_controller(folder: Path) -> str:
    """Make C(ansible.controller): the same modules, under the name that Automation Hub gives them."""
    place = folder / "hub" / "ansible_collections" / "ansible" / "controller"
    shutil.copytree(COLLECTIONS / "ansible_collections" / "awx" / "awx", place)
    for path in (*place.rglob("*.py"), *place.rglob("runtime.yml")):
        path.write_text(path.read_text().replace("awx.awx.", "ansible.controller."))
    (place / "MANIFEST.json").unlink()
    return str(folder / "hub")


def test_check_mode_tells_what_a_run_would_do(awx: Awx, made: Awx) -> None:
    code, output = awx("--check", **GIVEN)
    assert code == 0, output
    would = [line.replace("created", "would be created") for line in changes(made.controller.output)]
    assert changes(output) == would
    assert re.search(r"changed=1 .*failed=0", output)
    assert awx.controller.writes == []
    # Without its project AWX has the other objects, which therefore are not created.
    made.controller.objects["projects"].clear()
    code, output = made("--check", **GIVEN)
    assert code == 0, output
    assert changes(output)[:2] == [
        "project dtr-cache project: would be created",
        "inventory source dtr-cache inventory source: would be updated",
    ]
    assert len(changes(output)) == 2 + len(PLAYBOOKS)


def test_two_organizations_with_one_prefix(made: Awx) -> None:
    """The second one gets everything once more, with its own credential, and loses only that."""
    controller = made.controller
    other = controller.make("organizations", {"name": "Sales"})["id"]
    managers = controller.credential("managers", other)["id"]
    before = numbers(controller)
    code, output = made(**GIVEN, organization="Sales")
    assert code == 0, output
    assert not [line for line in changes(output) if "credential type" in line or "updated" in line]
    deploy = controller.named("job_templates", "dtr-cache deploy", other)
    dtr = controller.named("credentials", "dtr-cache DTR", other)["id"]
    assert set(controller.associated[f"{deploy['url']}credentials"]) == {dtr, managers}
    assert controller.objects["inventories"][deploy["inventory"]]["organization"] == other

    # What somebody made beside it stays.
    mine = controller.make("job_templates", {"name": "dtr-cache mine", "organization": other})["id"]
    controller.writes.clear()
    code, output = made("--check", **GIVEN, organization="Sales", state="absent")
    assert (code, controller.writes) == (0, []), output
    would = [line.replace("would be removed", "removed") for line in changes(output)]
    code, output = made(**GIVEN, organization="Sales", state="absent")
    assert code == 0, output
    assert changes(output) == would
    assert would[0] == "workflow job template dtr-cache check, approve, deploy, verify: removed"
    assert would[-1] == "credential types: stay, as other credentials use dtr-cache DTR"
    assert numbers(controller) == {*before, mine}
    code, output = made(**GIVEN, organization="Sales", state="absent")
    assert (code, changes(output)[0]) == (0, "nothing"), output


def test_all_is_taken_away(made: Awx) -> None:
    code, output = made(state="absent")
    assert code == 0, output
    assert made.controller.names("credential_types") == ["Machine", "Source Control"]
    assert numbers(made.controller) == numbers(Controller())


def numbers(controller: Controller) -> set[int]:
    """The ids of all objects but those of the past, and those that AWX is about to remove."""
    past = ("project_updates", "workflow_approval_templates")
    return {
        number
        for endpoint, objects in controller.objects.items()
        for number, each in objects.items()
        if endpoint not in past and not each.get("pending_deletion")
    }


def test_a_project_that_could_not_be_fetched(awx: Awx) -> None:
    """The reason is AWX's own, and the next run fetches it again, whatever has changed meanwhile."""
    controller = awx.controller
    controller.sync_error = "fatal: could not read from https://me:a-secret@git.example.org/dtr/caches.git"
    for number in (1, 2):
        code, output = awx(**GIVEN)
        assert code != 0
        assert "dtr_cache_awx_project_url: AWX did not fetch https://git.example.org/dtr/caches.git (failed):" in output
        assert "fatal: could not read from https://git.example.org" in output
        assert "a-secret" not in output
        assert len(controller.objects["project_updates"]) == number
        assert "job_templates" not in controller.objects
    assert "Changed before: project dtr-cache project: fetched again." in output
    # The credential alone is no reason for AWX to fetch anew. A playbook is still missing.
    controller.sync_error, controller.repository = "", [name for name in PLAYBOOKS if name != "warm.yml"]
    controller.credential("git", kind=controller.scm)
    code, output = awx(**GIVEN, project_credential="git")
    assert code != 0
    assert "dtr_cache_awx_project_url: the project has no warm.yml" in output
    assert len(controller.objects["project_updates"]) == 3
    controller.repository = PLAYBOOKS
    code, output = awx(**GIVEN, project_credential="git")
    assert code == 0, output
    assert len(controller.objects["project_updates"]) == 4
    assert "job template dtr-cache warm: created" in changes(output)
    assert (
        controller.named("projects", "dtr-cache project")["credential"] == controller.named("credentials", "git")["id"]
    )


def test_a_new_playbook_is_fetched_before_its_template_is_made(made: Awx) -> None:
    controller = made.controller
    controller.named("projects", "dtr-cache project")["playbook_files"].remove("warm.yml")
    warm = controller.named("job_templates", "dtr-cache warm")["id"]
    del controller.objects["job_templates"][warm]
    code, output = made("--check", **GIVEN)
    assert changes(output) == [
        "project dtr-cache project: would be fetched again",
        "job template dtr-cache warm: would be created",
    ]
    code, output = made(**GIVEN)
    assert code == 0, output
    assert changes(output) == ["project dtr-cache project: fetched again", "job template dtr-cache warm: created"]


def test_credential_types_that_awx_does_not_let_anybody_change(made: Awx) -> None:
    controller = made.controller
    dtr = controller.named("credential_types", "dtr-cache DTR")
    inputs = dtr["inputs"]
    # A type that a credential uses keeps its inputs.
    dtr["inputs"] = {**inputs, "required": []}
    code, output = made(**GIVEN)
    assert code != 0
    assert "dtr_cache_awx_prefix: credential type dtr-cache DTR has other inputs than this version makes" in output
    assert controller.writes == []
    # Injectors may change, but only by a system administrator.
    dtr.update(inputs=inputs, injectors={})
    controller.user["is_superuser"] = False
    code, output = made(**GIVEN)
    assert code != 0
    assert "credential type dtr-cache DTR: You don't have permission to PATCH" in output
    assert "Only a system administrator makes, changes and removes credential types." in output


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
