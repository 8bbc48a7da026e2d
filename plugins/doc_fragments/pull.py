# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of the modules that pull through a cache."""

    DOCUMENTATION = r"""
options:
  cache:
    description:
      - The cache's name in DTR, or the URL under which it is registered there.
      - DTR has to send to this cache's registered host.
    type: str
    required: true
  cache_ca_certificate:
    description:
      - The CA that signed the cache's certificate, as PEM text, or as the path of a PEM file or a folder of such files.
      - It replaces the default, which is the system's trust store together with DTR's CA in O(ca_path) or
        O(ca_certificate). That default is what a Docker Engine trusts that knows nothing of the cache.
      - O(validate_certs=false) switches the check of the cache's certificate off as well.
    type: str
  account:
    description:
      - Pull as this account.
      - O(username) has to be an administrator. A temporary access token is made for the account, and deleted at the
        end, also after a failure. A token that a killed run left behind is deleted by the next run for the same account
        that comes a day later or more.
      - Without this option and O(account_of), O(username) itself pulls.
    type: str
  account_of:
    description:
      - Pull as one of the accounts that this covers, in the form of an assignment of
        M(dtr.cache.cache_assignments), the first active one. Of use only without O(account).
    type: dict
    suboptions:
      accounts: &accounts
        description: Names of accounts, as a list or as text with commas. Numbers are refused.
        type: raw
        default: []
      teams: &teams
        description: Teams, as C(organisation/team).
        type: raw
        default: []
      orgs: &orgs
        description: Organisations.
        type: raw
        default: []
      everyone:
        description: All accounts, so that O(username) itself can pull.
        type: bool
        default: false
      except:
        description: Whom teams, organisations and C(everyone) leave out.
        type: dict
        suboptions:
          accounts: *accounts
          teams: *teams
          orgs: *orgs
"""
