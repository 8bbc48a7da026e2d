# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: connection
short_description: How DTR is reached, as the host's variables say
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Gives the connection options of the modules of group C(dtr.cache.dtr) from the C(dtr_cache_registry_*) variables,
    read as the roles read them. The password is among them, so use the result only for C(module_defaults) or for
    options that Ansible never shows.
options:
  ca:
    description: The CA of DTR in PEM. Without one, the system's CAs are trusted.
    type: str
"""

EXAMPLES = r"""
- name: Read which caches are registered
  dtr.cache.content_caches_info:
  module_defaults:
    group/dtr.cache.dtr: "{{ lookup('dtr.cache.connection', ca=lookup('ansible.builtin.file', 'dtr-ca.pem')) }}"
"""

RETURN = r"""
_raw:
  description: One dictionary of options, such as C(url), C(username), C(password) and C(validate_certs).
  type: list
  elements: dict
  sample: [{url: "https://dtr.example.org", username: admin, validate_certs: true}]
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils.common.failure import Failure
from ..plugin_utils.settings.variables import dtr_connection


class LookupModule(LookupBase):
    """Read the connection."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[t.Any]:  # noqa: ARG002 (Ansible's)
        """See the documentation above."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            options = dtr_connection(variables, self._templar, self._loader)
        except Failure as failure:
            raise AnsibleLookupError(failure.message) from failure
        authority = self.get_option("ca")
        return [{**options, "ca_certificate": authority} if authority else options]
