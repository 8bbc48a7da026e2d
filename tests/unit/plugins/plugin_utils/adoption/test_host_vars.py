# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where variables of a host are written, and what is never lost."""

from __future__ import annotations

import stat
import textwrap
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.host_vars import (
    WrittenFile,
    file_of_host,
    masked_file,
    write_file,
)
from ansible_collections.dtr.cache.tests.unit.support.others import given_away

TEXT = "---\ndtr_cache_name: region-asia\n"


def written(path: Path, *, overwrite: bool = False, check_mode: bool = False, text: str = TEXT) -> WrittenFile:
    return write_file(str(path), text, overwrite=overwrite, check_mode=check_mode)


@pytest.mark.parametrize("name", ["asia", "asia.yml", "asia.yaml", "asia.json"])
def test_the_file_that_ansible_reads_for_the_host_is_the_place(tmp_path: Path, name: str) -> None:
    assert file_of_host(str(tmp_path), "asia") == str(tmp_path / "asia.yml")
    (tmp_path / name).write_text("")
    assert file_of_host(str(tmp_path), "asia") == str(tmp_path / name)


def test_in_a_folder_of_the_host_it_is_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "asia").mkdir()
    assert file_of_host(str(tmp_path), "asia") == str(tmp_path / "asia" / "dtr_cache.yml")


def test_a_new_file_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "host_vars" / "asia.yml"
    first = written(path)
    assert first.changed and path.read_text() == TEXT and stat.S_IMODE(path.stat().st_mode) == 0o644
    assert first.diff == {"before_header": str(path), "after_header": str(path), "before": "", "after": TEXT}
    before = path.stat()
    assert not written(path).changed
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    assert written(tmp_path / "host_vars" / "asia.yml", check_mode=True).changed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_another_file_is_replaced_only_when_that_is_asked_for(tmp_path: Path, check_mode: bool) -> None:
    path = tmp_path / "asia.yml"
    path.write_text("ansible_host: 192.0.2.1\n")
    with pytest.raises(Failure) as raised:
        written(path, check_mode=check_mode)
    assert raised.value.code == "FILE_EXISTS" and "or overwrite: true to replace it" in str(raised.value.hint)
    assert path.read_text() == "ansible_host: 192.0.2.1\n"
    path.chmod(0o640)
    assert written(path, overwrite=True, check_mode=check_mode).changed
    assert path.read_text() == ("ansible_host: 192.0.2.1\n" if check_mode else TEXT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_the_diff_shows_no_password_that_somebody_put_there(tmp_path: Path) -> None:
    path = tmp_path / "asia.yml"
    path.write_text(f"{TEXT}dtr_cache_registry_password: a-password\n  # note\n")
    diff = written(path, overwrite=True).diff
    assert diff["before"] == f"{TEXT}dtr_cache_registry_password: '***'\n# ***\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.yml").write_text("old: true\n")
    (tmp_path / "asia.yml").symlink_to("real.yml")
    written(tmp_path / "asia.yml", overwrite=True)
    assert (tmp_path / "asia.yml").is_symlink() and (tmp_path / "real.yml").read_text() == TEXT


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "asia.yml").write_bytes(b"\xff")
    with pytest.raises(Failure, match="it is not text in UTF-8"):
        written(tmp_path / "asia.yml", overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match="cannot be written: "):
        written(tmp_path / "file" / "asia.yml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asia.yml", "file"]


def test_what_another_user_has_laid_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o1777)
    laid = tmp_path / "host_vars"
    laid.mkdir()
    (laid / "asia.yml").write_text("before")
    given_away(laid, monkeypatch)
    with pytest.raises(Failure, match="belongs to user ") as raised:
        write_file(str(laid / "asia.yml"), "after", overwrite=True, check_mode=False)
    assert raised.value.code == "FOREIGN_FILE"
    assert (laid / "asia.yml").read_text() == "before"


AFTER = textwrap.dedent("""\
    # Written by playbook dtr.cache.adopt.
    ---
    dtr_cache_name: region-asia
    dtr_cache_nodes:
      - asia-2
    dtr_cache_storage:
      s3:
        bucket: b
        secretkey: "{{ vault_dtr_cache_storage_s3_secretkey }}"
    # dtr_cache_private_key: "{{ vault_dtr_cache_private_key }}"
    """)
