# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In whose words a task speaks: those of the collection's roles and playbooks, or those of its modules."""

from __future__ import annotations

import os
import typing as t

from ...module_utils.common.vocabulary import ROLES, VARIABLE

COLLECTION = "dtr.cache"


def speak_as_called(task: t.Any) -> None:
    """Let a task of one of the collection's roles, which all its playbooks are made of, speak of variables.

    What runs in this process, which is the task's own, knows it from its environment; a module that is sent gets the
    same by the task's.
    """
    if is_of_collection(task):
        speak_of_variables(task)
    else:
        os.environ.pop(VARIABLE, None)


def is_of_collection(task: t.Any) -> bool:
    """Whether a task stands in one of the collection's roles."""
    role = task._role
    return role is not None and str(role.get_name()).startswith(f"{COLLECTION}.")


def speak_of_variables(task: t.Any) -> None:
    """Let a task speak of variables, whoever calls it."""
    os.environ[VARIABLE] = ROLES
    task.environment = [*(task.environment or []), {VARIABLE: ROLES}]
