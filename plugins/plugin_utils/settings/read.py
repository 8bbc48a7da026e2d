# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one reading of the C(dtr_cache_*) variables: from what Ansible has to C(Settings), and all that is wrong.

Nothing is raised for a wrong variable: an operator gets all problems at once.
"""

from __future__ import annotations

import datetime
import difflib
import fnmatch
import typing as t

from ...module_utils.common.failure import Failure
from . import cache, certificate, clients, dtr, run, service, values
from .config import at, backends, given_config, read_config, read_volume
from .model import REGISTRY, Settings
from .reader import PREFIX, ControlNode, Reader
from .service import read_service_extra

# What the playbooks export as statistics, and a workflow gives to its next job as extra variables.
STATISTICS = frozenset(
    PREFIX + name
    for name in (
        "regions",
        "status",
        "assigned",
        "verified",
        "warmed",
        "verdicts",
        "backups",
        "restored",
        "adopted",
        "checked",
    )
)
IGNORED = f"{PREFIX}ignore_variables"


def read_settings(
    variables: t.Mapping[str, t.Any],
    *,
    defaults: t.Mapping[str, t.Any],
    needs: t.Collection[str],
    control_node: ControlNode,
    now: datetime.datetime,
) -> tuple[Settings, list[str]]:
    """Read the variables of one cache.

    Args:
        variables: The C(dtr_cache_*) variables that are given, templated.
        defaults: The whole vocabulary with its defaults, templated.
        needs: The parts of the deployment (C(NEEDS)) that must be complete.
        control_node: Where files are.
        now: The moment for which certificates are judged, with its time zone.

    Returns:
        The settings, of use only when nothing is wrong, and one sentence a problem, in the order of the vocabulary.
    """
    reader = Reader(variables, defaults, control_node)
    _check_names(reader, variables, defaults)
    run.read_hosts(reader)
    run.read_serial(reader)
    product, image = cache.read_software(reader)
    address = cache.read_address(reader, needs)
    connection = dtr.read_connection(reader, needs, now)
    if cache.is_same_server(connection["registry_url"], address):
        reader.problem("host", "is the address of the DTR itself; a cache has a host name or a port of its own")
    presented = certificate.read_certificate(reader, address["host"], needs, now)
    environment = service.read_environment(reader)
    config = read_config(reader, environment, address["metrics_port"])
    given = given_config(**config, environment=environment)
    of_environment = any(name.startswith("REGISTRY_HTTP_TLS_CIPHER") for name in environment)
    giver = "environment" if of_environment else "config_extra"
    certificate.check_cipher_suites(reader, giver, presented["chain"], at(given, ("http", "tls")))
    settings = Settings(
        product=product,
        image=image,
        former_names=cache.read_former_names(reader, address["name"]),
        **address,
        **connection,
        **dtr.read_authority(reader, needs, now),
        **presented,
        **cache.read_configuration(reader, address, presented["private_key"], needs, now),
        **config,
        volume=read_volume(reader, backends(given)),
        service_extra=read_service_extra(reader, given),
        environment=environment,
        **service.read_service(reader, product, needs, address["metrics_port"]),
        **service.read_manager(reader),
        **clients.read_accounts(reader),
        **clients.read_warming(reader),
        **clients.read_clients(reader, connection["registry_url"], needs, now),
        **run.read_run(reader),
        awx=run.read_awx(reader),
    )
    return settings, reader.problems


def read_connection(
    variables: t.Mapping[str, t.Any],
    *,
    defaults: t.Mapping[str, t.Any],
    control_node: ControlNode,
    now: datetime.datetime,
) -> tuple[dict[str, t.Any], list[str]]:
    """The same for what it takes to reach the DTR alone."""
    reader = Reader(variables, defaults, control_node)
    return dtr.read_connection(reader, (REGISTRY,), now), reader.problems


def ignored_names(names: t.Iterable[str], patterns: t.Any) -> set[str]:
    """Those of the names that are the user's own business, or come back from an earlier job.

    Args:
        patterns: C(dtr_cache_ignore_variables), templated. One that is wrong is reported by C(read_settings).
    """
    try:
        listed = values.items(patterns)
    except Failure:
        listed = []
    return {name for name in names if name in STATISTICS or any(fnmatch.fnmatchcase(name, each) for each in listed)}


def _check_names(reader: Reader, variables: t.Mapping[str, t.Any], known: t.Mapping[str, t.Any]) -> None:
    patterns = reader.items("ignore_variables")
    for pattern in patterns:
        if not pattern.startswith(PREFIX):
            reader.problem("ignore_variables", f"{values.quoted(pattern)} does not begin with {PREFIX}")
        elif pattern in known:
            reader.problem("ignore_variables", f"{pattern} is a variable of dtr.cache, which is not ignored")
    unknown = set(variables) - set(known)
    for name in sorted(unknown - ignored_names(unknown, patterns)):
        similar = difflib.get_close_matches(
            name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], n=1
        )
        meant = f"; did you mean {PREFIX}{similar[0]}?" if similar else "."
        reader.problem(name, f"is no variable of dtr.cache{meant} If it is your own, name it in {IGNORED}")
