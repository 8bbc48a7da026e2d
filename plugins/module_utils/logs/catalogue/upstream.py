# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trouble on the way from a cache to DTR, in the words of Go's network and TLS libraries."""

from __future__ import annotations

from ...common.edges import CACHE_TO_DTR
from .cause import DEPLOY, ROTATE, Cause, cause

AT_DTR: tuple[Cause, ...] = (
    cause(
        "upstream_ca_unknown",
        CACHE_TO_DTR,
        "it does not trust the CA of DTR's certificate",
        "Give it the CA that signs DTR's certificate now (dtr_cache_registry_ca: fetch, or dtr_cache_upstream_cas for "
        f"another upstream), {ROTATE}.",
        r"x509: certificate signed by unknown authority",
    ),
    cause(
        "upstream_name_mismatch",
        CACHE_TO_DTR,
        "DTR's certificate is not for the name that the cache uses",
        "Use a name that the certificate covers in dtr_cache_registry_url or dtr_cache_upstreams, or have DTR's "
        "certificate issued for this one.",
        r"x509: certificate is (?:not )?valid for ",
        r"x509: certificate is not valid for any names",
        r"x509: cannot validate certificate for \S+ because it doesn't contain any IP SANs",
        r"x509: certificate relies on legacy Common Name",
    ),
    cause(
        "upstream_not_yet_valid",
        CACHE_TO_DTR,
        "DTR's certificate is not valid yet by the clock of the cache's node",
        "Set the node's clock right if it is off (chronyc tracking); otherwise renew DTR's certificate.",
        r"x509: certificate has expired or is not yet valid: current time \S+ is before",
    ),
    cause(
        "upstream_expired",
        CACHE_TO_DTR,
        "DTR's certificate has expired by the clock of the cache's node",
        "Renew DTR's certificate in the settings of DTR; if it has not expired, set the node's clock right.",
        r"x509: certificate has expired or is not yet valid",
    ),
    cause(
        "upstream_certificate",
        CACHE_TO_DTR,
        "it refuses DTR's certificate",
        "The sample says what is wrong with it; correct DTR's certificate in the settings of DTR.",
        r"x509: ",
    ),
    cause(
        "upstream_plain_http",
        CACHE_TO_DTR,
        "its upstream speaks plain HTTP where HTTPS is expected",
        f"Correct scheme or port in dtr_cache_registry_url or dtr_cache_upstreams, {DEPLOY}.",
        r"first record does not look like a TLS handshake",
        r"server gave HTTP response to HTTPS client",
    ),
    cause(
        "upstream_wants_certificate",
        CACHE_TO_DTR,
        "DTR requires a client certificate, which a cache does not have",
        "Switch client certificates off in DTR or in the proxy before it, at least for the caches.",
        r"remote error: tls: (?:certificate required|bad certificate|handshake failure)",
    ),
    cause(
        "upstream_tls",
        CACHE_TO_DTR,
        "it cannot agree on a TLS connection with DTR",
        "Let DTR, or the proxy before it, offer TLS 1.2 or newer.",
        r"remote error: tls: ",
        r"tls: (?:server selected|no supported|unsupported|protocol version|handshake)",
    ),
    cause(
        "upstream_dns",
        CACHE_TO_DTR,
        "it cannot resolve DTR's name",
        "Make the name known to the name servers of the cache's node (its containers use the same), or correct it in "
        "dtr_cache_registry_url or dtr_cache_upstreams.",
        r"no such host",
        r"lookup \S+(?: on \S+)?: ",
        r"[Tt]emporary failure in name resolution",
        r"server misbehaving",
    ),
    cause(
        "upstream_refused",
        CACHE_TO_DTR,
        "DTR's address refuses its connection",
        "See that DTR runs and listens on the port of dtr_cache_registry_url (or of dtr_cache_upstreams), and that no "
        "firewall rejects the cache's node.",
        r"connect: connection refused",
    ),
    cause(
        "upstream_no_route",
        CACHE_TO_DTR,
        "there is no network route from it to DTR",
        "Fix routing or firewall between the cache's node and DTR: ip route get, on the node, with DTR's address.",
        r"connect: (?:no route to host|network is unreachable|host is down)",
    ),
    cause(
        "upstream_timeout",
        CACHE_TO_DTR,
        "DTR does not answer it in time",
        "Let firewalls pass the cache's node to DTR; if DTR is only slow, check its load.",
        r"i/o timeout",
        r"TLS handshake timeout",
        r"timeout awaiting response headers",
        r"Client\.Timeout exceeded",
        r"context deadline exceeded",
        r"connect: connection timed out",
        r"sent nothing for ",
    ),
    cause(
        "upstream_throttled",
        CACHE_TO_DTR,
        "DTR refuses requests that come too fast",
        "Check the rate limits of the proxy before DTR.",
        r"answered 429\b",
        r"unexpected (?:HTTP )?status(?: code)?:? 429\b",
        r"toomanyrequests",
    ),
    cause(
        "upstream_unavailable",
        CACHE_TO_DTR,
        "DTR answers it with an error",
        "Fix DTR first: its log, and playbook dtr.cache.status, show its state.",
        r"answered 5\d\d\b",
        r"unexpected (?:HTTP )?status(?: code)?:? 5\d\d\b",
    ),
    cause(
        "upstream_redirects",
        CACHE_TO_DTR,
        "DTR redirects it where it does not go",
        "DTR's storage has to redirect to HTTPS, and the upstream must not redirect to itself or to this cache.",
        r"more than \d+ redirects",
        r"stopped after \d+ redirects",
        r"redirected from https to ",
    ),
    cause(
        "upstream_wrong_content",
        CACHE_TO_DTR,
        "what it gets from DTR is not what was asked for",
        "Check proxies between the cache and DTR that answer in DTR's place, then at DTR's storage.",
        r"bytes that are not sha\d+:",
        r"content does not match digest",
        r"digest (?:did not match|mismatch)",
    ),
    cause(
        "upstream_interrupted",
        CACHE_TO_DTR,
        "DTR, or something before it, cuts its connections",
        "Check proxies and firewalls between the cache and DTR, and DTR's log. A server that speaks TLS answers "
        "plain HTTP so.",
        r"(?:upstream=|https?://).*(?:connection reset by peer|unexpected EOF|: EOF\b|broken pipe)",
    ),
    cause(
        "upstream_token_rejected",
        CACHE_TO_DTR,
        "DTR rejects the token that clients' requests carry",
        "Compare the clocks of DTR and of this region; a proxy between them must pass query strings unchanged. "
        "Who asks the cache without having been sent by DTR is rejected, too.",
        r"answered 40[13]\b",
        r"unexpected (?:HTTP )?status(?: code)?:? 40[13]\b",
        r"unauthorized: authentication required",
        r"denied: requested access to the resource is denied",
    ),
)
