# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in of Docker Trusted Registry 2.7: the documented API in front of a real Docker registry.

What the documents leave open can be switched while it runs (`behaviours`), and it misbehaves on request (`faults`);
both through the interface that `control` describes. `../__main__.py` starts it.
"""
