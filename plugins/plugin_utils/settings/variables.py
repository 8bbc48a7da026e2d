# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the variables of a host to the settings of its cache, on the control node."""

from __future__ import annotations

import datetime
import functools
import hashlib
import hmac
import os
import pathlib
import re
import typing as t

import yaml
from ansible.errors import AnsibleError, AnsibleUndefinedVariable, AnsibleValueOmittedError
from ansible.parsing.vault import AnsibleVaultError
from ansible.template import trust_as_template

from ...module_utils.common.failure import Failure
from ...module_utils.common.files import foreign_words
from ..actions.paths import control_path_of_host
from .dtr import CONNECTION
from .model import CACHE, DTR, Settings
from .read import IGNORED, ignored_names, read_connection, read_settings
from .reader import FILE, FOLDER, MISSING, OTHER, PREFIX, ControlNode, Reader
from .region import VARIABLES, Region, read_region
from .structures import plain
from .values import is_set

_DEFAULTS = pathlib.Path(__file__).parents[3] / "roles" / "settings" / "defaults" / "main.yml"
# What is secret, or may have secrets in it: no part of it is shown, nor of the template that it may be.
_SECRET = re.compile(
    "password|private_key|client_cert|client_key|http_secret|storage|config_extra|environment|volume|service_extra"
)
# A name of several words, such as vault_dtr_password; a single one might be a password that somebody put into braces.
_UNDEFINED = re.compile(r"'([a-z][a-z0-9]*(?:_[a-z0-9]+)+)' is undefined")
# What it takes to reach the DTR and a manager, and where to write.
_OF_DTR = tuple(f"{PREFIX}{name}" for name in ("registry_", "docker_host", "client_bundle", "adopt_"))
# Files of a cache, which need not be there yet for who describes the one that runs.
_OF_IDENTITY = tuple(
    f"{PREFIX}{name}: " for name in ("certificate", "private_key", "ca_certificate", "upstream_cas", "http_secret")
)
# Made before Ansible forks its workers, and known to nobody else: what is secret cannot be guessed from a fingerprint.
_FINGERPRINT_KEY = os.urandom(32)


_Read = t.TypeVar("_Read")


class Reading(t.NamedTuple):
    """What a host's variables say."""

    settings: Settings
    problems: list[str]
    fingerprint: str  # the same in one run for the same values of all variables and the same content of all files


@functools.lru_cache(maxsize=1)
def vocabulary() -> dict[str, t.Any]:
    """All variables with their defaults as they are written down, in the one place where they are."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    defaults = yaml.load(_DEFAULTS.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 (both are safe ones)
    return {
        name: trust_as_template(value) if _is_template(value) else value
        for name, value in defaults.items()
        if name.startswith(PREFIX)
    }


def read_host(variables: t.Mapping[str, t.Any], templar: t.Any, loader: t.Any, needs: t.Collection[str]) -> Reading:
    """The settings of the cache that a host's variables describe, and everything that is wrong with them."""
    host = _Host(variables, templar, loader)
    given = host.given()
    settings, problems = read_settings(
        given,
        defaults=host.defaults(given),
        needs=needs,
        control_node=host.control_node,
        now=datetime.datetime.now(datetime.timezone.utc),
    )
    return Reading(settings, host.problems(problems, needs), host.fingerprint())


def read_single(name: str, value: t.Any, read: t.Callable[[Reader], _Read]) -> _Read:
    """A variable that is read without a host.

    Raises:
        AnsibleError: It is wrong; all problems are named.
    """
    reader = Reader({PREFIX + name: value}, vocabulary(), _NO_FILES)
    found = read(reader)
    if reader.problems:
        raise AnsibleError("; ".join(reader.problems))
    return found


def given_variables(
    variables: t.Mapping[str, t.Any], templar: t.Any, loader: t.Any
) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """The variables of a host that are set, and the vocabulary with its defaults."""
    host = _Host(variables, templar, loader)
    given = host.given()
    return {name: value for name, value in given.items() if is_set(value)}, host.defaults(given)


