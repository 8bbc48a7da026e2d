# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trust edges, by the names that results show: who has to trust whom."""

from __future__ import annotations

CLIENT_TO_CACHE = "client->cache"
CACHE_TO_DTR = "cache->DTR"
CLIENT_TO_DTR = "client->DTR"
DTR_TO_CACHE = "DTR->cache"

EDGES = (CLIENT_TO_CACHE, CACHE_TO_DTR, CLIENT_TO_DTR, DTR_TO_CACHE)
"""In the order in which reports show them."""

MEASURED = (CLIENT_TO_CACHE, CACHE_TO_DTR, CLIENT_TO_DTR)
"""Those of which the time of an answer can be known."""
