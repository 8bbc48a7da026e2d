# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream in either form, cut anywhere."""

from __future__ import annotations

from ansible_collections.dtr.cache.plugins.module_utils.swarm.log_stream import line_of, messages
from ansible_collections.dtr.cache.tests.unit.support.logs import (
    framed,
    message,
)
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.text(alphabet="ab \u00e4", max_size=30), max_size=6), st.integers(1, 40), st.booleans())
def test_a_stream_may_be_cut_anywhere(texts: list[str], size: int, frames: bool) -> None:
    lines = [message(text) for text in texts]
    whole = framed(*lines) if frames else "".join(lines).encode()
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    seen = [text for _stream, text in messages(pieces)]
    assert [line_of(text) for text in seen] == [line_of(line.rstrip("\n")) for line in lines]
    assert all(line is not None for line in map(line_of, seen))
