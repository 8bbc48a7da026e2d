# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables of a host to the settings of its cache, on the control node."""

from __future__ import annotations

import datetime
import functools
import pathlib
import typing as t

import yaml
from ansible.errors import AnsibleError
from ansible.plugins.loader import lookup_loader

from ...module_utils.common.failure import Failure
from ..actions.paths import control_path_of_host
from .settings import PREFIX, Settings, read_settings

_ARGUMENT_SPECS = pathlib.Path(__file__).parents[3] / "roles" / "settings" / "meta" / "argument_specs.yml"


@functools.lru_cache(maxsize=1)
def vocabulary() -> frozenset[str]:
    """The names of all variables, from the one place that declares them."""
    # Ten times as quick as the loader that every PyYAML has.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    specs = yaml.load(_ARGUMENT_SPECS.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 (both are safe ones)
    return frozenset(specs["argument_specs"]["main"]["options"])


def settings_of_host(
    variables: t.Mapping[str, t.Any], templar: t.Any, loader: t.Any, needs: t.Collection[str]
) -> tuple[Settings, list[str]]:
    """The settings of the cache that a host's variables describe, and everything that is wrong with them."""

    def read_file(path: str) -> str:
        # Ansible's own lookup finds what lies beside a role as well, and reads vaulted files without writing them.
        try:
            lookup = lookup_loader.get("ansible.builtin.file", loader=loader, templar=templar)
            return str(lookup.run([control_path_of_host(path, variables)], variables=variables)[0])
        except AnsibleError as error:
            reason = str(getattr(error, "message", "") or error).splitlines()[0].partition(" Use -v")[0]
            raise Failure("UNREADABLE_FILE", reason) from error

    templated = {}
    undefined = []
    for name in sorted(variables):
        if name.startswith(PREFIX):
            try:
                templated[name] = templar.template(variables[name])
            except AnsibleError as error:
                undefined.append(f"{name}: {str(error).splitlines()[0]}")
    settings, problems = read_settings(
        templated,
        known=vocabulary(),
        needs=needs,
        read_file=read_file,
        now=datetime.datetime.now(datetime.timezone.utc),
    )
    return settings, undefined + problems
