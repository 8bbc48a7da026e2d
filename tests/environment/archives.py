# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collections of the image as archives: dtr.cache built from here, the others from the package C(ansible)."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import ansible_collections.community
import yaml

OTHERS = ("docker", "library_inventory_filtering_v1")


def make_all(project: Path, folder: Path) -> list[str]:
    """Make the archives, with C(requirements.yml) as C(ansible-galaxy collection download) does; give their names."""
    folder.mkdir(parents=True, exist_ok=True)
    build = ["ansible-galaxy", "collection", "build", "--force", "--output-path", str(folder), str(project)]
    subprocess.run(build, stdout=subprocess.DEVNULL, check=True)
    for name in OTHERS:
        _pack(Path(ansible_collections.community.__path__[0]) / name, folder)
    names = sorted(path.name for path in folder.glob("*.tar.gz"))
    collections = [{"name": name, "type": "file"} for name in names]
    (folder / "requirements.yml").write_text(yaml.safe_dump({"collections": collections}))
    return names


def _pack(installed: Path, folder: Path) -> None:
    """The archive of a collection that is installed, of which the package has left some files out."""
    manifest = json.loads((installed / "MANIFEST.json").read_text())
    files = json.loads((installed / "FILES.json").read_text())
    files["files"] = [entry for entry in files["files"] if (installed / entry["name"]).exists()]
    listed = json.dumps(files).encode()
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(listed).hexdigest()
    info = manifest["collection_info"]
    with tarfile.open(folder / f"{info['namespace']}-{info['name']}-{info['version']}.tar.gz", "w:gz") as archive:
        for name, content in {"MANIFEST.json": json.dumps(manifest).encode(), "FILES.json": listed}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for item in files["files"]:
            if item["name"] != ".":
                archive.add(installed / item["name"], item["name"], recursive=False)
