# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of AWX as options of the modules that make them, in an order that they can be made in. Pure functions."""

from __future__ import annotations

import typing as t

from .content import PREFIX, Json, answer_by_default, content, purpose, survey

Settings = t.Mapping[str, t.Any]
Key = tuple[str, str]

# The jobs of a minute share one synchronisation of the project and of the inventory.
_CACHED_SECONDS = 60
_NODE = "workflow_job_template_node"


class Definition(t.NamedTuple):
    """One object.

    Args:
        kind: The module that makes it, without its collection.
        name: What it is called in messages.
        options: The options of the module. None of them is a template of Ansible's.
        refers: The other objects that it cannot be without.
        outside: Those of the options that only name what others have made, to ask about while an object is missing.
    """

    kind: str
    name: str
    options: t.Mapping[str, t.Any]
    refers: tuple[Key, ...] = ()
    outside: t.Mapping[str, t.Any] = {}

    @property
    def key(self) -> Key:
        return self.kind, self.name

    @property
    def title(self) -> str:
        """Both in words."""
        return f"{self.kind.replace('_', ' ')} {self.name}"


def definitions(settings: Settings) -> list[Definition]:
    """All objects.

    Args:
        settings: The options of M(dtr.cache.awx_content); what is not set is empty.
    """
    base = [*_credential_types(settings), *_credentials(settings), *_environments(settings)]
    base += [_project(settings), *_inventory(settings)]
    templates = [_job_template(settings, base, playbook) for playbook in content()["job_templates"]]
    if settings["credentials"]:
        # They are the same in all templates.
        outside = {name: templates[0].options[name] for name in ("name", "organization")}
        templates[0] = templates[0]._replace(outside={**outside, "credentials": list(settings["credentials"])})
    return [*base, *templates, *_workflow(settings), *_schedules(settings)]


def name_of(settings: Settings, what: str) -> str:
    """The name of an object, which tells it from those of others."""
    return f"{settings['prefix']} {what}"


def _credential_types(settings: Settings) -> list[Definition]:
    found = []
    for written in content()["credential_types"].values():
        name = name_of(settings, written["name"])
        found.append(Definition("credential_type", name, {**written, "name": name, "kind": "cloud"}))
    return found


def _credentials(settings: Settings) -> list[Definition]:
    """Empty ones: who fills them in does so in AWX, and nothing secret passes through here."""
    found = []
    for key, written in content()["credential_types"].items():
        # Attached and empty, it would take the certificates of all regions away.
        if key == "certificate" and not settings["certificate"]:
            continue
        name = name_of(settings, written["name"])
        options = {
            "name": name,
            "description": written["description"],
            "organization": settings["organization"],
            "credential_type": name,
            "update_secrets": False,
        }
        found.append(Definition("credential", name, options, (("credential_type", name),)))
    return found


def _environments(settings: Settings) -> list[Definition]:
    if not settings["image"]:
        return []
    name = name_of(settings, "execution environment")
    options = {
        "name": name,
        "description": "Ansible and what dtr.cache needs on the control node",
        "organization": settings["organization"],
        "image": settings["image"],
        "pull": "missing",
    }
    return [Definition("execution_environment", name, options)]


def _project(settings: Settings) -> Definition:
    name = name_of(settings, "project")
    options = {
        "name": name,
        "description": "Inventory, playbooks and the collections that they need",
        "organization": settings["organization"],
        "scm_type": "git",
        "scm_url": settings["project_url"],
        "scm_branch": settings["project_branch"],
        "scm_update_on_launch": True,
        "scm_update_cache_timeout": _CACHED_SECONDS,
        # Templates name playbooks, which AWX knows when it has fetched them.
        "wait": True,
        **_given(credential=settings["project_credential"]),
    }
    return Definition("project", name, options)


def _inventory(settings: Settings) -> list[Definition]:
    name, source, project = (name_of(settings, each) for each in ("inventory", "inventory source", "project"))
    organization = {"organization": settings["organization"]}
    inventory = {
        "name": name,
        "description": "One host for each region, in the group dtr_caches",
        **organization,
        # As AWX has them where nothing is given, so that a second run finds no difference.
        "kind": "",
    }
    from_project = {
        "name": source,
        "description": "The inventory of the project",
        "inventory": name,
        **organization,
        "source": "scm",
        "source_project": project,
        "source_path": settings["inventory"],
        "update_on_launch": True,
        "update_cache_timeout": _CACHED_SECONDS,
        "overwrite": True,
        "overwrite_vars": True,
    }
    return [
        Definition("inventory", name, inventory),
        Definition("inventory_source", source, from_project, (("inventory", name), ("project", project))),
    ]


