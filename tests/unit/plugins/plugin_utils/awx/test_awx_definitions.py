# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of AWX: one template for each playbook, surveys and credential types that AWX takes."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.awx.content import content, question, survey
from ansible_collections.dtr.cache.plugins.plugin_utils.awx.definitions import Definition, definitions
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.read import STATISTICS
from ansible_collections.dtr.cache.tests.unit.support.settings import OPTIONS
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

Json = dict[str, t.Any]

PROJECT = Path(__file__).parents[5]
SKELETON = PROJECT / "docs" / "examples" / "awx-project"
PLAYBOOKS = {path.stem for path in (PROJECT / "playbooks").glob("*.yml")} - {"awx"}
SETTINGS: Json = {
    "organization": "Default",
    "prefix": "dtr-cache",
    "project_url": "https://git.example.org/dtr/caches.git",
    "project_branch": "",
    "project_credential": "",
    "inventory": "inventory/hosts.yml",
    "image": "",
    "credentials": [],
    "certificate": False,
    "schedules": False,
}
ALL = {**SETTINGS, "image": "registry.example.org/dtr/ee:1", "credentials": ["managers"], "certificate": True}
CREDENTIAL_TYPES = content()["credential_types"]


def of_kind(kind: str, settings: Json | None = None) -> list[Definition]:
    return [each for each in definitions(settings or SETTINGS) if each.kind == kind]


def named(kind: str, name: str, settings: Json | None = None) -> t.Mapping[str, t.Any]:
    (options,) = (each.options for each in of_kind(kind, settings) if each.name == name)
    return options


def test_each_playbook_has_a_job_template_and_a_file_in_the_example_project() -> None:
    assert set(content()["job_templates"]) == PLAYBOOKS
    assert {each.options["playbook"] for each in of_kind("job_template")} == {f"{name}.yml" for name in PLAYBOOKS}
    assert {path.stem for path in SKELETON.glob("*.yml")} == PLAYBOOKS
    for name in PLAYBOOKS:
        (play,) = yaml.safe_load((SKELETON / f"{name}.yml").read_text())
        assert play["ansible.builtin.import_playbook"] == f"dtr.cache.{name}"
        assert named("job_template", f"dtr-cache {name}")["description"] == play["name"]


def test_the_example_project_has_the_inventory_that_is_the_default() -> None:
    assert (SKELETON / OPTIONS["dtr_cache_awx_inventory"]["default"]).exists()


@pytest.mark.parametrize("settings", [SETTINGS, ALL], ids=["least", "all"])
def test_what_an_object_refers_to_comes_before_it(settings: Json) -> None:
    known: set[tuple[str, str]] = set()
    for definition in definitions(settings):
        assert set(definition.refers) <= known, definition.title
        known.add(definition.key)


# As AWX's validation of a survey has it.
OF_TYPE = {"text": str, "textarea": str, "multiplechoice": str, "multiselect": str, "integer": int}


@pytest.mark.parametrize("name", content()["questions"])
def test_a_question_is_one_that_awx_takes(name: str) -> None:
    asked = question(name)
    assert asked["variable"] in OPTIONS
    assert re.search(r"[A-Z]\(", asked["question_description"]) is None, "markup"
    assert isinstance(asked["required"], bool)
    default = asked.get("default")
    if default is not None:
        assert isinstance(default, OF_TYPE[asked["type"]])
        chosen = str(default).splitlines() if asked["choices"] else []
        assert set(chosen) <= set(asked["choices"])
        assert asked["type"] == "multiselect" or len(chosen) < 2
    # An empty answer wins over the inventory, so nothing may be left empty.
    assert asked["required"]
    assert asked["min"] or asked["type"] not in ("text", "textarea")
    assert any(name in asks for asks in [*content()["job_templates"].values(), content()["workflow"]["asks"]])


def test_a_survey_asks_for_no_secret() -> None:
    secret = {name for name, option in OPTIONS.items() if option.get("no_log")}
    asked = {each["variable"] for names in content()["job_templates"].values() for each in survey(names)["spec"]}
    assert asked
    assert not asked & secret


def test_a_schedule_answers_each_required_question_by_what_awx_takes() -> None:
    for schedule in of_kind("schedule"):
        spec = named("job_template", schedule.options["unified_job_template"])["survey_spec"]["spec"]
        answers = schedule.options["extra_data"]
        assert set(answers) == {each["variable"] for each in spec}
        for each in spec:
            answer = answers[each["variable"]]
            assert isinstance(answer, list if each["type"] == "multiselect" else OF_TYPE[each["type"]])


