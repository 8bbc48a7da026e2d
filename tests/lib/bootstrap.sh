# shellcheck shell=bash
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced by tests/demo, tests/run and tests/lab/lab: installs what they need, once.
# Sets PROJECT (the checkout), TOOLS (the virtual environment) and puts the environment's commands first in PATH.

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS=${DTR_CACHE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/dtr-cache-tools}
# `su` without a dash leaves root without the folders that hold dockerd, sshd and iptables.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
# ansible-core and community.crypto still import what cryptography will drop; each of their processes says so.
PYTHONWARNINGS="ignore:DSA is deprecated${PYTHONWARNINGS:+,$PYTHONWARNINGS}"
export PROJECT TOOLS PATH PYTHONWARNINGS

# The distributions' own packages: Docker Engine, registry, name server and SSH for the lab, the compiler of the
# cache's image, what community.docker needs on a manager, and the checkers that are no Python packages.
SYSTEM_PACKAGES=(
  docker.io docker-cli docker-registry skopeo dnsmasq-base openssh-server openssh-client
  iproute2 iptables procps util-linux strace sudo unzip git curl jq shellcheck busybox-static
  golang-go golang-github-docker-distribution-dev golang-github-shopify-logrus-bugsnag-dev
  golang-github-bshuster-repo-logrus-logstash-hook-dev golang-golang-x-sync-dev ca-certificates
  python3-venv python3-docker python3-jsondiff python3-yaml
)

# Packages that bring a service which would start at the next boot. The lab runs its own instances in namespaces.
declare -A SERVICES_OF_PACKAGE=(
  [docker.io]="docker.service docker.socket containerd.service"
  [docker-registry]="docker-registry.service"
  [openssh-server]="ssh.service ssh.socket"
  [prometheus]="prometheus.service"
  [haproxy]="haproxy.service"
  [podman]="podman.socket podman.service podman-restart.service podman-auto-update.timer netavark-dhcp-proxy.socket"
)

# While packages are installed this file keeps their services from starting. The second line is how a later run
# knows the file that a killed one left behind.
SERVICE_POLICY=/usr/sbin/policy-rc.d
SERVICE_POLICY_TEXT='#!/bin/sh
# made by the tests of dtr.cache while they install packages
exit 101'

say() {
  if [ -t 2 ]; then printf '\033[1m==> %s\033[0m\n' "$*"; else printf '==> %s\n' "$*"; fi >&2
}

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

need_root() {
  [ "$(id -u)" -eq 0 ] || die "needs root: it makes network namespaces and starts Docker Engines of its own. Try: sudo $0"
}

# Prints those of SYSTEM_PACKAGES that are neither installed nor made needless by what the machine has.
missing_packages() {
  local package installed
  # dpkg-query fails as soon as it knows nothing of one of them.
  installed=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "${SYSTEM_PACKAGES[@]}" 2>/dev/null || true)
  installed=$(sed -n 's/^ii *//p' <<<"$installed")
  for package in "${SYSTEM_PACKAGES[@]}"; do
    if grep -qxF "$package" <<<"$installed"; then continue; fi
    case $package in
      # Docker's own packages give the same commands, and apt would have to remove them.
      docker.io) command -v dockerd >/dev/null && continue ;;
      # Some releases have the client in docker.io.
      docker-cli) command -v docker >/dev/null && continue ;;
      # Ubuntu has the browser as a snap only; its tests are skipped where there is none.
      chromium) command -v chromium google-chrome >/dev/null || is_ubuntu && continue ;;
    esac
    echo "$package"
  done
}

is_ubuntu() { grep -qE '^(ID|ID_LIKE)=.*ubuntu' /etc/os-release; }

service_policy_is_ours() { [ "$(cat "$SERVICE_POLICY" 2>/dev/null)" = "$SERVICE_POLICY_TEXT" ]; }

remove_service_policy() {
  if service_policy_is_ours; then rm -f "$SERVICE_POLICY"; fi
}

# Those of the packages' services that the machine has already, and may use.
services_there() {
  local names
  read -ra names <<<"${SERVICES_OF_PACKAGE[*]}"
  systemctl list-unit-files --no-legend "${names[@]}" 2>/dev/null | sed 's/ .*//'
}