def _job_template(settings: Settings, base: t.Sequence[Definition], playbook: str) -> Definition:
    name = name_of(settings, playbook)
    own = [each for each in base if each.kind in ("project", "inventory", "credential", "execution_environment")]
    by_kind = {each.kind: each.name for each in own}
    options = {
        "name": name,
        "description": purpose(playbook),
        "organization": settings["organization"],
        "job_type": "run",
        "inventory": by_kind["inventory"],
        "project": by_kind["project"],
        "playbook": f"{playbook}.yml",
        "credentials": [each.name for each in own if each.kind == "credential"] + list(settings["credentials"]),
        "ask_limit_on_launch": True,
        "ask_job_type_on_launch": True,
        "ask_diff_mode_on_launch": True,
        "ask_verbosity_on_launch": True,
        # Whoever may start a job must not send the credential to an address of their own.
        "ask_variables_on_launch": False,
        "survey_enabled": True,
        "survey_spec": survey(content()["job_templates"][playbook]),
        **_given(execution_environment=by_kind.get("execution_environment")),
    }
    return Definition("job_template", name, options, tuple(each.key for each in own))


def _workflow(settings: Settings) -> list[Definition]:
    written = content()["workflow"]
    name = name_of(settings, written["name"])
    options = {
        "name": name,
        "description": written["description"],
        "organization": settings["organization"],
        "ask_limit_on_launch": True,
        "ask_variables_on_launch": False,
        "survey_enabled": True,
        # Its answers are those of all of its jobs.
        "survey_spec": survey(written["asks"]),
    }
    found = [Definition("workflow_job_template", name, options)]
    links = []
    # What comes next has to be there first.
    for node in reversed(written["nodes"]):
        made, link = _node(settings, name, node)
        found.append(made)
        links += [link] if link else []
    return [*found, *links]


def _node(settings: Settings, workflow: str, node: Json) -> tuple[Definition, Definition | None]:
    """A node, and what links it to the next one where the module cannot do that while it makes the node."""
    shared = {
        "identifier": node["identifier"],
        "workflow_job_template": workflow,
        "organization": settings["organization"],
    }
    of_workflow: Key = ("workflow_job_template", workflow)
    key: Key = (_NODE, f"{node['identifier']} of {workflow}")
    follows: tuple[Key, ...] = ((_NODE, f"{node['then']} of {workflow}"),) if "then" in node else ()
    link = {"success_nodes": [node["then"]]} if "then" in node else {}
    if "approval" in node:
        made = Definition(*key, {**shared, "approval_node": node["approval"]}, (of_workflow,))
        linked = Definition(_NODE, f"{key[1]}, and the next one", {**shared, **link}, (of_workflow, key, *follows))
        return made, linked
    template = name_of(settings, node["job_template"])
    options = {
        **shared,
        "unified_job_template": template,
        "lookup_organization": settings["organization"],
        **_given(job_type=node.get("job_type"), diff_mode=node.get("diff_mode")),
        **link,
    }
    return Definition(*key, options, (of_workflow, ("job_template", template), *follows)), None


def _schedules(settings: Settings) -> list[Definition]:
    found = []
    for written in content()["schedules"]:
        template = name_of(settings, written["job_template"])
        asked = content()["job_templates"][written["job_template"]]
        options = {
            "name": name_of(settings, written["name"]),
            "description": purpose(written["job_template"]),
            "organization": settings["organization"],
            "unified_job_template": template,
            "rrule": written["rrule"],
            "extra_data": {PREFIX + name: answer_by_default(name) for name in asked},
            "enabled": settings["schedules"],
        }
        found.append(Definition("schedule", options["name"], options, (("job_template", template),)))
    return found


def _given(**options: t.Any) -> Json:
    """Those that have a value."""
    return {name: value for name, value in options.items() if value}
