# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands against a deployment, all of it in one failure, wherever it is found before anything is changed."""

from __future__ import annotations

import typing as t

from ...module_utils.common.failure import Failure
from .reasons import out_of_reach


def problems_as_result(cache: str, problems: t.Sequence[str], *, installed: bool = False) -> dict[str, t.Any]:
    """A failed result that lists the problems.

    Args:
        installed: Whether packages were installed on the manager before the last of them was found.
    """
    done = "nothing but the packages on the manager has" if installed else "nothing has"
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    failure = Failure("INVALID_SETTINGS", f"The settings of {cache} have {count}; {done} been changed.")
    listed = "".join(f"\n  - {problem}" for problem in problems)
    return {**failure.as_result(), "msg": failure.message + listed, "failed": True}


def manager_out_of_reach(variables: t.Mapping[str, t.Any], error: Exception) -> str:
    """A problem among others: an unreachable host would skip the clean-up and drop out of the summary."""
    message = out_of_reach(variables["inventory_hostname"], error).message
    return f"{message[0].lower()}{message[1:-1]}"


def manager_silent(variables: t.Mapping[str, t.Any], seconds: int) -> str:
    """The same of one that was reached and says nothing."""
    return f"the manager {variables['inventory_hostname']} did not answer within {seconds} seconds"
