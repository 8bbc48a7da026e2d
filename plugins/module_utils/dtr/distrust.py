# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do where DTR may not trust a cache: the trust edge of which the vendor's documents say the least.

They name "DTR not trusting the cache TLS certificates" first among the causes of misconfiguration, and do not say when
DTR connects to a cache. C(reconfigure) of MSR 2.8, 2.9 and 2.10 has an option for the CAs that it trusts; that of DTR
2.7 has none. DTR's own CA, which C(/ca) serves, is another setting.
"""

from __future__ import annotations


def distrust_hint(host: str) -> str:
    """Return what to do about a cache that answers from here, and that DTR may not trust or reach."""
    return (
        f"DTR may not trust the cache's certificate, or not reach {host} from its own nodes; its log says which. On "
        "MSR 2.8 and later, add the CA that signed the certificate to those that the registry trusts: reconfigure "
        '--custom-ca-cert-bundle "$(cat ca.pem)". DTR 2.7 and older have no documented option for it: use a '
        "certificate of a CA that DTR trusts already. Check name resolution and firewalls from DTR's nodes to "
        f"{host}."
    )
