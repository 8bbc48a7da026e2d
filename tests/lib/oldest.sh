# shellcheck shell=bash
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced after bootstrap.sh by tests/run: the oldest ansible-core that the collection is for, in a virtual environment
# of its own beside the tools, with the oldest community.docker.

OLDEST=$TOOLS-oldest
# What control nodes with this ansible-core run on.
OLDEST_PYTHONS=(3.10 3.11 3.12)

# The oldest Python for it, also of a version manager, whose shims may refuse to start.
oldest_python() {
  local version python
  for version in "${OLDEST_PYTHONS[@]}"; do
    for python in "/usr/bin/python$version" "/usr/local/bin/python$version" \
      "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
      if "$python" -c 'import ensurepip, ssl' 2>/dev/null; then
        echo "$python"
        return
      fi
    done
  done
  return 1
}

install_oldest() {
  local python=$1 requirements=$PROJECT/tests/requirements-oldest.txt wanted lock
  wanted=$("$python" --version && sha256sum <"$requirements")
  mkdir -p "$(dirname "$OLDEST")"
  # Two commands at once: the second waits, and finds the work done.
  exec {lock}>"$OLDEST.lock"
  flock "$lock"
  if [ "$(cat "$OLDEST/.installed" 2>/dev/null)" != "$wanted" ]; then
    say "Installing the oldest ansible-core ($("$python" --version))"
    "$python" -m venv --clear "$OLDEST" || return
    "$OLDEST/bin/python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
      -r "$requirements" >&2 || return
    # Of the collections in the package, the two that are needed.
    collections_of_package "$requirements" "$OLDEST/bin/python" \
      "$("$OLDEST/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
      community/docker community/library_inventory_filtering_v1 || return
    echo "$wanted" >"$OLDEST/.installed"
  fi
  exec {lock}>&-
}

# All playbooks are read, and the roles that need no Swarm run in all forms. pytest itself is the tools'.
oldest_ansible() {
  install_oldest "$1" || return
  "$OLDEST/bin/ansible-playbook" --version | head -n 1
  "$OLDEST/bin/ansible-playbook" --syntax-check -i localhost, playbooks/*.yml >/dev/null || return
  PATH=$OLDEST/bin:$PATH PYTHONPATH=$ANSIBLE_COLLECTIONS_PATH "$TOOLS/bin/python" -m pytest -q -n 2 tests/integration/registry/test_twice.py
}
