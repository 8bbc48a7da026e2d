# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine trusts is what OpenSSL would trust, also where the environment says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.x509.trust_store import trusted_certificates
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

ONE, TWO, THREE = (make_identity(name, ca=True) for name in ("one", "two", "three"))
SELF = make_identity("server")


def test_the_file_and_the_folders_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, first, second = tmp_path / "cas.pem", tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    file.write_text(f"some words\n{ONE.pem}{SELF.pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (first / "0123abcd.0").write_text(TWO.pem + ONE.pem)
    (first / "any-name.pem").write_text(THREE.pem)
    (second / "89abcdef.12").write_text(THREE.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(first))
    assert trusted_certificates() == [ONE.certificate, SELF.certificate, TWO.certificate]
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(tmp_path / "none"), str(second)]))
    assert trusted_certificates() == [ONE.certificate, SELF.certificate, THREE.certificate]


def test_without_files_nothing_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert trusted_certificates() == []
