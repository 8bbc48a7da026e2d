# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: status_metrics
short_description: A status report as metrics for Prometheus
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Gives the text format of Prometheus, for the textfile collector of its node exporter.
  - Each cache has the labels C(region), C(cache) and C(registry). What is not known has no sample.
  - The alert rules in C(docs/alerts.yml) use these metrics.
positional: time, registries
options:
  _input:
    description: RV(dtr.cache.fleet_info#module:regions), or C(regions) of RV(dtr.cache.report#module:report).
    type: list
    elements: dict
    required: true
  time:
    description: When the fleet was observed, in ISO 8601 (without an offset it is UTC) or in seconds since 1970.
    type: raw
    required: true
  registries:
    description: RV(dtr.cache.fleet_info#module:registries), or C(registries) of RV(dtr.cache.report#module:report).
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Write the metrics
  ansible.builtin.copy:
    content: "{{ status.report.regions | dtr.cache.status_metrics(status.report.time, status.report.registries) }}"
    dest: /var/lib/prometheus/node-exporter/dtr_cache.prom
    mode: "0644"
  # The result of dtr.cache.report of a status, which is of all hosts of the play.
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The metrics.
  type: str
  sample: "dtr_cache_healthy{region=\"region-asia\"} 1"
"""

import typing as t


def status_metrics(rows: t.Any, time: t.Any, registries: t.Any = ()) -> str:
    """The text of the metrics."""
    # Loaded where it is used: Ansible loads all filters of a collection together.
    from ..plugin_utils.fleet.metrics import render_metrics
    from ..plugin_utils.fleet.status import read_fleet, read_registries, read_time

    moment = read_time(time)
    return render_metrics(read_fleet(rows, moment), read_registries(registries), moment)


class FilterModule:
    """Filters of the collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Names and functions."""
        return {"status_metrics": status_metrics}
