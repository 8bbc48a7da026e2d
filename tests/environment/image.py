# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment of C(docs/examples/execution-environment), built as its guide says it is built offline.

The definition is the one that users have; its base image is made here, by debootstrap, under the name that the
definition gives. C(python -m environment.image FOLDER), in C(tests), builds it into an Engine that keeps it in FOLDER.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import yaml

from . import archives
from .engine import Engine, running

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = PROJECT / "docs" / "examples" / "execution-environment"
GUIDE = PROJECT / "docs" / "guides" / "execution-environment.md"
DEFINITION = "execution-environment.yml"
TAG = "dtr-cache-ee"
OWN_AUTHORITIES = Path("/usr/local/share/ca-certificates")


def definition() -> dict[str, t.Any]:
    content: dict[str, t.Any] = yaml.safe_load((EXAMPLE / DEFINITION).read_text())
    return content


def offline() -> dict[str, t.Any]:
    """The definition with what the guide changes of it where collections are archives."""
    found = re.search(r"^## Offline$.*?^```yaml$(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{GUIDE} has no definition for an offline build"
    content = definition()
    for name, value in yaml.safe_load(found[1]).items():
        content[name] = {**content[name], **value} if isinstance(value, dict) and name in content else value
    return content


def write(folder: Path) -> None:
    """The example's folder as the guide leaves it for an offline build."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    archives.make_all(PROJECT, folder / "collections")
    (folder / DEFINITION).write_text(yaml.safe_dump(offline(), sort_keys=False))


def make_base(engine: Engine, name: str) -> None:
    """A minimal Debian from its mirror, with the authorities that this machine has beside Debian's own."""
    suite = name.rpartition(":")[2].removesuffix("-slim")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, str(root)]
        subprocess.run(made, stdout=subprocess.DEVNULL, check=True)
        for certificate in OWN_AUTHORITIES.glob("*.crt"):
            shutil.copy(certificate, root / OWN_AUTHORITIES.relative_to("/"))
        subprocess.run(["chroot", str(root), "update-ca-certificates"], stdout=subprocess.DEVNULL, check=True)
        packed = subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["docker", "import", "-", name], stdin=packed.stdout, env=engine.environment, check=True)
        assert packed.wait() == 0


def build(engine: Engine) -> None:
    """Build the image; the output of the build is shown."""
    base = definition()["images"]["base_image"]["name"]
    if not engine.docker("image", "ls", "--quiet", base):
        make_base(engine, base)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        command = ["ansible-builder", "build", "--tag", TAG, "--container-runtime", "docker", "--verbosity", "2"]
        command += ["--extra-build-cli-args=--network=host"]
        subprocess.run(command, cwd=folder, env=engine.environment, check=True)


if __name__ == "__main__":
    with running(Path(sys.argv[1])) as started:
        build(started)
        print(started.docker("image", "inspect", TAG, "--format", "{{.Size}} bytes"))
