# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounted as C(sitecustomize) in the labs of C(tests/lab/alone): what Python compiles again and again is compiled once.

Every module that Ansible sends is an archive, from which Python compiles twice, and Ansible compiles the files of a
collection in each run. Together that is a third of the processor time of a playbook.
"""

# No import from __future__, which compile() would hand on to what it compiles for others.
import _imp
import builtins
import marshal
import os
import types
import typing as t

KEPT = os.environ.get("DTR_CACHE_COMPILED", "/dev/shm/compiled")  # in a lab, a file system of its own
compile_always = builtins.compile


def compile_once(
    source: t.Any,
    filename: t.Any,
    mode: str,
    flags: int = 0,
    dont_inherit: bool = False,
    optimize: int = -1,
    **more: t.Any,
) -> t.Any:
    """C(compile), which for the bytes of a file gives what it gave before."""

    def make() -> t.Any:
        return compile_always(source, filename, mode, flags, dont_inherit, optimize, **more)

    if mode != "exec" or not dont_inherit or flags or optimize != -1 or not isinstance(source, bytes):
        return make()
    kept = f"{KEPT}/{_imp.source_hash(0, source).hex()}"
    try:
        with open(kept, "rb") as file:
            code = marshal.load(file)
    except (OSError, EOFError, ValueError, TypeError):
        code = make()
        keep(kept, code)
    else:
        _imp._fix_co_filename(code, str(filename))  # type: ignore[attr-defined]
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


builtins.compile = compile_once
