# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: two regions of real Docker Swarm nodes, a registry and a client, each in namespaces of one machine."""
