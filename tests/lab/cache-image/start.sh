#!/bin/sh
# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The image's entry point, as the vendor's documents name it: /start.sh CONFIGURATION
# Runs the cache in the foreground, in the place of this shell, so that it gets Docker's signals.
exec /bin/registry serve "${1:-/config.yml}"
