# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a DTR before a cache is deployed for it, as sentences about what is not.

Only reads. What a DTR cannot be asked, such as an older one, is nothing against a deployment.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..common.concurrency import side_by_side
from ..common.failure import Failure
from ..common.urls import canonical_host, without_secrets
from ..dtr import model
from ..dtr.api import DtrApi
from ..dtr.assignments_apply import claimed_elsewhere, directory_of
from ..dtr.assignments_plan import (
    Assignment,
    named_in,
    parse_assignments,
    parse_others,
    problems_failure,
    resolve,
)
from ..dtr.images import parse_name
from ..dtr.model import Account, ContentCache
from ..dtr.resources import Json
from ..http.transport import Transport
from .accounts import an_account
from .distribution import Distribution

SECONDS_FOR_ALL = 120
CONCURRENCY = 4
MOST_GROUPS = 16
_SHOWN = 50
_NO_SUCH_QUESTION = (404, 405, 406)
_NO_ACCESS = ("", "none")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a run is going to do with a DTR.

    Args:
        username: Who asks; empty where a client certificate says it.
        registers: Whether caches are registered or removed.
        removes: Whether they are removed.
        cache: The cache's name.
        cache_url: Its address.
        former_names: Names that it had in DTR before.
        assignments: Whose setting is written: C(accounts), C(teams), C(orgs) and C(everyone).
        others: The assignments of other regions, each with its C(cache).
        pulls_of: The same of the cache through which it pulls.
        pull_account: Who pulls, where that is set.
        warms: Whether it pulls images that are not looked up first.
        image: The image that is pulled as a proof.
        repository: The repository that a new image is pushed to.
        asks_version: Whether DTR's own version matters, as a cache is deployed.
        cache_image: The reference of that cache's image, where it is known before.
    """

    username: str
    registers: bool = False
    removes: bool = False
    cache: str = ""
    cache_url: str = ""
    former_names: t.Sequence[str] = ()
    assignments: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    others: t.Sequence[t.Mapping[str, t.Any]] = ()
    pulls_of: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    pull_account: str = ""
    warms: bool = False
    image: str = ""
    repository: str = ""
    asks_version: bool = False
    cache_image: str = ""

    @property
    def pulls(self) -> bool:
        return bool(self.image or self.repository or self.warms)


class Findings(t.NamedTuple):
    """What stands against the run, what is only worth knowing, and the caches that DTR has.

    C(version) is DTR's own where that was asked: empty where DTR does not say, and C(None) where it did not answer.
    """

    problems: list[str]
    warnings: list[str]
    version: str | None = None
    registered: t.Sequence[ContentCache] = ()


def registry_findings(dtr: DtrApi, transport: Transport, wanted: Wanted) -> Findings:
    """Everything that stands against the run.

    The first question is asked alone: a wrong password refused many times at once may lock the account, and a DTR that
    does not answer is one problem.
    """
    try:
        standing = _standing(dtr)
    except Failure as failure:
        return Findings([_unusable(failure, wanted)], [])
    answers = _Answers(dtr, transport, wanted)
    answers.ask(may_ask_of_others=standing.may_be_administrator)
    problems = [] if standing.may_be_administrator else _without_right(wanted, transport)
    problems += answers.problems()
    problems += _about_repository(wanted, answers.has_repository, standing.settings)
    problems += _removed_by_another_name(wanted, answers.registered)
    warnings = _about_version(wanted, answers.version)
    warnings += _about_names(wanted, answers.registered) if wanted.registers else []
    if standing.settings.get("readOnlyRegistry"):
        warnings.append(f"{transport.base_url} is in its read-only mode: nobody can push to it.")
    return Findings(problems, warnings, answers.version, answers.registered)


class _Standing(t.NamedTuple):
    """Who asks, and DTR's settings as far as it shows them."""

    may_be_administrator: bool
    settings: Json


def _standing(dtr: DtrApi) -> _Standing:
    try:
        settings = dtr.settings()
    except Failure as failure:
        if not _is_unknown_here(failure):
            raise
        # Every version has these, for any user who is logged in.
        dtr.content_caches()
        return _Standing(True, {})
    return _Standing(settings is not None, settings or {})


