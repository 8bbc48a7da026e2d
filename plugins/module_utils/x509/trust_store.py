# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CAs that this machine trusts: what OpenSSL takes where no CA is given, also by SSL_CERT_FILE and SSL_CERT_DIR."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import typing as t
import warnings
from pathlib import Path

from .certificates import unreadable

with contextlib.suppress(ImportError):  # certificates.CRYPTOGRAPHY_IMPORT_ERROR reports it
    from cryptography import x509

# In its folders OpenSSL finds certificates by the hash of their subject.
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_BLOCK = re.compile(rb"-----BEGIN (CERTIFICATE|X509 CERTIFICATE)-----.*?-----END \1-----", re.DOTALL)


def trusted_certificates() -> list[x509.Certificate]:
    """Each once. What cannot be read is not trusted either."""
    paths = ssl.get_default_verify_paths()
    file = os.environ.get(paths.openssl_cafile_env) or paths.openssl_cafile
    folders = os.environ.get(paths.openssl_capath_env) or paths.openssl_capath
    files = [Path(file), *(each for folder in folders.split(os.pathsep) for each in _hashed(folder))]
    blocks: dict[bytes, None] = {}
    for each in files:
        with contextlib.suppress(OSError):
            blocks.update((block[0], None) for block in _BLOCK.finditer(each.read_bytes()))
    return _certificates(blocks)


def _hashed(folder: str) -> list[Path]:
    try:
        return [Path(folder, name) for name in sorted(os.listdir(folder)) if _HASHED.fullmatch(name)]
    except OSError:
        return []


def _certificates(blocks: t.Iterable[bytes]) -> list[x509.Certificate]:
    found = []
    with warnings.catch_warnings():
        # What is odd about one of them is nothing that an operator could change.
        warnings.simplefilter("ignore")
        for block in blocks:
            with contextlib.suppress(*unreadable()):
                certificate = x509.load_pem_x509_certificate(block)
                # The library reads the name only now.
                _name = certificate.subject
                found.append(certificate)
    return found
