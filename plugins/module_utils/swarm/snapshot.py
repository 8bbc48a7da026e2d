# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a Swarm as it is at one moment."""

from __future__ import annotations

import typing as t

from .engine import Engine
from .model import of_stack

Answer = t.TypeVar("Answer")


class Snapshot(Engine):
    """An Engine as it is at one moment: whoever asks the same again gets the same."""

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        super().__init__(params)
        self._known: dict[tuple[str, ...], t.Any] = {}

    def _once(self, read: t.Callable[..., Answer], *arguments: str) -> Answer:
        key = (read.__name__, *arguments)
        if key not in self._known:
            self._known[key] = read(*arguments)
        return t.cast(Answer, self._known[key])

    def require_manager(self) -> dict[str, t.Any]:
        """See C(Engine)."""
        return self._once(super().require_manager)

    def nodes(self) -> dict[str, dict[str, t.Any]]:
        """See C(Engine)."""
        return self._once(super().nodes)

    def configs(self) -> dict[str, dict[str, t.Any]]:
        """See C(Engine)."""
        return self._once(super().configs)

    def secrets(self) -> dict[str, dict[str, t.Any]]:
        """See C(Engine)."""
        return self._once(super().secrets)

    def networks(self) -> list[dict[str, t.Any]]:
        """See C(Engine)."""
        return self._once(super().networks)

    def all_services(self) -> list[dict[str, t.Any]]:
        """See C(Engine)."""
        return self._once(super().all_services)

    def tasks_of(self, stack: str) -> list[dict[str, t.Any]]:
        """See C(Engine)."""
        return self._once(super().tasks_of, stack)

    def tasks_of_stacks(self) -> list[dict[str, t.Any]]:
        """See C(Engine)."""
        return self._once(super().tasks_of_stacks)

    def services_of(self, stack: str) -> dict[str, dict[str, t.Any]]:
        """See C(Engine)."""
        return of_stack(self.all_services(), stack)


class SnapshotOfStacks(Snapshot):
    """For whoever looks at several stacks: the tasks of all of them come by one request."""

    def tasks_of(self, stack: str) -> list[dict[str, t.Any]]:
        """See C(Engine)."""
        services = {service["ID"] for service in self.services_of(stack).values()}
        return [task for task in self.tasks_of_stacks() if task["ServiceID"] in services]