class _Answers:
    """The answers to what can be asked side by side, once it is known that DTR answers."""

    def __init__(self, dtr: DtrApi, transport: Transport, wanted: Wanted) -> None:
        self._dtr = dtr
        self._wanted = wanted
        self._distribution = Distribution(transport, wanted.username or None)
        self._failures: dict[str, Failure] = {}
        self._problems: dict[str, list[str]] = {}
        self._unanswered: list[str] = []
        self.has_repository: bool | None = None
        self.version: str | None = None
        self.registered: list[ContentCache] = []

    def ask(self, *, may_ask_of_others: bool) -> None:
        questions: dict[str, t.Callable[[], list[str]]] = {}
        if may_ask_of_others and any(self._wanted.assignments.values()):
            questions["assignments"] = self._about_assignments
        if self._wanted.image:
            questions["image"] = self._about_image
        if self._wanted.repository:
            questions["repository"] = self._ask_repository
        if self._wanted.asks_version:
            questions["version"] = self._ask_version
        if self._wanted.cache_url:
            questions["names"] = self._ask_names
        self._ask_all(questions)
        # Whose right is asked depends on who is there, and means something only where the image is.
        if may_ask_of_others and self._wanted.pulls and not any(self._problems.values()) and not self._failures:
            self._ask_all({"right": self._about_right})

    def problems(self) -> list[str]:
        found = [sentence for sentences in self._problems.values() for sentence in sentences]
        unreachable = [failure for failure in self._failures.values() if _is_out_of_reach(failure)]
        answered = [failure for failure in self._failures.values() if not _is_out_of_reach(failure)]
        if unreachable:
            found.append(_unusable(unreachable[0], self._wanted))
        elif self._unanswered:
            found.append(f"dtr_cache_registry_url: DTR did not answer everything within {SECONDS_FOR_ALL} seconds")
        return found + [_unusable(failure, self._wanted) for failure in answered]

    def _ask_all(self, questions: t.Mapping[str, t.Callable[[], list[str]]]) -> None:
        def answer(name: str, ask: t.Callable[[], list[str]]) -> list[str]:
            try:
                return ask()
            except Failure as failure:
                self._failures[name] = failure
                return []

        asked = {name: _bound(answer, name, ask) for name, ask in questions.items()}
        answers = side_by_side(asked, SECONDS_FOR_ALL)
        # In the order of the questions, whichever was answered first.
        self._problems.update((name, answers[name]) for name in questions if name in answers)
        self._unanswered += [name for name in questions if name not in answers]

    def _about_assignments(self) -> list[str]:
        wanted = self._wanted
        try:
            own = parse_assignments([_claims(wanted)])
            directory = directory_of(self._dtr, own, self._listed(own), CONCURRENCY)
            others = parse_others(wanted.others)
            groups = len(named_in(others, "teams")) + len(named_in(others, "orgs"))
            # Where there are more, they are read when somebody is to be set whom they may claim.
            known = others if groups <= MOST_GROUPS else [Assignment(each.cache, each.accounts) for each in others]
            elsewhere = claimed_elsewhere(self._dtr, known, directory, CONCURRENCY)
            # Whether the cache is registered is the run's own business.
            resolve(own, [ContentCache("", own[0].cache, "")], directory, False, elsewhere)
        except Failure as failure:
            if "problems" not in failure.result:
                raise
            wrong = failure.result["problems"]
            more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            return [f"dtr_cache_assignments: {'; '.join(wrong[:_SHOWN])}{more}"]
        return []

    def _listed(self, own: t.Sequence[Assignment]) -> dict[str, Account]:
        """All users by name, where C(everyone) needs them."""
        if not any(each.everyone for each in own):
            return {}
        try:
            return {user.name: user for user in self._dtr.users()}
        except Failure as failure:
            if _is_out_of_reach(failure):
                raise
            sentence = (
                f"everyone needs the list of all accounts, which DTR does not give: {failure.message} "
                f"{failure.hint or ''} Name accounts, teams or orgs instead"
            )
            raise problems_failure("INVALID_ASSIGNMENTS", [sentence]) from failure

    def _about_image(self) -> list[str]:
        name = parse_name(self._wanted.image)
        try:
            self._distribution.manifest(name.repository, name.reference)
        except Failure as failure:
            if failure.code in ("MANIFEST_UNKNOWN", "NOT_AUTHORIZED"):
                return [f"dtr_cache_verify_image: {failure.message} {failure.hint}"]
            raise
        return []

    def _ask_repository(self) -> list[str]:
        self.has_repository = self._dtr.has_repository(self._wanted.repository)
        return []

    def _ask_version(self) -> list[str]:
        try:
            self.version = self._dtr.version() or ""
        except Failure as failure:
            # Who has chosen a version needs it not.
            if _is_out_of_reach(failure):
                raise
            self.version = ""
        return []

    def _ask_names(self) -> list[str]:
        self.registered = self._dtr.content_caches()
        return []

    def _about_right(self) -> list[str]:
        """Whether the account that is going to pull may do so."""
        account = self._wanted.pull_account
        if account:
            known = self._dtr.account(account)
            if known is None or known.is_org or not known.is_active:
                what = "DTR has no user" if known is None or known.is_org else "DTR does not let in the inactive user"
                return [f"dtr_cache_verify_account: {what} {account}"]
        else:
            try:
                account = an_account(self._dtr, self._wanted.pulls_of) or ""
            except Failure as failure:
                if failure.code != "NO_SUCH_USER":
                    raise
                return [
                    "dtr_cache_verify_account: nobody in dtr_cache_assignments is an active user who could pull as a "
                    "proof; name a user"
                ]
        if not account or account == self._wanted.username:
            return []
        places = {"dtr_cache_verify_image": parse_name(self._wanted.image).repository if self._wanted.image else ""}
        if self.has_repository:
            places["dtr_cache_verify_repository"] = self._wanted.repository
        return [
            f"{variable}: account {account} may not pull from {repository}; give it read access in DTR, or name "
            f"another account in dtr_cache_verify_account, or another place in {variable}"
            for variable, repository in places.items()
            if repository and self._dtr.access(account, repository) in _NO_ACCESS
        ]


