# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DTR's C(/v2) as a client sees it: tokens, tags, manifests, and where DTR sends for a blob.

Sources: the Docker registry's "HTTP API V2" and "Token Authentication Specification"; DTR's documents on caches for the
redirect of blobs. No redirect is followed here, so credentials and tokens never reach another host.
"""

from __future__ import annotations

import re
import threading
import time
import typing as t
from urllib.parse import urljoin, urlsplit, urlunsplit

from ..common.failure import Failure
from ..common.urls import Origin, origin_of, without_secrets
from ..common.vocabulary import word
from ..dtr import images
from ..http.responses import (
    Answer,
    failure_of,
    server_errors,
    status_text,
)
from ..http.retries import RETRIED_STATUSES
from ..http.transport import Transport

ANSWERED = frozenset(range(200, 600)) - RETRIED_STATUSES
"""Every status that is an answer here, and not a reason to ask again."""

# What the specification assumes where a server does not say how long a token lives, in seconds.
_DEFAULT_LIFETIME = 60
# A token is renewed before it ends, so that it does not end on the way.
_USED_LIFETIME = 0.75
_DOCUMENTED_TOKEN_PATH = "/auth/token"
_TAGS_ON_A_PAGE = 1000
_LINK_TO_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_CHALLENGE_FIELD = re.compile(r'(\w+)="([^"]*)"')


class _Token(t.NamedTuple):
    value: str
    renew_at: float


class Distribution:
    """The repositories of one DTR, safe to share between threads.

    Args:
        transport: Connections to DTR with the credentials of the account that pulls.
        account: Its name for messages.
        clock: Seconds that never go back.
        actions: What tokens are asked for, besides C(pull).
    """

    def __init__(
        self,
        transport: Transport,
        account: str | None = None,
        clock: t.Callable[[], float] = time.monotonic,
        actions: t.Sequence[str] = (),
    ) -> None:
        self._transport = transport
        self._actions = ",".join(("pull", *actions))
        self._account = f"Account {account}" if account else "This client"
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}
        self._endpoint: tuple[str, str] | None = None

    @property
    def origin(self) -> Origin:
        """DTR's own address."""
        return origin_of(self._transport.base_url)

    def manifest(self, repository: str, reference: str) -> tuple[str, bytes]:
        """Digest and content of a manifest or an index.

        Raises:
            Failure: C(NOT_AUTHORIZED), C(MANIFEST_UNKNOWN), C(DIGEST_MISMATCH), C(NO_PROOF), or any failure of the
                transport.
        """
        path = f"/v2/{repository}/manifests/{reference}"
        headers = {"Accept": ", ".join(images.MANIFEST_MEDIA_TYPES)}

        def send(authorization: dict[str, str]) -> Answer:
            return self._transport.request("GET", path, headers={**headers, **authorization}, expect=ANSWERED)

        answer = self.authorised(repository, send)
        shown = f"{repository}{'@' if ':' in reference else ':'}{reference}"
        if answer.status == 404:
            raise Failure(
                "MANIFEST_UNKNOWN",
                f"DTR has no image {shown}.",
                http_status=404,
                url=answer.url,
                hint="Check repository and tag; the image may not have been pushed yet, or have been pruned.",
            )
        if answer.status != 200:
            raise self.refusal(answer, repository)
        promised = reference if ":" in reference else answer.headers.get("Docker-Content-Digest") or ""
        if not images.is_digest(promised):
            return self._by_its_digest(repository, shown, images.digest_of(answer.body))
        digest = images.digest_of(answer.body, promised)
        if digest != promised:
            raise Failure(
                "DIGEST_MISMATCH",
                f"The manifest of {shown} has the digest {digest} instead of {promised}.",
                url=answer.url,
                hint="Something between this machine and DTR changes answers; check for a proxy that inspects TLS.",
            )
        return digest, answer.body

    def _by_its_digest(self, repository: str, shown: str, digest: str) -> tuple[str, bytes]:
        """The manifest again by the digest of what came for its tag, where the answer named none to compare with."""
        try:
            return self.manifest(repository, digest)
        except Failure as failure:
            if failure.http_status != 404:
                raise
        raise Failure(
            "NO_PROOF",
            f"DTR names no digest of {shown} to compare with, and has no manifest with the digest of its answer "
            f"({digest}): a pull of it proves nothing.",
            http_status=404,
            hint="Push the image again; if it stays so, check what stands between this machine and DTR.",
        )

    def blob_location(self, repository: str, digest: str) -> str | None:
        """The absolute URL that DTR sends to for a blob, or C(None) when it serves the blob itself.

        The URL carries the signature: it must not be shown.
        """
        path = f"/v2/{repository}/blobs/{digest}"

        def send(authorization: dict[str, str]) -> Answer:
            headers = {"Accept": "*/*", **authorization}
            with self._transport.stream("GET", path, headers=headers, expect=ANSWERED) as stream:
                # The body of a 200 is the blob, which may be a whole layer: it is left unread.
                body, is_cut = (b"", False) if stream.status == 200 else stream.beginning()
                url = without_secrets(self._transport.base_url + path)
                return Answer("GET", url, stream.status, stream.headers, body, is_cut)

        answer = self.authorised(repository, send)
        if answer.status == 200:
            return None
        location = answer.headers.get("Location")
        if 300 <= answer.status < 400 and location:
            return urljoin(self._transport.base_url + path, location)
        if answer.status == 404:
            raise Failure(
                "BLOB_UNKNOWN",
                f"DTR names {digest} in a manifest of {repository}, and answers {_said(answer)} for it.",
                http_status=404,
                url=answer.url,
                hint="Push the image again.",
            )
        raise self.refusal(answer, repository)

    def tags(self, repository: str) -> list[str]:
        """All tags of a repository, page by page.

        Raises:
            Failure: C(NAME_UNKNOWN), C(NOT_AUTHORIZED), or any failure of the transport.
        """
        found: dict[str, None] = {}
        target: str | None = f"/v2/{repository}/tags/list?n={_TAGS_ON_A_PAGE}"
        while target:
            answer = self._tags_page(repository, target)
            document = answer.json()
            tags = document.get("tags") if isinstance(document, dict) else None
            known = len(found)
            found.update(dict.fromkeys(str(tag) for tag in tags or ()))
            # A server that names the same page for ever brings nothing new.
            target = _next_page(answer, self._transport.base_url) if len(found) > known else None
        return list(found)

    def _tags_page(self, repository: str, target: str) -> Answer:
        def send(authorization: dict[str, str]) -> Answer:
            return self._transport.request("GET", target, headers=authorization, expect=ANSWERED)

        answer = self.authorised(repository, send)
        if answer.status == 404:
            raise Failure(
                "NAME_UNKNOWN",
                f"DTR has no repository {repository}, or nothing was pushed to it.",
                http_status=404,
                url=without_secrets(answer.url),
                hint="Check the repository's name.",
            )
        if answer.status != 200:
            raise self.refusal(answer, repository)
        return answer

    def authorised(self, repository: str, send: t.Callable[[dict[str, str]], Answer]) -> Answer:
        """Send with a token, and once more with a new one when it is refused: it may have ended early."""
        token = self._token(repository)
        answer = send({"Authorization": f"Bearer {token}"})
        if answer.status == 401:
            answer = send({"Authorization": f"Bearer {self._token(repository, refused=token)}"})
        return answer

    def _token(self, repository: str, refused: str | None = None) -> str:
        with self._lock:
            held = self._tokens.get(repository)
            if held is None or held.value == refused or self._clock() >= held.renew_at:
                held = self._tokens[repository] = self._new_token(repository)
            return held.value

    def _new_token(self, repository: str) -> _Token:
        if self._endpoint is None:
            self._endpoint = self._find_endpoint()
        path, service = self._endpoint
        asked_at = self._clock()
        query = {"service": service, "scope": f"repository:{repository}:{self._actions}"}
        answer = self._transport.request("GET", path, query=query, expect=ANSWERED)
        if answer.status != 200:
            raise failure_of(answer)
        document = answer.json()
        fields = document if isinstance(document, dict) else {}
        value = fields.get("token") or fields.get("access_token")
        if not isinstance(value, str):
            raise Failure(
                "UNEXPECTED_ANSWER", f"GET {answer.url} answered without a token.", http_status=200, url=answer.url
            )
        lifetime = fields.get("expires_in")
        seconds = lifetime if isinstance(lifetime, (int, float)) and lifetime > 0 else _DEFAULT_LIFETIME
        return _Token(value, asked_at + seconds * _USED_LIFETIME)

    def _find_endpoint(self) -> tuple[str, str]:
        """Path and service name of the token server, from the challenge of C(/v2/).

        A realm on another host is not followed, since that host would get the password; DTR's documented path on its
        own host is used instead.
        """
        own = self.origin
        answer = self._transport.request("GET", "/v2/", expect=ANSWERED)
        fields = dict(_CHALLENGE_FIELD.findall(answer.headers.get("Www-Authenticate") or ""))
        realm = urljoin(f"{self._transport.base_url}/v2/", fields.get("realm") or _DOCUMENTED_TOKEN_PATH)
        path = urlsplit(realm).path if origin_of(realm) == own else _DOCUMENTED_TOKEN_PATH
        return path, fields.get("service") or own.host

    def refusal(self, answer: Answer, repository: str, verb: str = "pull from") -> Failure:
        """What an answer means that is no success."""
        if answer.status in (401, 403):
            access = "read" if verb == "pull from" else "write"
            return Failure(
                "NOT_AUTHORIZED",
                f"{self._account} may not {verb} {repository}: DTR answered {_said(answer)}.",
                http_status=answer.status,
                url=answer.url,
                hint=f"Check the repository's name, and give the account {access} access to it in DTR.",
            )
        if 300 <= answer.status < 400:
            target = without_secrets(urljoin(answer.url, answer.headers.get("Location") or ""))
            return Failure(
                "UNEXPECTED_REDIRECT",
                f"GET {answer.url} answered {status_text(answer.status)} to {target}; manifests have to come from DTR.",
                http_status=answer.status,
                url=answer.url,
                hint=f"Set {word('url')} to the address that DTR itself answers on.",
            )
        return failure_of(answer)


def _said(answer: Answer) -> str:
    """An answer's status with the server's own codes."""
    codes = ", ".join(code for code, _text in server_errors(answer) if code)
    return f"{status_text(answer.status)} ({codes})" if codes else status_text(answer.status)


def _next_page(answer: Answer, base_url: str) -> str | None:
    """Path and query of the page that a C(Link) header names, as long as it is on the same server."""
    found = _LINK_TO_NEXT.search(answer.headers.get("Link") or "")
    if not found:
        return None
    url = urljoin(f"{base_url}/v2/", found.group(1))
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path, parts.query, "")) if origin_of(url) == origin_of(base_url) else None