def dtr_connection(variables: t.Mapping[str, t.Any], templar: t.Any, loader: t.Any) -> dict[str, t.Any]:
    """How the DTR of a host is reached: options of the action group C(dtr.cache.dtr), without the CA.

    Raises:
        Failure: C(INVALID_SETTINGS), which lists what is wrong with the variables for it.
    """
    host = _Host(variables, templar, loader)
    names = [PREFIX + name for name in CONNECTION]
    given = host.given(names)
    read, problems = read_connection(
        given,
        defaults=host.defaults(given),
        control_node=host.control_node,
        now=datetime.datetime.now(datetime.timezone.utc),
    )
    problems = host.problems(problems)
    if problems:
        raise Failure("INVALID_SETTINGS", "The DTR cannot be reached: " + "; ".join(problems))
    return _connection_options(read)


def connection_of(settings: Settings) -> dict[str, t.Any]:
    """The same of settings that were read."""
    return _connection_options(vars(settings))


def _connection_options(read: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    client = read["registry_client_certificate"]
    return {
        "url": read["registry_url"],
        "username": read["registry_username"],
        "password": read["registry_password"],
        "validate_certs": read["validate_certs"],
        **({"client_certificate": client} if client else {}),
    }


def connection_mark(options: t.Mapping[str, t.Any]) -> str:
    """The same in one run for the same connection to a server; nobody can guess a password from it."""
    content = repr(sorted(options.items()))
    return hmac.new(_FINGERPRINT_KEY, content.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def declared_region(
    variables: t.Mapping[str, t.Any], templar: t.Any, loader: t.Any, unknown: t.Collection[str]
) -> Region:
    """What of a host's region concerns the other regions, as far as its variables say.

    Args:
        unknown: Variables whose values here are not the host's own.
    """
    host = _Host(variables, templar, loader)
    given = host.given(VARIABLES)
    reader = Reader(given, host.defaults(given, VARIABLES), host.control_node)
    return read_region(reader, variables["inventory_hostname"], {*unknown, *host.unread})


class _Host:
    """The variables of a host, each templated once, and the files that they name, each read once."""

    def __init__(self, variables: t.Mapping[str, t.Any], templar: t.Any, loader: t.Any) -> None:
        self._variables = variables
        self._loader = loader
        # A user's variable may refer to one that has only its default; a default refers to none.
        self._templar = templar.copy_with_new_env(available_variables={**vocabulary(), **variables})
        self._templar_of_defaults = templar.copy_with_new_env(available_variables={})
        self._values: list[tuple[str, t.Any]] = []
        self._files: list[tuple[str, bytes | str]] = []
        self._undefined: dict[str, str] = {}
        self.control_node = ControlNode(
            read=self._read,
            locate=lambda path: control_path_of_host(path, variables),
            kind=_kind,
            foreign=foreign_words,
        )

    def given(self, names: t.Collection[str] | None = None) -> dict[str, t.Any]:
        """What the host has of the variables, all or only some, but for what it ignores."""
        mine = {name for name in self._variables if name.startswith(PREFIX) and (names is None or name in names)}
        patterns = self._templated(self._templar, mine & {IGNORED}, self._variables)
        ignored = ignored_names(mine - set(vocabulary()), patterns.get(IGNORED))
        return {**patterns, **self._templated(self._templar, sorted(mine - ignored - {IGNORED}), self._variables)}

    def defaults(self, given: t.Mapping[str, t.Any], names: t.Collection[str] | None = None) -> dict[str, t.Any]:
        """The vocabulary. Of what the environment may give, only what is not given otherwise is worked out.

        Args:
            names: The variables that are wanted, where it is not all of them.
        """
        written = vocabulary()
        templates = [name for name, value in written.items() if _is_template(value) and not is_set(given.get(name))]
        wanted = templates if names is None else [name for name in templates if name in names]
        worked_out = self._templated(self._templar_of_defaults, wanted, written)
        return {**written, **dict.fromkeys(templates), **worked_out}

    def problems(self, found: t.Sequence[str], needs: t.Collection[str] = ()) -> list[str]:
        """Those of the reading with those that kept variables from being read, one a variable.

        Who needs the DTR and no cache does not have to have the secrets and certificates of the cache yet.
        """
        unread = tuple(f"{name}: " for name in self._undefined)
        of_dtr = DTR in needs and CACHE not in needs
        reasons = [reason for name, reason in self._undefined.items() if not of_dtr or name.startswith(_OF_DTR)]
        left_out = (*unread, *(_OF_IDENTITY if of_dtr else ()))
        return [*reasons, *(each for each in found if not each.startswith(left_out))]

    @property
    def unread(self) -> t.Collection[str]:
        """The variables that could not be templated."""
        return self._undefined.keys()

    def fingerprint(self) -> str:
        """A mark of all that was worked out and read."""
        content = repr((self._values, self._files, self._undefined))
        return hmac.new(_FINGERPRINT_KEY, content.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def _templated(self, templar: t.Any, names: t.Iterable[str], source: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        found = {}
        for name in names:
            try:
                value = templar.template(source[name])
                # Vaulted values are opened here, where a wrong password is a problem of one variable.
                found[name] = plain(value)
            except Failure:
                found[name] = value  # reported by the reading
            except AnsibleValueOmittedError:
                found[name] = None
            except Exception as error:  # noqa: BLE001 (a filter of anybody's may raise anything)
                self._undefined[name] = f"{name}: {_reason(name, error)}"
            self._values.append((name, found.get(name)))
        return found

    def _read(self, path: str) -> bytes:
        """The content of a file, which may be vaulted, and is not written anywhere else for that."""
        place = control_path_of_host(path, self._variables)
        try:
            if os.path.isdir(place):
                raise Failure("UNREADABLE_FILE", "it is a folder")
            if not os.path.exists(place):
                raise Failure("UNREADABLE_FILE", f"there is no file {place}")
            if not os.path.isfile(place):
                # A pipe would be waited for.
                raise Failure("UNREADABLE_FILE", "it is not a regular file")
            # Ansible's lookup of files takes text only; a key may be in DER.
            content = bytes(self._loader._get_file_contents(place)[0])
        except AnsibleError as error:
            reason = str(getattr(error, "message", "") or error).splitlines()[0].partition(" Use -v")[0]
            self._files.append((place, reason))
            raise Failure("UNREADABLE_FILE", reason) from error
        self._files.append((place, content))
        return content


def _reason(name: str, error: Exception) -> str:
    """Return why a variable has no value."""
    if isinstance(error, AnsibleUndefinedVariable):
        missing = _UNDEFINED.search(str(error))
        what = f"{missing[1]}, which it refers to," if missing else "something that it refers to"
        hidden = f"cannot be templated: {what} is undefined; define it in host_vars or group_vars beside the inventory"
    elif _is_of_vault(error):
        # Whose words name neither the secret nor the password.
        return "cannot be decrypted: the password of the vault is missing or another one (--vault-password-file)"
    else:
        hidden = "cannot be templated; write it as a template of Jinja, or mark it !unsafe where it is none"
    if _SECRET.search(name):
        return hidden
    text = next(iter(str(error).splitlines()), "").strip()
    if not isinstance(error, AnsibleError):
        text = f"cannot be templated: {text or type(error).__name__}"
    return text or hidden


def _is_of_vault(error: BaseException | None) -> bool:
    """Whether a vaulted value could not be opened; templating may raise an error of its own because of that."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        if isinstance(error, AnsibleVaultError) or "Decryption failed" in str(error):
            return True
        seen.append(error)
        error = error.__cause__ or error.__context__
    return False


def _is_template(value: t.Any) -> bool:
    return isinstance(value, str) and "{{" in value


def _no_file(path: str) -> t.NoReturn:
    raise Failure("UNREADABLE_FILE", f"{path} is not read here")


_NO_FILES = ControlNode(read=_no_file, locate=_no_file, kind=_no_file, foreign=_no_file)


def _kind(path: str) -> str:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except OSError:
        # In a folder that this user may not read: it may be there.
        return OTHER
    if os.path.isdir(path):
        return FOLDER
    # A link to a file is another thing than the file: whoever removes it has removed nothing of the file.
    return FILE if os.path.isfile(path) and not os.path.islink(path) else OTHER