def _bound(answer: t.Callable[..., list[str]], *arguments: t.Any) -> t.Callable[[], list[str]]:
    return lambda: answer(*arguments)


def _claims(wanted: Wanted) -> dict[str, t.Any]:
    return {**wanted.assignments, "cache": wanted.cache or "this cache"}


def _about_repository(wanted: Wanted, exists: bool | None, settings: Json) -> list[str]:
    if not wanted.repository:
        return []
    if settings.get("readOnlyRegistry"):
        return [
            "dtr_cache_verify_repository: DTR is in its read-only mode and takes no push; switch that off, or set "
            "dtr_cache_verify_image instead"
        ]
    if exists is False and settings.get("createRepositoryOnPush") is False:
        return [
            f"dtr_cache_verify_repository: DTR has no repository {wanted.repository}, and makes none at a push; create "
            "it in DTR"
        ]
    return []


def _about_version(wanted: Wanted, version: str | None) -> list[str]:
    tag = model.tag_of(wanted.cache_image)
    if model.are_same(tag, version) is not False:
        return []
    return [
        f"{model.difference(tag, version or '')} Without dtr_cache_version and dtr_cache_image, "
        "a deployment takes the version of the DTR."
    ]


def _removed_by_another_name(wanted: Wanted, registered: t.Sequence[ContentCache]) -> list[str]:
    """A cache that was renamed in the variables alone: its accounts would be left where nobody answers."""
    names = [each.name for each in sorted(registered) if canonical_host(each.host) == canonical_host(wanted.cache_url)]
    known = {wanted.cache, *wanted.former_names}
    if not wanted.removes or wanted.cache in {each.name for each in registered} or known.issuperset(names):
        return []
    others = ", ".join(name for name in names if name not in known)
    return [
        f"dtr_cache_name: DTR has no cache {wanted.cache}, and has its address ({wanted.cache_url}) under the name "
        f"{others}, whose accounts would be sent to a cache that is gone. Set dtr_cache_name to that, or "
        f"dtr_cache_former_names: [{others}]"
    ]


def _about_names(wanted: Wanted, registered: t.Sequence[ContentCache]) -> list[str]:
    """Other names under which DTR has the cache, and what a former name leads to that is not the cache's address."""
    own = canonical_host(wanted.cache_url)
    found = []
    for each in sorted(registered):
        host = without_secrets(each.host)
        if each.name in wanted.former_names and canonical_host(each.host) != own:
            fate = "are reset" if wanted.removes else f"move to {wanted.cache}"
            found.append(
                f"{each.name}, which dtr_cache_former_names names, is registered as {host}, which is not the address "
                f"of {wanted.cache} ({wanted.cache_url}). Its accounts {fate} all the same, and its entry goes."
            )
        elif each.name not in (wanted.cache, *wanted.former_names) and canonical_host(each.host) == own:
            fate = (
                "Its entry and its accounts stay"
                if wanted.removes
                else f"Accounts that were assigned to {each.name} stay there"
            )
            then = "it is removed as well" if wanted.removes else f"they follow to {wanted.cache} and its entry goes"
            found.append(
                f"DTR has {wanted.cache} ({wanted.cache_url}) under the name {each.name}, too. {fate}. If that is a "
                f"former name of this cache, set dtr_cache_former_names: [{each.name}], and {then}."
            )
    return found


def _without_right(wanted: Wanted, transport: Transport) -> list[str]:
    """Why somebody who is no administrator cannot do what is wanted; of pulls, only those as somebody else."""
    who = wanted.username or "the owner of the client certificate"
    pulls_as = wanted.pull_account or next(iter(wanted.pulls_of.get("accounts") or []), "")
    members = wanted.pulls_of.get("teams") or wanted.pulls_of.get("orgs")
    if wanted.registers:
        purpose = "registering and removing a cache takes one"
    elif any(wanted.assignments.values()):
        purpose = "assigning other accounts takes one"
    elif wanted.pulls and (members or pulls_as not in ("", wanted.username)):
        purpose = f"pulling as {pulls_as or 'a member of a team'} takes one"
    else:
        return []
    return [
        f"dtr_cache_registry_username: {who} is no administrator of the DTR, and {purpose} (GET "
        f"{transport.base_url}/api/v0/meta/settings answered 403)"
    ]


def _is_unknown_here(failure: Failure) -> bool:
    """Whether a version does not have this question, or has it elsewhere."""
    return failure.http_status in _NO_SUCH_QUESTION or failure.code == "UNEXPECTED_REDIRECT"


def _is_out_of_reach(failure: Failure) -> bool:
    return failure.http_status is None or failure.http_status >= 500


def _unusable(failure: Failure, wanted: Wanted) -> str:
    if failure.http_status == 401 or failure.code == "NOT_AUTHENTICATED":
        credential = "password" if wanted.username else "client_cert"
        return f"dtr_cache_registry_{credential}: {failure.message} {failure.hint or ''}".strip()
    hint = f" {failure.hint}" if failure.hint else ""
    return f"dtr_cache_registry_url: {failure.message}{hint}"
