# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the vendor's documents call things in each line of products."""

from __future__ import annotations

import typing as t


class Product(t.NamedTuple):
    """The names of one line of products."""

    image: str
    version: str
    node_label: str
    ca_secret: str
    stack_name: str


PRODUCTS = {
    "dtr": Product("docker/dtr-content-cache", "2.7.6", "dtr.cache", "dtr.cert.pem", "dtr-cache"),
    "msr2": Product("mirantis/dtr-content-cache", "2.8.2", "dtr.cache", "dtr.cert.pem", "dtr-cache"),
    "msr3": Product("registry.mirantis.com/msr/msr-content-cache", "3.0.7", "msr.cache", "msr.cert.pem", "msr-cache"),
}
