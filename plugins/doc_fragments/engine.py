# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How the modules that read a Swarm reach the Docker Engine of a manager."""

    DOCUMENTATION = r"""
options:
  docker_host:
    description:
      - The Docker Engine of a Swarm manager, as a C(unix://), C(tcp://) or C(ssh://) address.
      - The environment variable E(DOCKER_HOST) is used when the option is not given.
    type: str
    default: unix:///var/run/docker.sock
    aliases: [docker_url]
  tls:
    description:
      - Whether to use TLS without verifying the Engine's certificate. O(validate_certs) verifies it.
      - The environment variable E(DOCKER_TLS) is used when the option is not given.
    type: bool
    default: false
  validate_certs:
    description:
      - Whether to use TLS and verify the Engine's certificate. Of no effect on a socket.
      - The environment variable E(DOCKER_TLS_VERIFY) is used when the option is not given.
    type: bool
    default: false
    aliases: [tls_verify]
  ca_path:
    description:
      - File with the certificate authority of the Engine's certificate.
      - C(ca.pem) in the folder that the environment variable E(DOCKER_CERT_PATH) names when the option is not given.
    type: path
    aliases: [ca_cert, tls_ca_cert, cacert_path]
  client_cert:
    description:
      - File with the certificate by which the Engine knows this client.
      - C(cert.pem) in the folder that the environment variable E(DOCKER_CERT_PATH) names when the option is not given.
    type: path
    aliases: [tls_client_cert, cert_path]
  client_key:
    description:
      - File with the private key of O(client_cert).
      - C(key.pem) in the folder that the environment variable E(DOCKER_CERT_PATH) names when the option is not given.
    type: path
    aliases: [tls_client_key, key_path]
  tls_hostname:
    description:
      - Host name to expect in the Engine's certificate, where it differs from the one in O(docker_host).
      - The environment variable E(DOCKER_TLS_HOSTNAME) is used when the option is not given.
    type: str
  api_version:
    description:
      - Version of the Engine API, or V(auto).
      - The environment variable E(DOCKER_API_VERSION) is used when the option is not given.
    type: str
    default: auto
    aliases: [docker_api_version]
  engine_timeout:
    description:
      - Seconds to wait for one answer of the Engine.
      - The environment variable E(DOCKER_TIMEOUT) is used when the option is not given.
    type: int
    default: 60
attributes:
  action_group:
    description: Use C(group/dtr.cache.engine) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - dtr.cache.engine
requirements:
  - python >= 3.9, where the module runs
  - Docker SDK for Python (C(docker)) 5.0 or newer, where the module runs
"""
