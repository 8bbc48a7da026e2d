# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounted as C(sitecustomize) in the labs of C(tests/lab/alone): what Python takes from an archive is compiled once.

Every module that Ansible runs is such an archive. Python compiles it twice, which is a quarter of the processor time of
a playbook.
"""

from __future__ import annotations

import _imp
import marshal
import os
import types
import zipimport

KEPT = "/dev/shm/compiled"  # a file system of the lab's own
compile_source = zipimport._compile_source  # type: ignore[attr-defined]


def compiled(path: str, source: bytes) -> types.CodeType:
    kept = f"{KEPT}/{_imp.source_hash(0, source).hex()}"
    code: types.CodeType
    try:
        with open(kept, "rb") as file:
            code = marshal.load(file)
    except (OSError, EOFError, ValueError, TypeError):
        code = compile_source(path, source)
        keep(kept, code)
    else:
        _imp._fix_co_filename(code, path)  # type: ignore[attr-defined]
    return code


def keep(name: str, code: types.CodeType) -> None:
    own = f"{name}.{os.getpid()}"
    try:
        with open(own, "wb") as file:
            marshal.dump(code, file)
        os.replace(own, name)
    except OSError:
        # Users other than root compile for themselves.
        pass


zipimport._compile_source = compiled  # type: ignore[attr-defined]
