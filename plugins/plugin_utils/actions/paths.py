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


def vanishes_with_job(path: str, environment: t.Mapping[str, str]) -> bool:
    """Whether a file at a path is lost when this job of AWX or Controller ends.

    That is so in the job's folder, and in a container for all that is not mounted into it.
    """
    if not environment.get("JOB_ID") or not environment.get("AWX_PRIVATE_DATA_DIR"):
        return False
    place, artifacts = os.path.realpath(path), environment.get("AWX_ISOLATED_DATA_DIR", "")
    folders = [environment["AWX_PRIVATE_DATA_DIR"], os.path.dirname(os.path.dirname(artifacts))]
    inside = [
        folder for folder in map(os.path.realpath, filter(None, folders)) if place.startswith(f"{folder}{os.sep}")
    ]
    return bool(inside) or (artifacts.startswith("/runner/") and _mount_of(place) == "/")


def _mount_of(path: str) -> str:
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def not_kept(path: str) -> str:
    """Return what to say of a variable whose file would be lost with the job."""
    return (
        f"{path} would be lost when this job ends, as AWX removes the job's own files. Name a path below a folder that "
        "is mounted into the container of each job: in AWX, Settings, Jobs, Paths to expose to isolated jobs; on "
        "Kubernetes, a volume in the pod specification of the container group"
    )


def control_path_of_host(path: str, variables: t.Mapping[str, t.Any]) -> str:
    """The same for a host's variables: beside its inventory, then beside the playbook."""
    return control_path(path, variables.get("inventory_dir"), variables.get("playbook_dir"))