# No form of it is any other word of a file.
SECRET = "hunter"
SECRETS = {
    "plain": "dtr_cache_http_secret: hunter1",
    "on the next line": "dtr_cache_http_secret:\n  'hunter1'",
    "a block": "site:\n  db:\n    password: |\n      hunter1\n      hunter2",
    "folded": "vault_pw: >-\n  hunter1\n",
    "indented": "smtp_pass:\n    hunter2",
    "a list": "secretkey:\n- hunter1\n- {x: hunter2}",
    "a list of an own variable": "dtr_cache_environment: [A=hunter1]",
    "a mapping of an own variable": "dtr_cache_environment: {A: hunter1, hunter2: }",
    "a mapping in one line": "dtr_cache_storage: {s3: {bucket: b, secretkey: hunter1}}",
    "a structure as a text": 'dtr_cache_storage: \'{"s3": {"secretkey": "hunter1"}}\'',
    "in an address": "dtr_cache_registry_url: https://admin:hunter1@dtr.example.org",
    "in a public structure": "dtr_cache_resources: {password: hunter1}",
    "a vaulted text": "dtr_cache_private_key: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  hunter1",
    "an unsafe one": "pw: !unsafe 'hunter1'",
    "a tag of another tool": "dtr_cache_name: !mine {hunter1: hunter2}",
    "binary": "dtr_cache_name: !!binary aHVudGVyMQ==hunter",
    "a set": "dtr_cache_nodes: !!set {? hunter1, ? hunter2}",
    "a comment": "dtr_cache_port: 443 # hunter1\n# hunter2\n  # hunter3",
    "a comment in a list": "dtr_cache_nodes:\n  # hunter1\n  - asia-2 # hunter2",
    "an alias": "a: &x hunter1\ndtr_cache_name: *x",
    "an endless alias": "dtr_cache_name: &x [hunter1, *x]",
    "a key": "? |\n  hunter1\n: x",
    "a list as a key": "[hunter1]: x",
    "twice": "dtr_cache_name: region-asia\npassword: hunter1\npassword:\n  hunter2",
    "two documents": "a: hunter1\n---\nb: hunter2",
    "no YAML": "dtr_cache_private_key: |\n-----BEGIN KEY-----\nhunter1: [",
    "a wrong tab": "dtr_cache_name: x\n\tpassword: hunter1",
    "JSON": '{"dtr_cache_name": "region-asia", "password": "hunter1"}',
    "a list of all": "- hunter1",
    "a text alone": "$ANSIBLE_VAULT;1.1;AES256\nhunter1\n",
    "no printable text": "a: hunter1\x0c\nb: \u2028hunter2",
    "a time that is none": "dtr_cache_name: 2026-99-99 # hunter1",
}


@pytest.mark.parametrize("edited", SECRETS.values(), ids=SECRETS)
def test_no_secret_in_whatever_form(edited: str) -> None:
    for before in (edited, f"{AFTER}{edited}\n"):
        assert SECRET not in masked_file(before, AFTER)


def test_what_the_new_file_says_as_well_stays() -> None:
    assert masked_file(AFTER, AFTER) == AFTER
    assert masked_file("", AFTER) == masked_file("", "") == ""


@pytest.mark.parametrize(
    ("edited", "shown"),
    [
        ("dtr_cache_name: asia # why", "dtr_cache_name: asia"),
        ("dtr_cache_port: 8443", "dtr_cache_port: 8443"),
        ("dtr_cache_nodes: [asia-1, asia-2]", "dtr_cache_nodes: [asia-1, asia-2]"),
        ("dtr_cache_replicas:\n", "dtr_cache_replicas:"),
        ("dtr_cache_nodes:\n- asia-1 # why\n- {x: y}", "dtr_cache_nodes:\n- asia-1\n***"),
        ("dtr_cache_storage: {s3: {bucket: b, x: y}}", "dtr_cache_storage: '***'"),
        ("ansible_host: 192.0.2.1", "ansible_host: '***'"),
    ],
)
def test_what_is_public_is_shown(edited: str, shown: str) -> None:
    assert masked_file(edited, AFTER) == f"{shown}\n"
