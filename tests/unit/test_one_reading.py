# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check that holds one reading of the settings finds each form in which a role could read one again."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.tests.lib import one_reading

READ = [
    "name: '{{ dtr_cache_name }}'",
    "name: \"{{ 'a' ~ dtr_cache_name | default('}}') }}\"",
    "when: dtr_cache_name | default('') | length > 0",
    "when: [x is defined, not dtr_cache_name]",
    "ansible.builtin.assert: {that: [dtr_cache_name != '']}",
    "until: result.failed or dtr_cache_name",
    "changed_when: dtr_cache_name",
    "failed_when: dtr_cache_name",
    "loop: '{{ dtr_cache_name }}'",
    "loop: dtr_cache_name",
    "loop: ['{{ dtr_cache_name }}']",
    "ansible.builtin.debug: {var: dtr_cache_name}",
    "text: '{% if dtr_cache_name %}x{% endif %}'",
    "vars: {x: {y: ['{{ dtr_cache_name }}']}}",
    "'{{ dtr_cache_name }}': x",
    "x: '{{ hostvars[region].dtr_cache_name }}'",
    "x: '{{ hostvars[region][\"dtr_cache_name\"] }}'",
    "x: '{{ vars.get(\"dtr_cache_name\") }}'",
    "x: \"{{ lookup('vars', 'dtr_cache_name') }}\"",
    "x: \"{{ query('ansible.builtin.varnames', '^dtr_cache_') }}\"",
    "fail_msg: 'dtr_cache_host is wrong: {{ dtr_cache_host }}'",
]
NOT_READ = [
    "# {{ dtr_cache_name }}",
    "fail_msg: Set dtr_cache_name to the name of the cache.",
    "fail_msg: \"{{ 'Set dtr_cache_name' if x else 'and [dtr_cache_host]' }}\"",
    "when: \"'dtr_cache_name' in problems\"",
    "x: '{{ __dtr_cache.settings.name }} {{ __dtr_cache_plan }}'",
    "ansible.builtin.set_stats: {data: {dtr_cache_regions: '{{ __dtr_cache_rows }}'}}",
    "x: \"{{ lookup('dtr.cache.connection', 'dtr') }}\"",
    "loop: [dtr_cache_name, dtr_cache_host]",
    "hosts: dtr_caches",
    "x: '{# {{ dtr_cache_name }} #}'",
]


@pytest.mark.parametrize("task", READ)
def test_a_reading_is_found(task: str) -> None:
    ((line, name),) = one_reading.in_yaml(f"- name: Do it\n  {task}\n")
    assert line == 1
    assert name.startswith("dtr_cache_")


@pytest.mark.parametrize("task", NOT_READ)
def test_a_name_alone_is_no_reading(task: str) -> None:
    assert one_reading.in_yaml(f"- name: Do it\n  {task}\n") == []


def test_templates_are_read_with_their_lines() -> None:
    text = "dtr_cache_name\n{# {{ dtr_cache_a }}\n #}{{ dtr_cache_b }}\n{% for x in dtr_cache_c %}\n"
    assert one_reading.in_template(text) == [(2, "dtr_cache_b"), (3, "dtr_cache_c")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "roles/settings/tasks/main.yml": "- when: dtr_cache_name",
        "roles/stack/meta/argument_specs.yml": "x: '{{ dtr_cache_name }}'",
        "roles/stack/README.md": "{{ dtr_cache_name }}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "playbooks").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("roles/stack/tasks/main.yml", "- when: dtr_cache_name\n"),
        ("roles/stack/handlers/main.yml", "- when: dtr_cache_name\n"),
        ("roles/stack/vars/main.yml", "x: '{{ dtr_cache_name }}'\n"),
        ("roles/stack/meta/main.yml", "dependencies: [{role: a, when: dtr_cache_name}]\n"),
        ("roles/stack/templates/a.j2", "{{ dtr_cache_name }}\n"),
        ("playbooks/deploy.yml", "- hosts: '{{ dtr_cache_name }}'\n"),
        ("playbooks/deploy.yml", "- hosts: '{{ dtr_cache_name | dtr.cache.play_hosts(groups) }}'\n"),
        ("playbooks/tasks/end.yml", "- when: dtr_cache_name\n"),
    ],
)
def test_every_place_is_searched(
    project: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check() -> t.Any:
        monkeypatch.setattr("sys.argv", ["one_reading", str(project)])
        return one_reading.main()

    assert check() == 0
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text(text, encoding="utf-8")
    assert check() == 1
    assert capsys.readouterr().out.startswith(f"{name}:1: reads dtr_cache_name;")


@pytest.mark.parametrize("name", ["roles/stack/tasks/main.yml", "playbooks/deploy.yml"])
def test_names_that_a_user_may_have_are_found(
    project: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["one_reading", str(project)])
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("- block:\n    - debug:\n      vars:\n        __dtr_cache_x: 1\n        status: 2\n")
    assert one_reading.main() == 1
    assert capsys.readouterr().out.startswith(f"{name}:5: sets status,")
