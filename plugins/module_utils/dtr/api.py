# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DTR's API as resources. Knows nothing of Ansible or of planning.

Sources named in its parts: "DTR swagger" is the API description published with DTR 2.3 to 2.7, identical there for
caches and settings; "UCP swagger" is the accounts API of UCP 3.2, which DTR passes on below C(/enzi/v0).
"""

from __future__ import annotations

from ..common.failure import Failure
from .account_settings import AccountSettings
from .accounts import Accounts
from .api_tokens import ApiTokens
from .content_caches import ContentCaches
from .repositories import Repositories
from .state import State


class DtrApi(ContentCaches, AccountSettings, Accounts, State, ApiTokens, Repositories):
    """The API of one DTR, safe to share between threads."""

    def hopeless(self, failure: Failure) -> bool:
        """Whether what failed for one account must fail for all others, so that it is better not to try.

        Ten thousand refused log-ins could lock the account out of a directory service.
        """
        refused = failure.http_status == 401 or failure.code == "NOT_AUTHENTICATED"
        return refused or failure.code.startswith("TLS_") or self._transport.down
