# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the files of a service, as they are and as they are wanted, fit to be shown. Pure functions.

Docker gives the content of a config, but not of a secret. What everybody may know of a secret is in its labels, where
role config_secrets made it.
"""

from __future__ import annotations

import base64
import binascii
import json
import posixpath
import typing as t

from ..common.redaction import comparable, redacted
from .described_caches import config_file
from .model import Raw, Swarm
from .objects import CERTIFICATES_LABEL, CONFIG_FILE, CONTENT_LABEL
from .views import files

yaml: t.Any
try:
    import yaml
except ImportError:  # only what is shown needs it
    yaml = None

UNKNOWN = "not known: Docker does not give the content of a secret\n"
UNREADABLE = "not shown: this is no YAML\n"
WITHOUT_YAML = "not shown: Python on this manager has no PyYAML\n"
SAME = "# What differs is secret.\n"
_CERTIFICATE = ("subject", "issuer", "not_before", "not_after", "fingerprint")


class WantedObject(t.NamedTuple):
    """A config or secret of a deployment; C(data) only where it is to be compared."""

    labels: t.Mapping[str, str]
    data: str | None = None


class FileDiff(t.NamedTuple):
    """A file of a service whose content changes; a name is empty where there is no such file."""

    file: str
    before_name: str
    after_name: str
    before: str
    after: str


def file_diffs(
    swarm: Swarm, definition: t.Mapping[str, t.Any], objects: t.Mapping[str, WantedObject]
) -> list[FileDiff]:
    """The files of a stack's services that are to have another content, as far as something can be shown of them.

    Args:
        swarm: What there is.
        definition: The stack's definition.
        objects: The wanted configs and secrets, by name.
    """
    found = []
    for name, service in (definition.get("services") or {}).items():
        live = swarm.services.get(name)
        before = _live_names(live["Spec"]) if live else {}
        for file, after_name in sorted(_wanted_names(service, definition).items()):
            before_name = before.get(file, "")
            if live and file == CONFIG_FILE and not before_name:
                # By hand it may be called anything.
                before_name = config_file(live, swarm).name
            wanted = objects.get(after_name)
            if wanted and before_name != after_name:
                texts = _texts(file, _object(swarm, before_name), wanted)
                found += [FileDiff(file, before_name, after_name, *texts)] if texts else []
    return found


def _wanted_names(service: Raw, definition: Raw) -> dict[str, str]:
    kinds = (files(service, definition, kind) for kind in ("configs", "secrets"))
    return {posixpath.basename(place): name for kind in kinds for place, name in kind.items()}


def _live_names(spec: Raw) -> dict[str, str]:
    container = spec["TaskTemplate"]["ContainerSpec"]
    names = {}
    for kind, name in (("Configs", "ConfigName"), ("Secrets", "SecretName")):
        for item in container.get(kind) or []:
            names[posixpath.basename((item.get("File") or {}).get("Name") or "")] = item[name]
    return names


def _object(swarm: Swarm, name: str) -> Raw | None:
    return swarm.configs.get(name) or swarm.secrets.get(name)


def _texts(file: str, live: Raw | None, wanted: WantedObject) -> tuple[str, str] | None:
    if CERTIFICATES_LABEL in wanted.labels:
        return _certificates_before(live), _certificates(wanted.labels)
    if file == CONFIG_FILE and wanted.data is not None:
        return _config_texts(live, wanted.data)
    return None


def _certificates_before(live: Raw | None) -> str:
    if live is None:
        return ""
    return _certificates(live["Spec"].get("Labels") or {}) or UNKNOWN


def _certificates(labels: t.Mapping[str, str]) -> str:
    """What certificates say, one line a fact; empty where the labels do not hold it."""
    try:
        described = json.loads(labels.get(CERTIFICATES_LABEL, "[]"))
        certificates = [[(name, redacted(str(each[name]))) for name in _CERTIFICATE] for each in described]
    except (ValueError, TypeError, KeyError):
        return ""
    return "\n".join("".join(f"{name}: {value}\n" for name, value in each) for each in certificates)


def _config_texts(live: Raw | None, wanted_text: str) -> tuple[str, str]:
    if yaml is None:
        return WITHOUT_YAML, ""
    wanted = _parsed(wanted_text)
    if live is None:
        return "", _dumped(comparable(wanted))
    labels = live["Spec"].get("Labels") or {}
    if live["Spec"].get("Data"):
        text = _decoded(live["Spec"]["Data"])
    elif CONTENT_LABEL in labels:
        # Its credentials are no longer there, so there is nothing to compare those that are wanted with.
        before, after = comparable(_parsed(labels[CONTENT_LABEL])), comparable(wanted)
        return _pair(before, after)
    else:
        return UNKNOWN, _dumped(comparable(wanted))
    current = _parsed(text)
    if not isinstance(current, dict):
        return UNREADABLE, _dumped(comparable(wanted))
    return _pair(comparable(current), comparable(wanted, current))


def _pair(before: t.Any, after: t.Any) -> tuple[str, str]:
    texts = _dumped(_in_order_of(after, before)), _dumped(after)
    return texts if texts[0] != texts[1] else (texts[0], texts[1] + SAME)


def _in_order_of(model: t.Any, value: t.Any) -> t.Any:
    """The value with its keys in the order of the model's, so that only differences differ."""
    if not isinstance(model, dict) or not isinstance(value, dict):
        return value
    order = [*(key for key in model if key in value), *(key for key in value if key not in model)]
    return {key: _in_order_of(model.get(key), value[key]) for key in order}


def _parsed(text: str) -> t.Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _dumped(value: t.Any) -> str:
    return str(yaml.safe_dump(value, sort_keys=False, default_flow_style=False, width=160))
