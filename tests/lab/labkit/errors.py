# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong in the lab in a way that can be told to a person."""

from __future__ import annotations


class LabError(Exception):
    """A step of the lab failed; the message is one or two sentences for the terminal."""


class NodeEnded(LabError):
    """A node ended while it was waited for."""
