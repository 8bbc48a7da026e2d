# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the paths of variables lead on the control node. A playbook run by its name has no folder of the user's."""

from __future__ import annotations

import os
import typing as t


def control_path(path: str, *folders: str | None) -> str:
    """A path as an absolute one.

    Args:
        path: As the user wrote it. A relative one is searched in the working directory first.
        folders: Where it is searched next, such as the inventory's folder; None for one that is not known.

    Returns:
        Where it is there already, or else its place in the working directory.
    """
    given = os.path.expanduser(path)
    places = [os.path.abspath(given), *(os.path.join(folder, given) for folder in folders if folder)]
    return next((place for place in places if os.path.exists(place)), places[0])


def control_path_of_host(path: str, variables: t.Mapping[str, t.Any]) -> str:
    """The same for a host's variables: beside its inventory, then beside the playbook."""
    return control_path(path, variables.get("inventory_dir"), variables.get("playbook_dir"))
