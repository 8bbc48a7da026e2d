# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment
short_description: The stack of a cache, its configs and its secrets, as the host's variables describe them
version_added: 1.0.0
author: Contributors to the dtr.cache project (@dtr-cache)
description:
  - Without a term, gives the names of the Docker configs and secrets of a cache and the definition of its stack, which
    hold no secret. The preflight refuses credentials in what becomes part of the definition, such as
    C(dtr_cache_environment).
  - With the name of a file as the term, gives the content of that file as the container sees it. It can be a secret,
    so hand it only to an option that Ansible never shows.
options:
  _terms:
    description: None, or files of the deployment such as V(config.yml) or V(cache.key.pem).
    type: list
    elements: str
  registry_ca:
    description: The CA of the DTR in PEM, where the cache needs it and the variables do not hold it.
    type: str
  image:
    description: The cache's image, where the variables leave its version to the DTR, which is not asked here.
    type: str
"""

EXAMPLES = r"""
- name: Show the definition of the stack
  ansible.builtin.debug:
    msg: "{{ lookup('dtr.cache.deployment', registry_ca=fetched.pem).definition }}"
"""

RETURN = r"""
_raw:
  description:
    - Without a term, one dictionary with C(configs) and C(secrets) (lists of C(name), C(file) and C(labels)),
      C(definition), C(compose) (the same as M(community.docker.docker_stack) has to get it, so that Docker reads each
      text as it is), and C(review) (the texts of the documented file tree by path).
    - With terms, their contents.
  type: list
  elements: raw
  sample: [{configs: [], secrets: [], definition: {version: "3.3"}, compose: {version: "3.3"}, review: {}}]
"""

import dataclasses
import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..plugin_utils.deployment.definition import describe_deployment, files_for_review, swarm_objects
from ..plugin_utils.settings.variables import read_host


class LookupModule(LookupBase):
    """Work out a deployment."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[t.Any]:
        """See the documentation above."""
        self.set_options(var_options=variables, direct=kwargs)
        settings, problems, _fingerprint = read_host(variables, self._templar, self._loader, needs=())
        if problems:
            raise AnsibleLookupError("The cache's settings are not sound: " + "; ".join(problems))
        registry_ca = self.get_option("registry_ca")
        settings = dataclasses.replace(settings, image=settings.image or self.get_option("image") or "")
        objects = swarm_objects(settings, registry_ca)
        if not terms:
            if not settings.image:
                raise AnsibleLookupError(
                    "The variables leave the version of the cache to the DTR, which is not asked here; set "
                    "dtr_cache_version, or give the option image."
                )
            return [{**describe_deployment(settings, registry_ca), "review": files_for_review(settings, objects)}]
        contents = {item.file: item.data for item in objects}
        unknown = [term for term in terms if term not in contents]
        if unknown:
            raise AnsibleLookupError(f"The deployment has no file {', '.join(unknown)}; it has {', '.join(contents)}.")
        return [contents[term] for term in terms]
