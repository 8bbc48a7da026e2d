# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images for pulls: made here from nothing, always the same, and pushed as a user does."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import platform
import random
import shutil
import tarfile
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import certificates, registry
from .commands import run
from .errors import LabError
from .files import write_file
from .folders import Folders
from .topology import REGISTRY

NAMES = ["engineering/app:1.0", "engineering/app:2.0", "engineering/multi:1.0"]
KIBIBYTE = 1024
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

# Docker's own media types: DTR 2.7 knows no others.
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True)
class Blob:
    """Content under its digest.

    Attributes:
        diff_id: Of a layer: the digest of the archive before it was compressed.
    """

    content: bytes
    media_type: str
    diff_id: str = ""

    @property
    def digest(self) -> str:
        return digest(self.content)

    def descriptor(self) -> dict[str, t.Any]:
        return {"mediaType": self.media_type, "size": len(self.content), "digest": self.digest}


@dataclass(frozen=True)
class Image:
    """An image for one platform, or (without blobs of its own) a list of such images.

    Attributes:
        manifest: The exact text that the registry is to serve.
        blobs: Its configuration and layers.
        platforms: The images that it lists.
    """

    manifest: bytes
    blobs: tuple[Blob, ...] = ()
    platforms: tuple[Image, ...] = ()


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def all_images() -> dict[str, Image]:
    """The lab's images by name and tag, about 12 MB in all; the two versions of the application share three layers."""
    here = _architecture()
    shell = _shell_layer()
    shared = [shell, _random_layer("runtime", 4096), _random_layer("libraries", 2048)]
    listed = {
        here: _image(here, [shell, _random_layer(f"multi-{here}", 768)]),
        # Nothing runs it here: it is there to be asked for.
        **{other: _foreign_image(other) for other in sorted(set(ARCHITECTURES.values()) - {here})},
    }
    contents = (
        _image(here, [*shared, _random_layer("app-1.0", 1536), _release_layer("1.0")]),
        _image(here, [*shared, _random_layer("app-2.0", 1536), _release_layer("2.0")]),
        _image_list(listed),
    )
    return dict(zip(NAMES, contents, strict=True))


def push_all(folders: Folders) -> bool:
    """Push what the registry does not have. Returns whether something was pushed.

    The manifests' digests of the last push are noted down, so that an image does not have to be made to look for it.
    """
    noted = folders.image / "test-images.json"
    with _scratch(folders) as scratch:
        client = _Client(folders, scratch)
        wanted = _read_digests(noted)
        with ThreadPoolExecutor() as pool:
            if wanted and all(pool.map(lambda name: client.digest_of(name) == wanted[name], wanted)):
                return False
            images = all_images()
            # One repository's images one after the other: the registry answers 500 for a layer whose link in the
            # repository is being written by another push.
            list(pool.map(client.push_each, _by_repository(images)))
    write_file(noted, json.dumps({name: digest(image.manifest) for name, image in images.items()}, indent=2) + "\n")
    return True


def _by_repository(images: Mapping[str, Image]) -> list[dict[str, Image]]:
    grouped: dict[str, dict[str, Image]] = {}
    for name, image in images.items():
        grouped.setdefault(name.partition(":")[0], {})[name] = image
    return list(grouped.values())


def push(folders: Folders, wanted: Mapping[str, Image]) -> None:
    """Push images of one's own under their names and tags."""
    with _scratch(folders) as scratch:
        client = _Client(folders, scratch)
        client.push_each(wanted)


@contextmanager
def _scratch(folders: Folders) -> Iterator[Path]:
    """An empty folder that is gone afterwards; what a killed run left in it is removed first."""
    forget_scratch(folders)
    folders.scratch.mkdir(mode=0o700)
    try:
        yield folders.scratch
    finally:
        forget_scratch(folders)


def forget_scratch(folders: Folders) -> None:
    """Remove what a killed run left behind."""
    shutil.rmtree(folders.scratch, ignore_errors=True)


