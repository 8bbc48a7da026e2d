# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts API of eNZi, /enzi/v0/accounts, in the form that UCP 3.2 publishes."""

from __future__ import annotations

import json
import typing as t

from aiohttp import web

from .accounts import Account, Filter, Member, Order, Organization, Page, Team, page_of
from .errors import ApiError, json_response
from .gate import Handler, Operation, authenticated, check_media_types
from .site import Site

_DEFAULT_LIMIT = 10
_LOGIN = "/api/v0/openid/begin"
_MEMBER_FILTERS: dict[str, t.Callable[[Member], bool]] = {
    "all": lambda _member: True,
    "admins": lambda member: member.is_admin,
    "non-admins": lambda member: not member.is_admin,
}


class Enzi:
    """The listings; organisations, teams and users are named by name or by id."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        table: list[tuple[str, Operation]] = [
            ("", self.list_accounts),
            ("/{account}", self.get_account),
            ("/{account}/members", self.list_members),
            ("/{account}/members/{member}/teams", self.list_member_teams),
            ("/{account}/teams", self.list_teams),
            ("/{account}/teams/{team}/members", self.list_team_members),
            ("/{account}/organizations", self.list_organizations),
        ]
        return [
            web.get(f"/enzi/v0/accounts{path}{end}", self._operation(handler), allow_head=False)
            for path, handler in table
            for end in ("", "/")
        ]

    def _operation(self, handler: Operation) -> Handler:
        async def checked(request: web.Request) -> web.StreamResponse:
            check_media_types(request)
            caller = authenticated(self._site, request)
            if caller is not None:
                return await handler(request, caller)
            if self._site.behaviours.enzi_unauthenticated == "redirected":
                return web.Response(status=302, headers={"Location": _LOGIN})
            raise ApiError("NOT_AUTHENTICATED")

        return checked

    async def list_accounts(self, request: web.Request, _caller: Account) -> web.Response:
        which = request.query.get("filter", "all")
        if which not in t.get_args(Filter):
            raise ApiError("INVALID_PARAMETERS", "filter")
        order = request.query.get("order", "name")
        # A plus sign that is not quoted arrives as a space.
        name = order.lstrip("+- ")
        if name not in t.get_args(Order):
            raise ApiError("INVALID_PARAMETERS", "order")
        directory = self._site.directory
        page = directory.page(
            t.cast("Filter", which),
            t.cast("Order", name),
            order.startswith("-"),
            request.query.get("start", ""),
            self._limit(request),
            request.query.get("contains", ""),
        )
        totals = {"usersCount": directory.count("users"), "orgsCount": directory.count("orgs")}
        return self._listing(request, "accounts", [account.json for account in page.items], page, totals)

    async def get_account(self, request: web.Request, _caller: Account) -> web.Response:
        return json_response(self._account(request).json)

    async def list_members(self, request: web.Request, caller: Account) -> web.Response:
        return self._members(request, self._organization(request, caller).members)

    async def list_team_members(self, request: web.Request, caller: Account) -> web.Response:
        wanted = request.match_info["team"]
        for team in self._organization(request, caller).teams:
            if wanted in (team.name, team.id):
                return self._members(request, team.members)
        raise ApiError("NO_SUCH_TEAM")

    async def list_teams(self, request: web.Request, caller: Account) -> web.Response:
        teams = self._organization(request, caller).teams
        page = page_of(teams, lambda team: team.name, request.query.get("start", ""), self._limit(request))
        return self._listing(request, "teams", [json.dumps(_team_shape(team)) for team in page.items], page)

    async def list_member_teams(self, request: web.Request, caller: Account) -> web.Response:
        organization = self._organization(request, caller)
        member = self._site.directory.find(request.match_info["member"])
        if member is None or member.name not in organization.by_name:
            raise ApiError("NO_SUCH_MEMBER")
        teams = [team for team in organization.teams if any(one.account.name == member.name for one in team.members)]
        page = page_of(teams, lambda team: team.name, request.query.get("start", ""), self._limit(request))
        items = [json.dumps({"team": _team_shape(team), "isAdmin": False}) for team in page.items]
        return self._listing(request, "memberTeams", items, page)

    async def list_organizations(self, request: web.Request, caller: Account) -> web.Response:
        account = self._account(request)
        if account.is_org:
            raise ApiError("NO_SUCH_USER")
        if not caller.is_admin and caller.name != account.name:
            raise ApiError("NOT_AUTHORIZED")
        found = self._site.directory.organizations_of(account)
        page = page_of(found, lambda item: item[0].account.id, request.query.get("start", ""), self._limit(request))
        items = [_with_admin("org", organization.account, member.is_admin) for organization, member in page.items]
        return self._listing(request, "memberOrgs", items, page)

    def _members(self, request: web.Request, members: t.Sequence[Member]) -> web.Response:
        chosen = _MEMBER_FILTERS.get(request.query.get("filter", "all"))
        if chosen is None:
            raise ApiError("INVALID_PARAMETERS", "filter")
        members = [member for member in members if chosen(member)]
        start = request.query.get("start", "")
        page = page_of(members, lambda member: member.account.id, start, self._limit(request))
        items = [_with_admin("member", member.account, member.is_admin) for member in page.items]
        return self._listing(request, "members", items, page)

    def _account(self, request: web.Request) -> Account:
        account = self._site.directory.find(request.match_info["account"])
        if account is None:
            raise ApiError("NO_SUCH_ACCOUNT")
        return account

    def _organization(self, request: web.Request, caller: Account) -> Organization:
        """The organisation that is asked for, which only admins and its members may look into."""
        organization = self._site.directory.organization(self._account(request).name)
        if organization is None:
            raise ApiError("NO_SUCH_ACCOUNT", "not an organization")
        if not caller.is_admin and caller.name not in organization.by_name:
            raise ApiError("NOT_AUTHORIZED")
        return organization

    def _limit(self, request: web.Request) -> int:
        try:
            limit = int(request.query.get("limit", _DEFAULT_LIMIT))
        except ValueError as error:
            raise ApiError("INVALID_PARAMETERS", "limit") from error
        limit = limit if limit > 0 else _DEFAULT_LIMIT
        most = self._site.behaviours.page_limit
        return min(limit, most) if most > 0 else limit

    def _listing(
        self,
        request: web.Request,
        kind: str,
        items: t.Sequence[str],
        page: Page[t.Any],
        totals: t.Mapping[str, int] | None = None,
    ) -> web.Response:
        """A page of items that are JSON text already, and where the next page starts."""
        behaviours = self._site.behaviours
        following = page.next_start
        if behaviours.paging_stuck and not following:
            following = request.query.get("start", "")
        rest: dict[str, t.Any] = {**(totals or {}), "resourceCount": page.total}
        if behaviours.paging_marker != "header":
            rest["nextPageStart"] = following
        in_header = following and behaviours.paging_marker != "body"
        headers = {"X-Next-Page-Start": following} if in_header else None
        return json_response(f'{{"{kind}": [{", ".join(items)}], {json.dumps(rest)[1:]}', headers=headers)


def _team_shape(team: Team) -> dict[str, t.Any]:
    return {
        "orgID": team.organization.id,
        "name": team.name,
        "id": team.id,
        "description": team.description,
        "membersCount": len(team.members),
    }


def _with_admin(key: str, account: Account, is_admin: bool) -> str:
    return f'{{"{key}": {account.json}, "isAdmin": {json.dumps(is_admin)}}}'