@pytest.mark.parametrize("schedule", content()["schedules"], ids=lambda schedule: schedule["name"])
def test_a_schedule_has_a_time_that_awx_takes(schedule: Json) -> None:
    """One beginning in UTC, and an interval in each rule."""
    assert re.fullmatch(r"DTSTART:\d{8}T\d{6}Z RRULE:FREQ=(HOURLY|DAILY);INTERVAL=\d+", schedule["rrule"])


def test_a_multiselect_is_answered_by_a_list_and_a_choice_by_text() -> None:
    assert question("warm_platforms")["default"] == "linux/amd64"
    assert question("serial")["default"] == "100%"


class Exploding:
    """AWX refuses what names the file of a credential that has several."""

    def __str__(self) -> str:
        raise AssertionError("tower.filename without a name")


@pytest.mark.parametrize("written", CREDENTIAL_TYPES.values(), ids=CREDENTIAL_TYPES)
@pytest.mark.parametrize("undefined", [False, True], ids=["filled in", "left out"])
def test_an_injector_uses_fields_that_there_are(written: Json, undefined: bool) -> None:
    """AWX checks each template with all fields there; a job may have only those that are required."""
    fields = {each["id"] for each in written["inputs"]["fields"]}
    assert set(written["inputs"]["required"]) <= fields
    files = Exploding()
    for label in written["injectors"]["file"]:
        setattr(files, label.removeprefix("template."), "/runner/env/file")
    tower = type("Tower", (), {"filename": files})()
    rendered = {}
    for part in ("file", "env", "extra_vars"):
        for name, template in written["injectors"].get(part, {}).items():
            environment = (
                ImmutableSandboxedEnvironment()
                if undefined
                else ImmutableSandboxedEnvironment(undefined=StrictUndefined)
            )
            filled = written["inputs"]["required"] if undefined else fields
            rendered[name] = environment.from_string(template).render(
                {"tower": tower, **dict.fromkeys(filled, "EXAMPLE")}
            )
    if not undefined:
        assert all(rendered.values())
    # A variable that is injected wins over the inventory also when it is empty.
    assert all(rendered[name] for name in written["injectors"].get("extra_vars", {}))
    assert set(written["injectors"].get("extra_vars", {})) <= set(OPTIONS)


def test_what_is_secret_is_hidden_by_awx() -> None:
    secret = {
        key: {each["id"] for each in written["inputs"]["fields"] if each.get("secret")}
        for key, written in CREDENTIAL_TYPES.items()
    }
    assert secret == {"dtr": {"password", "client_key"}, "certificate": {"private_key"}}


def test_credentials_come_without_a_content() -> None:
    for each in of_kind("credential", ALL):
        assert "inputs" not in each.options
        assert each.options["update_secrets"] is False
    assert [each.name for each in of_kind("credential")] == ["dtr-cache DTR"]


def test_the_workflow_checks_waits_deploys_and_verifies() -> None:
    made = [each for each in of_kind("workflow_job_template_node") if "next one" not in each.name]
    nodes = {each.options["identifier"]: each for each in made}
    assert nodes["check"].options["job_type"] == "check"
    assert nodes["check"].options["unified_job_template"] == nodes["deploy"].options["unified_job_template"]
    assert nodes["approval"].options["approval_node"]["timeout"] > 0
    (workflow,) = of_kind("workflow_job_template")
    # The modules do not link an approval while they make it.
    assert "success_nodes" not in nodes["approval"].options
    link = named("workflow_job_template_node", f"approval of {workflow.name}, and the next one")
    assert link["success_nodes"] == ["deploy"]
    asked = {each["variable"] for each in workflow.options["survey_spec"]["spec"]}
    for node in ("check", "deploy", "verify"):
        template = named("job_template", nodes[node].options["unified_job_template"])
        assert {each["variable"] for each in template["survey_spec"]["spec"] if each["required"]} <= asked


def test_statistics_and_questions_have_different_names() -> None:
    """What a job of a workflow leaves is an extra variable of the next one, and must answer no question."""
    assert not STATISTICS & {f"dtr_cache_{name}" for name in content()["questions"]}


def test_nobody_who_starts_a_job_can_name_another_dtr() -> None:
    assert all(each.options["ask_variables_on_launch"] is False for each in of_kind("job_template"))