install_system_packages() {
  local missing=() services=() there=() result=0 lock
  command -v dpkg-query >/dev/null || die "needs Debian or Ubuntu"
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} -eq 0 ] && ! { service_policy_is_ours && [ -w "$SERVICE_POLICY" ]; }; then return; fi
  need_root
  # Two commands at once: the second waits, and finds the work done.
  exec {lock}>/run/dtr-cache-packages.lock
  flock "$lock"
  # Of a run that was killed while it installed packages: no service of this machine would start any more.
  remove_service_policy
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} -eq 0 ]; then
    exec {lock}>&-
    return
  fi
  say "Installing ${#missing[@]} system packages"
  apt-get update -qq >&2 || die "apt-get could not read the package lists"
  if [ -z "$(apt-cache search --names-only '^docker-cli$')" ]; then
    mapfile -t missing < <(printf '%s\n' "${missing[@]}" | grep -vxF docker-cli)
  fi
  mapfile -t there < <(services_there)
  [ -e "$SERVICE_POLICY" ] || {
    printf '%s\n' "$SERVICE_POLICY_TEXT" >"$SERVICE_POLICY"
    chmod 755 "$SERVICE_POLICY"
  }
  # --no-remove: rather fail than take away a package that somebody uses.
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove "${missing[@]}" >&2 || result=$?
  remove_service_policy
  [ "$result" -eq 0 ] || die "apt-get could not install: ${missing[*]}"
  mapfile -t services < <(services_there | grep -vxF "$(printf '%s\n' "${there[@]:-none}")")
  if [ ${#services[@]} -gt 0 ]; then systemctl --quiet disable "${services[@]}" 2>/dev/null || true; fi
  exec {lock}>&-
}

# The oldest Python for which tests/requirements.txt has all packages, and the first releases that have it.
TESTS_PYTHON=3.12
TESTS_MACHINES="Debian 13 or Ubuntu 24.04"

# Prints the newest Python from TESTS_PYTHON on that has a module: newest_python MODULE
newest_python() {
  local name python
  for name in $(compgen -c python3. | grep -E '^python3\.[0-9]+$' | sort -t. -k2 -rnu) python3; do
    # A version manager's shim may come first in PATH and refuse to start, so each one in PATH is tried.
    for python in $(type -aP "$name"); do
      if "$python" -c "import $1, sys; sys.exit(sys.version_info < (${TESTS_PYTHON/./, }))" 2>/dev/null; then
        echo "$python"
        return
      fi
    done
  done
  return 1
}

need_machine() {
  newest_python sys >/dev/null ||
    die "needs Python $TESTS_PYTHON or newer, as $TESTS_MACHINES and later releases have it; this is $(distribution)"
}

distribution() {
  local name
  name=$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null | tr -d '"')
  echo "${name:-another system}"
}

install_tools() {
  local wanted python lock
  wanted=$(sha256sum <"$PROJECT/tests/requirements.txt")
  if [ "$(cat "$TOOLS/.installed" 2>/dev/null)" != "$wanted" ]; then
    mkdir -p "$(dirname "$TOOLS")"
    # Two commands at once: the second waits, and finds the work done.
    exec {lock}>"$TOOLS.lock"
    flock "$lock"
    if [ "$(cat "$TOOLS/.installed" 2>/dev/null)" != "$wanted" ]; then
      if ! "$TOOLS/bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(newest_python ensurepip) || die "needs Python's module venv, which package python3-venv has"
        say "Making a virtual environment ($("$python" --version))"
        "$python" -m venv --clear "$TOOLS" || die "could not make the virtual environment $TOOLS"
      fi
      say "Installing the Python tools"
      # Most of it is never imported: what is, Python compiles then.
      "$TOOLS/bin/python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-compile \
        -r "$PROJECT/tests/requirements.txt" >&2 || die "pip could not install tests/requirements.txt"
      # Beside Ansible's own, so that only the tests of AWX find it.
      collections_of_package "$(sed -n 's/^# collections: //p' "$PROJECT/tests/requirements.txt")" "$TOOLS/bin/python" \
        "$TOOLS/awx" awx/awx || die "pip could not load awx.awx"
      echo "$wanted" >"$TOOLS/.installed"
    fi
    exec {lock}>&-
  fi
  PATH=$TOOLS/bin:$PATH
  export PATH
}

# Takes some of the collections out of a package of them: collections_of_package PACKAGE PYTHON FOLDER NAMESPACE/NAME…
collections_of_package() {
  local package=$1 python=$2 folder=$3 wheels
  shift 3
  wheels=$(mktemp -d)
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$wheels" \
    "$package" >&2 || return
  "$python" - "$folder" "$wheels"/ansible-*.whl "$@" <<'PYTHON' || return
import sys
import zipfile

folder, package, *names = sys.argv[1:]
wanted = tuple(f"ansible_collections/{name}/" for name in names)
with zipfile.ZipFile(package) as wheel:
    wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith(wanted)])
PYTHON
  rm -rf "$wheels"
}

bootstrap() {
  local tools=
  need_machine
  # Two downloads side by side, where Python can make environments before packages are installed.
  if newest_python ensurepip >/dev/null; then
    (install_tools) &
    tools=$!
  fi
  install_system_packages
  # What it could not do is told by the next line.
  [ -z "$tools" ] || wait "$tools" || true
  install_tools
}
