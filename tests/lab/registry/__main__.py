# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the stand-in of Docker Trusted Registry; C(--help) names its options.

The state folder holds, readable by its owner only,

- C(passwords.json): the password of each named account, and under C(user*) that of all generated ones; made at the
  first start, read at every later one;
- C(control.secret): the secret of the control interface (`dtr_standin.control`);
- C(signing.key), C(state.json): what a restart needs;
- C(access.log), C(access.log.1): one line a request without query strings, at most 20 MB;
- C(ready), while it listens: {url, control, pid}.
"""

from __future__ import annotations

import argparse
import logging
import os
import pathlib
import sys

import uvloop
from dtr_standin.server import serve
from dtr_standin.site import Address, Options


def address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not ADDRESS:PORT")
    return host, int(port)


def options(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(description="A stand-in of Docker Trusted Registry 2.7", allow_abbrev=False)
    parser.add_argument(
        "--listen", type=address, required=True, metavar="ADDRESS:PORT", help="port 0: any that is free"
    )
    parser.add_argument("--control", type=address, required=True, metavar="ADDRESS:PORT", help="the control interface")
    parser.add_argument("--upstream", required=True, metavar="URL", help="the real registry, without authentication")
    parser.add_argument("--state", type=pathlib.Path, required=True, metavar="FOLDER")
    parser.add_argument("--accounts", type=int, default=10_000, metavar="N", help="generated accounts (default 10000)")
    parser.add_argument("--cert", type=pathlib.Path, dest="certificate", metavar="PEM", help="without it: plain HTTP")
    parser.add_argument("--key", type=pathlib.Path, metavar="PEM")
    parser.add_argument("--ca", type=pathlib.Path, metavar="PEM", help="what /ca serves")
    parser.add_argument("--client-ca", type=pathlib.Path, metavar="PEM", help="authenticates clients by certificate")
    parsed = parser.parse_args(arguments)
    if (parsed.certificate is None) != (parsed.key is None):
        parser.error("--cert and --key belong together")
    if not 0 <= parsed.accounts <= 99_999:
        parser.error("--accounts is 0 to 99999")
    return Options(**vars(parsed))


if __name__ == "__main__":
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    uvloop.run(serve(options(sys.argv[1:])))
