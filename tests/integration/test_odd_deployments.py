# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Odd inputs that the settings accept, deployed for real: the cache serves afterwards, or nothing was touched.

What is accepted stands in the unit tests, in C(test_odd_inputs.py). Here it is put together, so that a deployment tries
many forms at once. With C(DTR_CACHE_ODD=all), which takes some minutes, all of them are tried.
"""

from __future__ import annotations

import collections
import itertools
import os
import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.tests.unit.plugins.plugin_utils.settings.test_odd_inputs import ODD
from ansible_collections.dtr.cache.tests.unit.plugins.plugin_utils.settings.test_pem_forms import READ

from .conftest import Lab, Play, Run

DEPLOY = "dtr.cache.deploy"
REGION = "region-europe"
ONLY = ("--limit", REGION)
NODE = "europe-1"
CACHE_IMAGE = "docker/dtr-content-cache:2.7.4"
HERE = {"ansible_connection": "local"}

# Of these the table names servers, nodes and paths that the lab does not have; these are the same forms with its own.
OWN: dict[str, list[t.Any]] = {
    "host": ["CACHE-EUROPE.lab.test", " cache-europe.lab.test.\n"],
    "registry_url": [" HTTPS://dtr.lab.test/ ", "https://dtr.lab.test:0443"],
    "nodes": [f" {NODE} ,,\n", f'["{NODE}"]'],
    "upstreams": [[], "https://dtr.lab.test,\n\n"],
    "assignments": [{"accounts": "bob,carol", "everyone": " No "}, '{"accounts": ["bob"]}'],
    "volume": [{}, "/srv/../run/odd/", {"driver_opts": {}}],
}
# Another DTR's credentials and CA, and what no deployment reads.
NOT_DEPLOYED = (
    *("registry_username", "registry_password", "registry_ca", "verify_image"),
    *("allowed_networks", "client_registries", "replicas"),
)
# A quota is a matter of the node's file system, and the layers of a redirected storage lie somewhere else.
ELSEWHERE: list[dict[str, t.Any]] = [
    {"volume": {"driver_opts": {"size": "10G"}}},
    {
        "config_extra": {
            "middleware": {"storage": [{"name": "redirect", "options": {"baseurl": "https://cdn.example.org"}}]}
        }
    },
]


def merged(into: dict[str, t.Any], more: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(into.get(key), dict)
        into[key] = merged(into[key], value) if both else into.get(key, value) if value is None else value
    return into


def forms() -> dict[str, list[t.Any]]:
    """The values of each variable, those of configuration and environment put into one."""
    found: dict[str, list[t.Any]] = collections.defaultdict(list)
    together: dict[str, dict[str, t.Any]] = {"config_extra": {}, "environment": {}}
    for given, _meant in ODD:
        ((name, value), *_more) = given.items()
        if given in ELSEWHERE or name in (*OWN, *NOT_DEPLOYED, "product"):
            continue
        if name in together and isinstance(value, dict):
            merged(together[name], value)
        elif name == "ignore_variables":
            found["ignore_variables"].append(value)
            found["a_b"].append({"x": 1})
        elif name != "image" or "@" not in value:
            found[name].append(value)
    for name, value in together.items():
        found[name].insert(0, value)
    return {**found, **OWN}


def rounds() -> list[dict[str, t.Any]]:
    """Each with one value of each variable that has any left."""
    found = forms()
    images = [*found.pop("image"), *(f"docker/dtr-content-cache:{version}" for version in found.pop("version"))]
    # The newest value of each variable that the others have to do with stays.
    values = itertools.zip_longest(images, *found.values())
    return [{name: value for name, value in zip(["image", *found], each) if value is not None} for each in values]


ALL = rounds()
NAMES = {REGION, *(str(form["name"]).strip() for form in ALL if "name" in form)}
EVERYTHING = os.environ.get("DTR_CACHE_ODD") == "all"
TRIED = ALL if EVERYTHING else ALL[:2]


@pytest.fixture(scope="module")
def deployed(lab: Lab, play: Play) -> Iterator[Lab]:
    lab.clean()
    lab.inside(NODE, "mkdir", "-p", "/run/odd")
    run = play(DEPLOY, *ONLY)
    assert run.code == 0, run.output
    yield lab
    lab.clean()
    lab.wait_until_gone(str(ALL[0]["stack_name"]), NODE, [NODE])
    # Containers that have ended keep their volumes.
    lab.inside(NODE, "docker", "container", "prune", "--force")
    lab.inside(NODE, "docker", "volume", "prune", "--all", "--force")
    for form in ALL:
        lab.inside(NODE, "sh", "-c", f"docker image rm {form.get('image', 'none')} >/dev/null 2>&1 || true")


def deploy(lab: Lab, play: Play, form: t.Mapping[str, t.Any]) -> Run:
    if "image" in form:
        lab.inside(NODE, "docker", "tag", CACHE_IMAGE, form["image"])
    certificates = Path(lab.status["registry"]["ca_path"]).parent
    own = {"certificate": "cert", "private_key": "key"}
    paths = {name: str(certificates / f"cache-europe.lab.test.{kind}.pem") for name, kind in own.items()}
    # Each form is the same cache under a name of its own.
    formers = {"former_names": sorted(NAMES - {str(form.get("name", REGION)).strip()})}
    return play(DEPLOY, *ONLY, **{f"dtr_cache_{name}": value for name, value in {**paths, **formers, **form}.items()})


@pytest.mark.parametrize("form", TRIED, ids=[str(number) for number in range(len(TRIED))])
def test_what_is_accepted_serves(form: dict[str, t.Any], deployed: Lab, play: Play) -> None:
    before = deployed.snapshot()
    run = deploy(deployed, play, form)
    if run.code:
        assert "nothing has been changed" in run.output, f"{form}\n{run.output}"
        assert deployed.snapshot() == before
        pytest.fail(f"refused although it was accepted: {form} {run.output}")
    # A pull through the cache has proved it.
    assert "Put the cache in use" in run.output and " 9.0 MB in " in run.output, run.output


# By form of the table in C(test_pem_forms.py), each put into another variable.
PEM_FORMS = (
    "blanks in the place of line breaks",
    "backslash and n",
    "X509 CERTIFICATE",
    "all on one line with comments",
    "one line",
    "tabs in the place of line breaks",
    "TRUSTED CERTIFICATE",
)


def test_pem_in_any_form_serves(deployed: Lab, play: Play) -> None:
    certificates = Path(deployed.status["registry"]["ca_path"]).parent
    files = {
        "certificate": certificates / "cache-europe.lab.test.cert.pem",
        "private_key": certificates / "cache-europe.lab.test.key.pem",
        "ca_certificate": Path(deployed.status["certificates"]["ca"]),
        "registry_ca": Path(deployed.status["registry"]["ca_path"]),
    }
    texts = {name: path.read_text() for name, path in files.items()}
    deployed.clean()
    for number, _form in enumerate(PEM_FORMS):
        # More than one block has no form of one block.
        chosen = {name: READ[PEM_FORMS[(number + place) % len(PEM_FORMS)]] for place, name in enumerate(texts)}
        given: dict[str, t.Any] = {
            name: "".join(
                chosen[name](block) for block in re.findall(r"-----BEGIN.*?-----END [A-Z ]+-----\n", text, re.DOTALL)
            )
            for name, text in texts.items()
        }
        run = play(DEPLOY, *ONLY, **{f"dtr_cache_{name}": value for name, value in given.items()})
        assert run.code == 0, run.output
        assert " 9.0 MB in " in run.output, run.output
        # The first deployment has put the certificate in use, and each other form is the same.
        assert ("changed=0" in run.output) is (number > 0), run.output
