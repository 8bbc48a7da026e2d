# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users that are not root: the one that a manager is reached as, and others that lay things in folders of everybody."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from .conftest import Lab, Play

DEPLOY = "dtr.cache.deploy"
ONLY = ("--limit", "region-europe")
NODE = "europe-1"
USER, NUMBER, PORT = "operator", 2000, 2222
NOBODY = 65534
# Accounts, and an SSH daemon of their own, in the node's mounts alone.
MAKE_USER = rf"""
set -e
mkdir -p /run/others/home/.ansible
cd /run/others
cp /etc/passwd /etc/group .
echo '{USER}:x:{NUMBER}:{NUMBER}::/run/others/home:/bin/sh' >>passwd
echo '{USER}:x:{NUMBER}:' >>group
(cat /etc/shadow; echo '{USER}:*:19000:0:99999:7:::') >shadow
printf 'root ALL=(ALL) ALL\n{USER} ALL=(ALL) NOPASSWD: ALL\n' >sudoers
chmod 440 sudoers
for file in passwd group shadow sudoers; do mount --bind $file /etc/$file; done
mkdir -m 700 home/.ssh
cat /root/.ssh/authorized_keys >home/.ssh/authorized_keys
chown -R {NUMBER}:{NUMBER} home
sed -e 's/^ListenAddress \(.*\):22$/ListenAddress \1:{PORT}/' -e 's/^AllowUsers .*/AllowUsers {USER}/' \
  -e 's,^PidFile .*,PidFile /run/others/sshd.pid,' /run/lab/ssh/sshd_config >sshd_config
$(command -v /usr/sbin/sshd sshd | head -n 1) -f /run/others/sshd_config
"""
REMOVE_USER = """
kill $(cat /run/others/sshd.pid)
for file in passwd group shadow sudoers; do umount /etc/$file; done
rm -r /run/others
"""


@pytest.fixture(scope="module")
def user(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[t.Callable[..., tuple[str, ...]]]:
    """A user of the manager that may become root. Gives the options by which a run reaches it."""
    lab.clean()
    lab.inside(NODE, "sh", "-c", MAKE_USER)

    def options(**variables: t.Any) -> tuple[str, ...]:
        path = tmp_path_factory.mktemp("inventory") / "user.yml"
        trust = f"-o UserKnownHostsFile={lab.status['known_hosts']} -o HostKeyAlias={NODE}.lab.test"
        reached = {
            "ansible_user": USER,
            "ansible_port": PORT,
            # Of an open connection, the groups are those of its beginning.
            "ansible_ssh_common_args": f"{trust} -o IdentitiesOnly=yes -o ControlMaster=no -o ControlPath=none",
            **variables,
        }
        path.write_text(yaml.safe_dump({"dtr_caches": {"hosts": {"region-europe": reached}}}))
        return ("-i", str(path), *ONLY)

    yield options
    lab.inside(NODE, "sh", "-c", REMOVE_USER)
    lab.clean()


def test_without_become_the_group_docker_is_needed_and_enough(
    user: t.Callable[..., tuple[str, ...]], lab: Lab, play: Play
) -> None:
    before = lab.snapshot()
    refused = play(DEPLOY, *user())
    assert refused.code != 0
    words = (
        "The Docker Engine at unix:///var/run/docker.sock does not let user operator in: permission denied. Set "
        "ansible_become: true for the manager, or add the user to its group docker."
    )
    assert words in refused.output, refused.output
    assert refused.total("changed") == 0
    assert lab.snapshot() == before
    grouped = f"groups=$(sed 's/^docker:.*/&{USER}/' /etc/group) && echo \"$groups\" >/etc/group"
    lab.inside(NODE, "sh", "-c", grouped)
    previewed = play(DEPLOY, "--check", *user())
    assert previewed.code == 0, previewed.output
    assert previewed.regions()["region-europe"]["result"] == "ok"


def test_a_user_that_becomes_root_deploys_and_leaves_nothing(
    user: t.Callable[..., tuple[str, ...]], lab: Lab, play: Play
) -> None:
    run = play(DEPLOY, *user(ansible_become=True))
    assert run.code == 0, run.output
    left = lab.inside(NODE, "find", "/run/others/home", "-type", "f")
    assert left.splitlines() == ["/run/others/home/.ssh/authorized_keys"]


@pytest.fixture
def laid(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of everybody with another user's link in it, and the folder to which that leads."""
    shared, precious = tmp_path / "shared", tmp_path / "precious"
    shared.mkdir()
    shared.chmod(0o1777)
    (precious / "region-europe").mkdir(parents=True)
    for name in ("region-europe/config.yml", "region-europe/docker-stack.yml", "status.json", "status.html"):
        (precious / name).write_text("precious")
    (shared / "review").symlink_to(precious)
    os.lchown(shared / "review", NOBODY, NOBODY)
    return shared / "review", precious


def test_what_another_user_has_laid_is_not_followed(
    user: t.Callable[..., tuple[str, ...]], lab: Lab, play: Play, laid: tuple[Path, Path]
) -> None:
    link, precious = laid
    before = lab.snapshot()
    words = f"{link} belongs to user nobody and lies in a folder where everybody may write"
    key = precious / "region-europe" / "config.yml"
    deployed = play(
        *(DEPLOY, *ONLY),
        dtr_cache_render_to=str(link),
        dtr_cache_source_files=[str(link / "region-europe" / key.name)],
        dtr_cache_blob_ttl="36h",
    )
    assert deployed.code != 0
    assert f"dtr_cache_render_to: {words}" in deployed.output
    assert f"dtr_cache_source_files: {words}" in deployed.output
    assert lab.snapshot() == before
    # An observation does not end at what is wrong with the settings; it does at what it would write.
    observed = play("dtr.cache.status", *ONLY, dtr_cache_status_to=str(link))
    assert observed.code != 0
    assert words in observed.output
    files = [path for path in precious.rglob("*") if path.is_file()]
    assert {path.read_text() for path in files} == {"precious"}
    assert len(files) == 4
