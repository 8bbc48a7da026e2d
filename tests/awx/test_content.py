# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of AWX as data: one template for each playbook, surveys and credential types that AWX takes."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.read import STATISTICS
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .playbook import PROJECT

Json = dict[str, t.Any]

SETTINGS = PROJECT / "roles" / "settings"
DEFAULTS: Json = yaml.safe_load((SETTINGS / "defaults" / "main.yml").read_text())
OPTIONS: Json = yaml.safe_load((SETTINGS / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"][
    "options"
]
SKELETON = PROJECT / "docs" / "examples" / "awx-project"
CONTENT: Json = yaml.safe_load((PROJECT / "playbooks" / "vars" / "awx.yml").read_text())
TEMPLATES: dict[str, Json] = {each["name"]: each for each in CONTENT["job_templates"]}
# AWX refuses to change the inputs of a credential type that is in use. So other inputs need a type with another name,
# such as DTR 2, and a line here; a line that is here stays as it is.
INPUTS = {
    "DTR": "cc0e1ad8ffdba805",
    "DTR cache certificate": "63493da69baddd52",
}


def test_each_playbook_has_a_job_template_and_a_file_in_the_example_project() -> None:
    playbooks = {path.stem for path in (PROJECT / "playbooks").glob("*.yml")} - {"awx"}
    assert set(TEMPLATES) == playbooks
    assert {path.stem for path in SKELETON.glob("*.yml")} == playbooks
    for name in playbooks:
        (play,) = yaml.safe_load((SKELETON / f"{name}.yml").read_text())
        assert play["ansible.builtin.import_playbook"] == f"dtr.cache.{name}"
        purpose = yaml.safe_load((PROJECT / "playbooks" / f"{name}.yml").read_text())[0]["name"]
        assert play["name"] == TEMPLATES[name]["description"] == purpose


def test_the_example_project_has_the_inventory_that_is_the_default() -> None:
    assert (SKELETON / DEFAULTS["dtr_cache_awx_inventory"]).exists()


@pytest.mark.parametrize("written", CONTENT["credential_types"], ids=lambda written: written["name"])
def test_inputs_stay_as_they_were_released(written: Json) -> None:
    inputs = json.dumps(written["inputs"], sort_keys=True)
    assert INPUTS[written["name"]] == hashlib.sha256(inputs.encode()).hexdigest()[:16]


# As AWX's validation of a survey has it.
OF_TYPE = {"text": str, "textarea": str, "multiplechoice": str, "multiselect": str, "integer": int}


@pytest.mark.parametrize("asked", CONTENT["questions"], ids=lambda asked: asked["variable"])
def test_a_question_is_one_that_awx_takes(asked: Json) -> None:
    assert asked["question_name"] and asked["question_description"]
    assert not OPTIONS[asked["variable"]].get("no_log"), "a survey asks for no secret"
    default = DEFAULTS[asked["variable"]]
    # An answer by default is the variable's default: a multiselect has one a line.
    assert asked.get("default") == (("\n".join(default) if isinstance(default, list) else default) or None)
    if "default" in asked:
        assert isinstance(asked["default"], OF_TYPE[asked["type"]])
        chosen = str(asked["default"]).splitlines() if asked["choices"] else []
        assert set(chosen) <= set(asked["choices"])
    # An empty answer wins over the inventory, so nothing may be left empty.
    assert asked["required"] is True
    assert asked["min"] or asked["type"] not in ("text", "textarea")
    # AWX gives all of them back, so that a survey without one would differ in each run.
    assert {"min", "max", "choices"} <= set(asked)
    assert any(asked in each["asks"] for each in [*TEMPLATES.values(), *CONTENT["workflow_job_templates"]])


@pytest.mark.parametrize("schedule", CONTENT["schedules"], ids=lambda schedule: schedule["name"])
def test_a_schedule_is_one_that_awx_takes(schedule: Json) -> None:
    """It begins in UTC, has an interval in its rule, and the answer by default to each question."""
    assert re.fullmatch(r"DTSTART:\d{8}T\d{6}Z RRULE:FREQ=(HOURLY|DAILY);INTERVAL=\d+", schedule["rrule"])
    template = TEMPLATES[schedule["job_template"]]
    assert schedule["description"] == template["description"]
    assert schedule["extra_data"] == {each["variable"]: each["default"] for each in template["asks"]}


class Exploding:
    """AWX refuses what names the file of a credential that has several."""

    def __str__(self) -> str:
        raise AssertionError("tower.filename without a name")


@pytest.mark.parametrize("written", CONTENT["credential_types"], ids=lambda written: written["name"])
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
        written["name"]: {each["id"] for each in written["inputs"]["fields"] if each.get("secret")}
        for written in CONTENT["credential_types"]
    }
    assert secret == {"DTR": {"password", "client_key"}, "DTR cache certificate": {"private_key"}}


def test_the_workflow_asks_for_what_its_jobs_ask_for() -> None:
    (workflow,) = CONTENT["workflow_job_templates"]
    nodes = {each["name"]: each for each in CONTENT["workflow_job_template_nodes"]}
    assert nodes["check"]["job_template"] == nodes["deploy"]["job_template"]
    assert nodes["approval"]["approval"]["timeout"] > 0
    for name in ("check", "deploy", "verify"):
        assert all(each in workflow["asks"] for each in TEMPLATES[nodes[name]["job_template"]]["asks"])


def test_statistics_and_questions_have_different_names() -> None:
    """What a job of a workflow leaves is an extra variable of the next one, and must answer no question."""
    assert not STATISTICS & {each["variable"] for each in CONTENT["questions"]}
