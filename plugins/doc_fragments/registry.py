# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """How the modules that talk to DTR reach it."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - Address of the DTR or MSR, such as V(https://dtr.example.org). Without a scheme V(https) is meant.
      - Plain V(http) is refused except on the loopback interface or with O(validate_certs=false), since it shows the
        password to the network.
      - The environment variable E(DTR_URL) is used when the option is not given.
    type: str
    required: true
  username:
    description:
      - Name of the account to work with. Writing needs an administrator.
      - The environment variable E(DTR_USERNAME) is used when the option is not given.
    type: str
  password:
    description:
      - The account's password or one of its DTR access tokens. It is sent by basic authentication, to this server only.
      - The environment variable E(DTR_PASSWORD) is used when the option is not given.
    type: str
  ca_path:
    description:
      - File or folder with the certificate authority of DTR's certificate, used instead of the system's.
      - The environment variable E(DTR_CA_PATH) is used when neither this option nor O(ca_certificate) is given.
    type: path
  ca_certificate:
    description:
      - The same as O(ca_path) as PEM text, for example RV(dtr.cache.registry_ca_info#module:pem).
    type: str
  client_cert:
    description:
      - PEM file with a client certificate, where DTR authenticates clients by certificate.
      - The environment variable E(DTR_CLIENT_CERT) is used when the option is not given.
    type: path
  client_key:
    description:
      - PEM file with the key of O(client_cert), not encrypted. Can be left out when O(client_cert) holds both.
      - The environment variable E(DTR_CLIENT_KEY) is used when the option is not given.
    type: path
  client_certificate:
    description:
      - Certificate and unencrypted key as PEM text, in place of O(client_cert) and O(client_key). Is never shown.
    type: str
  validate_certs:
    description:
      - Whether DTR's certificate is verified. Rather than switching this off, set O(ca_path) or O(ca_certificate).
      - The environment variable E(DTR_VALIDATE_CERTS) is used when the option is not given.
    type: bool
    default: true
  timeout:
    description: Seconds to wait for a connection, and again for the answer to one request.
    type: float
    default: 30
  retries:
    description:
      - How often one request is sent again after a lost connection, a time-out, or status 429, 502, 503 or 504.
      - The pauses grow from half a second to ten seconds with jitter, or are what C(Retry-After) asks for. No new
        attempt begins after two minutes. Each retry is reported as a warning.
      - A request that creates something is only sent again when the lost one has not taken effect within O(timeout)
        once more, and after a time-out it is not sent again at all.
    type: int
    default: 5
attributes:
  action_group:
    description: Use C(group/dtr.cache.dtr) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - dtr.cache.dtr
notes:
  - C(~/.netrc), cookies and redirects are never used, so that credentials reach only the server in O(url).
  - A proxy is taken from the environment variables E(HTTPS_PROXY) and E(NO_PROXY).
  - A failed task returns C(failure) with a stable C(code), C(message), C(http_status), C(url) and C(hint).
seealso:
  - name: DTR content caches
    description: How Docker Trusted Registry's content caches work.
    link: https://docs.mirantis.com/msr/2.9/ops/msr-configure/caches.html
"""

    CONCURRENCY = r"""
options:
  concurrency:
    description: The most requests at a time, from 1 to 128.
    type: int
    default: 16
"""
