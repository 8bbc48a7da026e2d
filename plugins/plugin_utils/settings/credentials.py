# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what is otherwise public carries credentials. Pure functions."""

from __future__ import annotations

import re
import typing as t

from ...module_utils.common.redaction import SECRET_NAME, Path, blanked, holds_credential, redacted

HTTP_SECRET: Path = ("http", "secret")

_IN_OPTIONS = re.compile(rf"(?!credentials=/){SECRET_NAME}\s*=", re.IGNORECASE)
_LONGEST_PATH = 200


def carries_credentials(config: t.Any) -> bool:
    """Whether the registry's configuration holds a credential, at any depth, besides C(http.secret)."""
    return bool(blanked(config, public=(HTTP_SECRET,)) != config)


def options_carry_credentials(options: t.Mapping[str, t.Any]) -> bool:
    """Whether the options of a volume's driver do, as keys of their own or in one text such as C(password=...,rw)."""
    return any(holds_credential((str(key),), value) or _IN_OPTIONS.search(str(value)) for key, value in options.items())


def may_be_shown(text: str) -> bool:
    """Whether a value that was meant to be an address or a path is none that somebody's credentials are part of."""
    return "@" not in text and len(text) <= _LONGEST_PATH and redacted(text) == text


def way_without(variable: str) -> str:
    """What to do instead of giving a credential in a variable of the environment, which is in clear text there."""
    if variable.lower().endswith("_proxy"):
        return "no other place holds the password of a proxy, so name a proxy that takes the nodes without one"
    return "give it in dtr_cache_storage or dtr_cache_config_extra, which makes config.yml a Docker secret"
