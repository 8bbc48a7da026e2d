# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of another user."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

NOBODY = 65534


def given_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let another user have it, or at least let this process think that it is another's. Returns that user's name."""
    if os.geteuid() == 0:
        os.lchown(path, NOBODY, NOBODY)
        return pwd.getpwuid(NOBODY).pw_name
    name = pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    return name
