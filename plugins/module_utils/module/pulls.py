# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling images, and proving with a new one what a cache does, as the options of a module say."""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import typing as t

from ..common.concurrency import fan_out
from ..common.failure import Failure
from ..common.progress import Progress
from ..common.urls import Origin
from ..dtr import images
from ..dtr.api import DtrApi
from ..pulling import proof
from ..pulling.cache_client import CacheClient
from ..pulling.cache_transport import addresses_of, cache_connector
from ..pulling.distribution import Distribution
from ..pulling.likely_cause import lost_cache, registered_origins, why_elsewhere
from ..pulling.puller import STOPS_ALL, Puller
from ..pulling.replicas import by_all_addresses
from ..pulling.report import Report, diff_of, failure_of_report, result_of
from ..pulling.shelf import PUSH_ACTIONS, Shelf
from .base import Module
from .of_dtr import DtrSession
from .of_pulls import PullingAccount, pulling_account


def pull_images(module: Module) -> dict[str, t.Any]:
    """Pull the images, or in check mode say what would be pulled; then prove with a new one, where that is wanted."""
    params = module.params
    wanted = params["images"] or params["repositories"]
    if not wanted and not params["proof_repository"]:
        raise Failure("INVALID_INPUT", "images: nothing to pull; name images, repositories or proof_repository.")
    _check_names(params)
    session = DtrSession(module)
    with session as dtr, Progress(params["progress_path"]) as progress:
        origins = registered_origins(params["cache"], dtr.content_caches())
        with pulling_account(module, dtr) as account:
            through = _Through(module, session, dtr, origins, account)
            report = _pulled(through, progress, params["replicas"] if wanted else 1)
            failure = failure_of_report(report, params["cache"])
            if failure:
                raise failure
            result = result_of(report)
            if params["proof_repository"] and not module.check_mode:
                try:
                    result["proof"] = _proof(through, params["proof_repository"])
                except Failure as failure:
                    failure.result.update(result)
                    raise
    return {**result, **({"diff": diff_of(report)} if module._diff else {})}


def prove(module: Module) -> dict[str, t.Any]:
    """Push a new image, pull it twice through the cache, and delete it."""
    params = module.params
    params.update(concurrency=1, addresses=[], replicas=1)
    repository = images.parse_repository(params["repository"], "repository")
    cache_connector(params)
    session = DtrSession(module)
    with session as dtr:
        origins = registered_origins(params["cache"], dtr.content_caches())
        if module.check_mode:
            return {"changed": False}
        with pulling_account(module, dtr) as account:
            through = _Through(module, session, dtr, origins, account)
            return {"changed": False, "proof": _proof(through, repository)}


class _Through(t.NamedTuple):
    """The cache that a module pulls through, and as whom."""

    module: Module
    session: DtrSession
    dtr: DtrApi
    origins: t.Sequence[Origin]
    account: PullingAccount

    @contextlib.contextmanager
    def puller(self, concurrency: int, address: str | None = None, **options: t.Any) -> t.Iterator[Puller]:
        """What pulls over new connections; retries become warnings of the module."""
        params = self.module.params
        connect = cache_connector({**params, "concurrency": concurrency}, address)
        name = f"{params['cache']} at {address}" if address else params["cache"]
        cache = CacheClient(name, self.origins, connect, self.account.distribution.origin)
        try:
            yield Puller(
                self.account.distribution,
                cache,
                concurrency=concurrency,
                why_elsewhere=lambda: why_elsewhere(self.dtr, self.account.name, self.origins, cache.trouble),
                lost_cache=lambda: lost_cache(self.dtr, self.account.name),
                **options,
            )
        finally:
            for warning in cache.warnings:
                self.module.warn(warning)


def _check_names(params: t.Mapping[str, t.Any]) -> None:
    """What can be found out before anything is asked."""
    for name in params["images"]:
        images.parse_name(name)
    for entry in params["repositories"]:
        images.parse_repository(entry["repository"], "repositories")
    if params["proof_repository"]:
        images.parse_repository(params["proof_repository"], "proof_repository")
    images.parse_platforms(params["platforms"])
    cache_connector(params)


def _pulled(through: _Through, progress: Progress, replicas: int) -> Report:
    """What became of the images that the options name, by all addresses of a cache of several replicas."""
    module, params = through.module, through.module.params
    expanded, unknown = _expand(through.account.distribution, params["repositories"], params["concurrency"])
    names = list(dict.fromkeys((*params["images"], *expanded)))

    def pull_by(address: str | None) -> Report:
        with through.puller(
            params["concurrency"],
            address,
            platforms=images.parse_platforms(params["platforms"]),
            transfer=progress.transfer(),
        ) as puller:
            return (puller.preview if module.check_mode else puller.pull)(names, unknown)

    known = params["addresses"]
    addresses = known or (addresses_of(min(through.origins)) if replicas > 1 else [])
    # A preview brings nothing, so a second one would give the same.
    passes = 1 if module.check_mode else replicas
    report, warnings = by_all_addresses(pull_by, params["cache"], addresses, replicas, passes, all_open=bool(known))
    for warning in warnings:
        module.warn(warning)
    return report


def _proof(through: _Through, repository: str) -> dict[str, t.Any]:
    """What a new image in this repository proves."""
    params, transport = through.module.params, through.session.transport
    own = Distribution(transport, params["username"], actions=PUSH_ACTIONS)
    shelf = Shelf(through.dtr, transport, own, repository)
    addresses, replicas = params["addresses"] or [None], params["replicas"]
    times = min(2 * replicas, proof.MOST_VISITS) if replicas > len(addresses) else 1

    @contextlib.contextmanager
    def connections(address: str | None) -> t.Iterator[Puller]:
        # One connection, so that the second pull meets the replica that the first one has filled.
        with through.puller(1, address, platforms=(images.ALL_PLATFORMS,)) as puller:
            yield puller

    ways = [functools.partial(connections, address) for address in addresses for _each in range(times)]
    return proof.prove(shelf, ways, params["cache"], through.module.warn, replicas=replicas)


def _expand(
    distribution: Distribution, repositories: t.Sequence[t.Mapping[str, str]], concurrency: int
) -> tuple[list[str], dict[str, Failure]]:
    """The images that patterns stand for, and the patterns that stand for none with the reason."""
    wanted = list(dict.fromkeys((each["repository"], each["tags"]) for each in repositories))
    found = fan_out(
        distribution.tags,
        dict.fromkeys(repository for repository, _pattern in wanted),
        concurrency,
        lambda failure: failure.code in STOPS_ALL,
    )
    names: dict[str, None] = {}
    unknown: dict[str, Failure] = {}
    for repository, pattern in wanted:
        chosen = sorted(tag for tag in found.done.get(repository, ()) if fnmatch.fnmatchcase(tag, pattern))
        names.update(dict.fromkeys(f"{repository}:{tag}" for tag in chosen))
        if not chosen:
            unknown[f"{repository}:{pattern}"] = found.failed.get(repository) or Failure(
                "NO_TAG_MATCHES",
                f"No tag of {repository} matches {pattern}.",
                hint="Correct the pattern, in which * stands for any characters, or take it off the list.",
            )
    return list(names), unknown
