# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content caches of a Swarm, as the result of a module."""

from __future__ import annotations

import importlib.util
import typing as t

from ansible.module_utils.basic import missing_required_lib

from ..common.failure import Failure
from ..swarm.engine import Engine
from ..swarm.live_cache import described_caches
from ..swarm.model import Moment
from .base import Module

# The Swarm's configs are read with it.
HAS_YAML = importlib.util.find_spec("yaml") is not None


def find(engine: Engine, module: Module) -> dict[str, t.Any]:
    """Read the whole Swarm.

    Raises:
        Failure: The Swarm cannot be read, or PyYAML is missing.
    """
    if not HAS_YAML:
        reason = "to read the config.yml of a cache (package python3-yaml on Debian and Ubuntu)"
        raise Failure("MISSING_LIBRARY", missing_required_lib("PyYAML", reason=reason))
    info = engine.require_manager()
    # No stack has an empty name: all services are those of others.
    swarm = engine.read_swarm("")
    moment = Moment({}, engine.all_tasks(), engine.nodes())
    return {
        "changed": False,
        "caches": described_caches(swarm, moment, module.params["stack"]),
        "services": len(swarm.services) + len(swarm.other_services),
        "swarm": str((info["Swarm"].get("Cluster") or {}).get("ID") or ""),
    }
