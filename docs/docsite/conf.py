# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site of the documentation, which tests/lib/site builds from a copy of the repository's pages."""

from __future__ import annotations

import os
import posixpath
import re
import typing as t
from pathlib import Path

import yaml
from docutils import nodes
from pygments.lexers.special import TextLexer

HERE = Path(__file__).parent
REPOSITORY = Path(os.environ["PROJECT"])
GALAXY = yaml.safe_load((HERE / "galaxy.yml").read_text(encoding="utf-8"))
# The branch or tag of the site, and the versions beside it: see tests/lib/sites.
REF = os.environ.get("SITE_REF", "main")
SOURCES = f"{GALAXY['repository']}/blob/{REF}"

project = f"{GALAXY['namespace']}.{GALAXY['name']}"
copyright = GALAXY["authors"][0]  # noqa: A001 (Sphinx's name for it)
version = release = GALAXY["version"]
extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "furo"
html_title = project
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["site.css"]
templates_path = ["templates"]
html_context = {"site_ref": REF, "site_versions": os.environ.get("SITE_VERSIONS", REF).split()}
html_sidebars = {
    "**": [
        *("sidebar/brand.html", "sidebar/search.html", "sidebar/scroll-start.html", "sidebar/navigation.html"),
        *("versions.html", "sidebar/scroll-end.html"),
    ]
}
html_theme_options = {
    "source_repository": GALAXY["repository"],
    "source_branch": REF,
    "top_of_page_buttons": [],
}
pygments_style = "default"
pygments_dark_style = "github-dark"
highlight_language = "text"
# Dashes and quotes stay as they are typed.
smartquotes = False
# As GitHub makes them, where the same pages are read.
myst_heading_anchors = 4
antsibull_ext_color_scheme = "none"

# Targets in Ansible's documentation that the pages of plugins refer to.
ANSIBLE = "https://docs.ansible.com/projects/ansible/latest/"
ELSEWHERE = {
    "common_return_values": ANSIBLE + "reference_appendices/common_return_values.html",
    "action_plugins": ANSIBLE + "plugins/action.html",
    "ansible_configuration_settings": ANSIBLE + "reference_appendices/config.html",
}
COLLECTIONS = re.compile(r"ansible_collections\.(\w+)\.(\w+)\.(\w+)")
PLUGIN = r"( +)(\w+)_(module|filter|lookup|role)"
LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def _prepared(_app: t.Any, document: str, source: list[str]) -> None:
    """Shorten the titles of antsibull-docs, and turn links between files into links between pages."""
    if document.startswith("collections/"):
        # The theme has the contents of each page at its side.
        text = re.sub(r"^\.\. contents::\n(?: .*\n)*", "", source[0], flags=re.MULTILINE)
        # A role has one entry point, whose title would be that of the page once more.
        text = re.sub(r"^Entry point .*\n-+\n", "", text, flags=re.MULTILINE)
        text = re.sub(rf"^{PLUGIN}$", _entry, text, flags=re.MULTILINE)
        source[0] = text.replace("\nDtr.Cache\n=========\n", "\nPlugins and roles\n=================\n")
    else:
        folder = posixpath.dirname(document)
        source[0] = LINK.sub(lambda match: f"]({_place(folder, match[1])}{match[2] or ''})", source[0])


def _entry(match: re.Match[str]) -> str:
    """Return an entry of the table of contents that shows the name in place of the title."""
    indent, name, kind = match.groups()
    return f"{indent}{name}{'' if kind == 'module' else f' ({kind})'} <{name}_{kind}>"


def _place(folder: str, target: str) -> str:
    path = posixpath.normpath(posixpath.join(folder, target))
    role = re.fullmatch(r"roles/(\w+)/README\.md", path)
    page = "index.md" if path == "README.md" else f"collections/dtr/cache/{role[1]}_role.rst" if role else path
    if (HERE / page).is_file():
        return posixpath.relpath(page, folder)
    # A missing file stays as it is: the build fails with its name.
    return f"{SOURCES}/{path}" if (REPOSITORY / path).exists() else target


def _to_ansible(_app: t.Any, _environment: t.Any, node: t.Any, content: t.Any) -> t.Any:
    """Link a reference to Ansible's documentation, or to that of another collection."""
    target = node.get("reftarget", "")
    address = ELSEWHERE.get(target)
    if found := COLLECTIONS.match(target):
        address = f"{ANSIBLE}collections/{'/'.join(found.groups())}.html"
    return nodes.reference("", "", content, refuri=address, internal=False) if address else None


def setup(app: t.Any) -> None:
    """Register the lexers and the links with Sphinx."""
    # GitHub colours it, Pygments does not.
    app.add_lexer("crontab", TextLexer)
    app.connect("source-read", _prepared)
    app.connect("missing-reference", _to_ansible)
