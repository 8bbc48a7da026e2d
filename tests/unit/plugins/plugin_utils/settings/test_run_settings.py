# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is given besides the cache."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support.settings import (
    only_problem,
)

# One mistake each, and what the operator reads.
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"status_to": ["a", "b"]}, "dtr_cache_status_to: must be text"),
    ({"logs_since": ["1h"]}, "dtr_cache_logs_since: must be text"),
    ({"logs_since": "yesterday"}, "dtr_cache_logs_since: 'yesterday' is neither a time such as 2h (s, m, h, d, w) nor"),
    ({"logs_since": 60}, "dtr_cache_logs_since: '60' is neither a time such as 2h"),
    ({"render_to": "fol\x00der"}, "dtr_cache_render_to: holds a byte that is not text"),
    ({"confirm_removal": True}, "dtr_cache_confirm_removal: must be text"),
    ({"source_files": {"a": 1}}, "dtr_cache_source_files: must be a list of texts"),
    ({"source_files": "keys/*.pem"}, "dtr_cache_source_files: 'keys/*.pem' is a pattern, and no file has that name"),
    ({"source_files": ["keys/"]}, "dtr_cache_source_files: 'keys/' is a folder"),
    ({"source_files": ["a\x07b"]}, "dtr_cache_source_files: must be one line of text without control characters"),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    assert sentence in only_problem(**changes)
