# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a file as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile


def write_whole(path: str, text: str, mode: int = 0o600) -> None:
    """Write a file of this text and mode. Until it is complete, the one that was there before stays.

    Raises:
        OSError: It cannot be written, and nothing of it is left.
    """
    descriptor, name = tempfile.mkstemp(prefix=".dtr-cache-", dir=os.path.dirname(os.path.abspath(path)))
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
