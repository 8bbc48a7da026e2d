#!/bin/sh
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The image's entry point, as the vendor's documents name it: /start.sh CONFIGURATION
# Runs the cache in the foreground. What the vendor's script makes of Docker's signals is not published, so the variable
# CONTENT_CACHE_START says it: exec (default) - the cache takes the place of this shell and gets the signals; child - this
# shell ends at SIGTERM, and its container with the cache in it; deaf - SIGTERM is ignored until SIGKILL comes.

run() {
  exec /bin/registry serve "${CONFIGURATION}"
}

CONFIGURATION=${1:-/config.yml}
case ${CONTENT_CACHE_START:-exec} in
  exec) run ;;
  child) trap 'exit 0' TERM ;;
  deaf) trap '' TERM ;;
  *)
    echo "CONTENT_CACHE_START: ${CONTENT_CACHE_START} is none of exec, child and deaf" >&2
    exit 2
    ;;
esac
run &
wait $!
