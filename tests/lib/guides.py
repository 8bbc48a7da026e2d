# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the guides as docs.ansible.com shows them into a copy of the collection: tests/lib/guides.py FOLDER."""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

import pypandoc
import yaml

LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
PICTURE = re.compile(r"<picture>.*?<img src=\"([^\"]+)\" alt=\"([^\"]+)\">.*?</picture>", re.DOTALL)


def write(collection: Path) -> None:
    """Write a page for each guide into docs/docsite/rst of the collection, and the list of them beside it."""
    galaxy = yaml.safe_load((collection / "galaxy.yml").read_text(encoding="utf-8"))
    repository, version = galaxy["repository"], f"v{galaxy['version']}"
    guides = collection / "docs/guides"
    site = collection / "docs/docsite"

    def link(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        if (guides / target).parent == guides:
            return f"]({target.removesuffix('.md')}.html{anchor})"
        form = "raw" if target.endswith((".png", ".svg")) else "blob"
        return f"]({repository}/{form}/{version}/{posixpath.normpath(f'docs/guides/{target}')}{anchor})"

    order = re.findall(r"\(([\w-]+)\.md\)", (guides / "index.md").read_text(encoding="utf-8"))
    names = ["index", *dict.fromkeys(order)]
    (site / "rst").mkdir(exist_ok=True)
    for name in names:
        text = (guides / f"{name}.md").read_text(encoding="utf-8")
        text = LINK.sub(link, PICTURE.sub(r"![\2](\1)", re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)))
        # Sphinx cannot colour it.
        text = text.replace("```crontab", "```text")
        page = pypandoc.convert_text(text, "rst", "gfm", extra_args=["--wrap=none"])
        # antsibull-docs wants labels that are unique among all collections.
        prefix = f".. _ansible_collections.dtr.cache.docsite.{name}-"
        page = re.sub(r"^\.\. _(?=.+:$)", prefix, page, flags=re.MULTILINE)
        (site / "rst" / f"{name}.rst").write_text(page, encoding="utf-8")
    listed = "".join(f"      - {name}\n" for name in names)
    index = f"---\nsections:\n  - title: Guides\n    toctree:\n{listed}"
    (site / "extra-docs.yml").write_text(index, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
