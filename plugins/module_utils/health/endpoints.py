# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches and DTR as servers to probe: what is asked there, in what time, and what to do about what is wrong."""

from __future__ import annotations

import ssl

from ..common.urls import origin_of
from ..common.vocabulary import DTR_CA, FETCH_CA, word
from .checks import CLIENT_TO_CACHE, CLIENT_TO_DTR
from .endpoint import Advice, Endpoint, Question
from .judges import judge_api, judge_ping, judge_upstream
from .model import NO_BLOB, Cache, Dtr

# A connection, a handshake or an answer that takes longer is broken for whoever pulls, too.
STEP_SECONDS = 10.0
# A cache may wait for its own connection to an upstream before it answers.
_STEPS_TO_UPSTREAM = 2


def cache_advice() -> Advice:
    """What to do about what is wrong with a cache."""
    return Advice(
        server="the cache",
        not_running=(
            "Check that the cache's service runs and publishes this port; a cache whose configuration, certificate or "
            "key is wrong ends right after its start, and its log says so."
        ),
        trust=f"by {word('CA of a cache')}, and on every Docker client",
        chain_file="the cache's certificate file (dtr_cache_certificate)",
        renew="Renew the cache's certificate, and let the cache take it up (playbook dtr.cache.rotate).",
        name="Use a host name that the certificate covers, or have the cache's certificate issued for this one.",
        other_certificate=(
            "The replicas run with another secret, or something else answers at this address: run dtr.cache.deploy or "
            "dtr.cache.rotate with the certificate that is wanted, and check what stands before the cache."
        ),
        client_certificate="Take clientcas out of the cache's configuration (http.tls): Docker clients send it none.",
    )


def _advice_before(cache: Cache) -> Advice:
    """The same where clients use the port of a load balancer or the like, which is none of the cache's service."""
    advice, public = cache_advice(), origin_of(cache.url).port
    if not cache.port or cache.port == public:
        return advice
    return advice._replace(
        not_running=(
            f"Check that what stands before the cache listens on port {public} ({word('public port')}) and leads to "
            f"port {cache.port} of the nodes. Where nothing stands there, clients use the cache's own port."
        )
    )


def dtr_advice() -> Advice:
    """What to do about what is wrong with DTR."""
    return Advice(
        server="DTR",
        not_running=f"Check host and port of {word('url')}, and that DTR runs.",
        trust=f"by {word(DTR_CA)}{word(FETCH_CA)}",
        chain_file="DTR's certificate (settings of DTR, domain and proxies)",
        renew="Renew DTR's certificate in the settings of DTR.",
        name="Use a host name that DTR's certificate covers, or have it issued for this one.",
        client_certificate=(
            f"Set {word('client certificate')} to a certificate signed by the CA that DTR trusts for clients."
        ),
    )


def step_of(seconds: float) -> float:
    """Seconds for one connection, handshake or answer, when there are so many seconds for all."""
    return min(STEP_SECONDS, max(0.1, round(seconds, 1)))


def unverified() -> ssl.SSLContext:
    """A context that verifies nothing: only certificates and public answers are read with it, no secret is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def cache_endpoint(cache: Cache, min_days: int, seconds: float) -> Endpoint:
    """What to probe on a cache."""
    questions = (
        Question("/v2/", min(STEP_SECONDS, seconds), judge_api),
        Question(NO_BLOB, min(_STEPS_TO_UPSTREAM * STEP_SECONDS, seconds), judge_upstream),
    )
    return Endpoint(
        CLIENT_TO_CACHE,
        cache.url,
        cache.trust,
        cache.anchors,
        _advice_before(cache),
        questions,
        min_days if cache.min_days is None else cache.min_days,
        unverified,
        cache.certificate,
        cache.replicas,
        cache.replica_addresses,
        cache.routed,
    )


def dtr_endpoint(dtr: Dtr, min_days: int, seconds: float) -> Endpoint:
    """What to probe on DTR."""
    questions = (Question("/_ping", seconds, judge_ping),)
    return Endpoint(
        CLIENT_TO_DTR, dtr.url, dtr.trust, dtr.anchors, dtr_advice(), questions, min_days, dtr.client_context
    )
