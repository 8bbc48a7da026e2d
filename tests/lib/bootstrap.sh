# shellcheck shell=bash
# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced by tests/demo, tests/run and tests/lab/lab: installs what they need, once.
# Sets PROJECT (the checkout), TOOLS (the virtual environment) and puts the environment's commands first in PATH.

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS=${DTR_CACHE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/dtr-cache-tools}
export PROJECT TOOLS

# The distributions' own packages: Docker Engine, registry and SSH for the lab, the compiler of the cache's image,
# what community.docker needs on a manager, and the checkers that are no Python packages.
SYSTEM_PACKAGES=(
  docker.io docker-cli docker-registry skopeo openssh-server openssh-client
  iproute2 iptables procps util-linux git curl jq shellcheck busybox-static
  golang-go golang-github-docker-distribution-dev golang-github-shopify-logrus-bugsnag-dev
  golang-github-bshuster-repo-logrus-logstash-hook-dev
  python3-venv python3-docker python3-jsondiff python3-yaml
)

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

need_root() {
  [ "$(id -u)" -eq 0 ] || die "needs root: it makes network namespaces and starts Docker Engines of its own. Try: sudo $0"
}

install_system_packages() {
  local missing=() package
  for package in "${SYSTEM_PACKAGES[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  need_root
  command -v apt-get >/dev/null || die "needs apt-get (Debian or Ubuntu) to install: ${missing[*]}"
  say "Installing ${#missing[@]} system packages"
  # A package must not start an Engine of its own: the lab runs each one in its own namespaces.
  local policy=/usr/sbin/policy-rc.d made_policy=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    made_policy=yes
  fi
  local result=0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >&2 || result=$?
  [ -z "$made_policy" ] || rm -f "$policy"
  [ "$result" -eq 0 ] || die "apt-get could not install: ${missing[*]}"
}

# The newest Python that can make a virtual environment; ansible-core 2.20 and later want 3.12.
newest_python() {
  local python
  for python in $(compgen -c python3. | grep -E '^python3\.[0-9]+$' | sort -t. -k2 -rnu) python3; do
    for python in "$(command -v "$python")" "/usr/bin/$python"; do
      if [ -x "$python" ] && "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "$python"
        return
      fi
    done
  done
  die "needs Python 3.11 or newer with its venv module"
}

install_tools() {
  local wanted
  wanted=$(sha256sum <"$PROJECT/tests/requirements.txt")
  if [ "$(cat "$TOOLS/.installed" 2>/dev/null)" != "$wanted" ]; then
    local python
    python=$(newest_python)
    say "Installing the Python tools into a virtual environment ($("$python" --version))"
    rm -rf "$TOOLS"
    "$python" -m venv "$TOOLS" || die "could not make the virtual environment $TOOLS"
    "$TOOLS/bin/pip" install --quiet --disable-pip-version-check -r "$PROJECT/tests/requirements.txt" >&2 ||
      die "pip could not install tests/requirements.txt"
    echo "$wanted" >"$TOOLS/.installed"
  fi
  PATH=$TOOLS/bin:$PATH
  export PATH
}

bootstrap() {
  install_system_packages
  install_tools
}