def _read_digests(noted: Path) -> dict[str, str]:
    try:
        return t.cast("dict[str, str]", json.loads(noted.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


class _Client:
    """skopeo as the registry's administrator; its credentials lie in a scratch folder only."""

    def __init__(self, folders: Folders, scratch: Path) -> None:
        self._scratch = scratch
        self._credentials = scratch / "auth.json"
        login = base64.b64encode(f"{registry.ADMIN}:{registry.password(folders)}".encode()).decode()
        write_file(self._credentials, json.dumps({"auths": {REGISTRY.host_name: {"auth": login}}}), 0o600)
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "SSL_CERT_FILE": str(certificates.dtr_ca(folders)),
        }

    def _skopeo(self, command: str, *arguments: str, check: bool = True) -> str:
        result = run(
            ["skopeo", "--insecure-policy", command, "--authfile", str(self._credentials), *arguments],
            check=check,
            environment=self._environment,
        )
        return result.stdout if result.returncode == 0 else ""

    def digest_of(self, name: str) -> str:
        """The digest that the registry has under a name; of nothing if it does not have the name."""
        return digest(self._skopeo("inspect", "--raw", _reference(name), check=False).encode())

    def push(self, name: str, image: Image) -> None:
        folder = self._scratch / name.replace("/", "_")
        write_folder(folder, image)
        self._skopeo("copy", "--quiet", "--all", "--preserve-digests", f"dir:{folder}", _reference(name))

    def push_each(self, images: Mapping[str, Image]) -> None:
        for name, image in images.items():
            self.push(name, image)


def _reference(name: str) -> str:
    return f"docker://{REGISTRY.host_name}/{name}"


def write_folder(folder: Path, image: Image) -> None:
    """Lay an image out as skopeo's C(dir:) form: the manifest, and beside it everything by its digest."""
    folder.mkdir()
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    (folder / "manifest.json").write_bytes(image.manifest)
    for part in (image, *image.platforms):
        if part is not image:
            (folder / f"{_hex(digest(part.manifest))}.manifest.json").write_bytes(part.manifest)
        for blob in part.blobs:
            (folder / _hex(blob.digest)).write_bytes(blob.content)


def _hex(name: str) -> str:
    return name.removeprefix("sha256:")


def _architecture() -> str:
    """The machine's, as images name it."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def _json(value: object) -> bytes:
    return json.dumps(value, indent=3).encode()


def _image(architecture: str, layers: Sequence[Blob]) -> Image:
    config = Blob(
        _json(
            {
                "architecture": architecture,
                "os": "linux",
                "created": "2020-01-01T00:00:00Z",
                "config": {
                    "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                    "Cmd": ["cat", "/etc/release"],
                },
                "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            }
        ),
        CONFIG,
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
    }
    return Image(_json(manifest), (config, *layers))


def _foreign_image(architecture: str) -> Image:
    return _image(architecture, [_random_layer(f"multi-{architecture}", 768), _release_layer(f"1.0 {architecture}")])


def _image_list(images: Mapping[str, Image]) -> Image:
    manifests = [
        {
            "mediaType": MANIFEST,
            "size": len(image.manifest),
            "digest": digest(image.manifest),
            "platform": {"architecture": architecture, "os": "linux"},
        }
        for architecture, image in images.items()
    ]
    content = {"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": manifests}
    return Image(_json(content), platforms=tuple(images.values()))


def _layer(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> Blob:
    """A layer with these files, all executable, and symbolic links; it carries no time and no owner but root."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o755, len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    plain = stream.getvalue()
    return Blob(gzip.compress(plain, compresslevel=1, mtime=0), LAYER, diff_id=digest(plain))


def _shell_layer() -> Blob:
    """A statically linked shell with a few commands, so that a container of the image runs."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise LabError("busybox is not installed")
    commands = {f"bin/{name}": "busybox" for name in ("sh", "cat", "ls", "sleep", "sha256sum")}
    return _layer({"bin/busybox": Path(busybox).read_bytes()}, commands)


def _random_layer(name: str, kibibytes: int) -> Blob:
    """A layer that does not compress, the same for the same name."""
    content = random.Random(name).randbytes(kibibytes * KIBIBYTE)
    return _layer({f"opt/{name}.bin": content})


def _release_layer(version: str) -> Blob:
    return _layer({"etc/release": f"engineering {version}\n".encode()})
