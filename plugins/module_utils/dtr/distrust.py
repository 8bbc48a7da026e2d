# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do where DTR may not trust a cache: the trust edge of which the vendor's documents say the least.

They name "DTR not trusting the cache TLS certificates" first among the causes of misconfiguration, and say neither
when DTR connects to a cache nor where it keeps the CAs that it trusts.
"""

from __future__ import annotations


def distrust_hint(host: str) -> str:
    """What to do about a cache that is well as seen from here, and that DTR may not trust or reach."""
    return (
        f"DTR may not trust the cache's certificate, or not reach {host} from its own nodes; its log says which. Add "
        "the CA that signed that certificate to the CAs that DTR trusts (System, General, Domain & Proxies, TLS Root "
        "CA; the system's CAs of its nodes), or have the certificate signed by a CA that DTR trusts already. Check "
        f"name resolution and firewalls from DTR's nodes to {host}."
    )
