# shellcheck shell=bash
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced after bootstrap.sh: virtual environments beside the tools, and in them the combinations of tests/versions.yml, each
# given as its ansible-core, community.docker, the package that has it, and Python.

# Makes an environment, once for each list of packages: virtual_environment FOLDER PYTHON PACKAGE…
virtual_environment() {
  local folder=$1 python=$2 wanted each lock result=0
  shift 2
  # Of files their contents, which are the same in other checkouts.
  wanted=$("$python" --version && for each; do if [ -f "$each" ]; then cat "$each"; else echo "$each"; fi; done)
  mkdir -p "$(dirname "$folder")"
  # Two commands at once: the second waits, and finds the work done.
  exec {lock}>"$folder.lock"
  flock "$lock"
  if [ "$(cat "$folder/.installed" 2>/dev/null)" != "$wanted" ]; then
    "$python" -m venv --clear "$folder" &&
      "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-compile "$@" >&2 &&
      echo "$wanted" >"$folder/.installed" || result=1
  fi
  exec {lock}>&-
  return "$result"
}

# A Python of a version that can make environments, also of a version manager, whose shims may refuse to start.
python_of_version() {
  local python
  for python in "python$1" "/usr/bin/python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    if "$python" -c 'import ensurepip, ssl' 2>/dev/null; then
      command -v "$python"
      return
    fi
  done
  return 1
}

combinations() { "$TOOLS/bin/python" "$PROJECT/tests/lib/versions.py" "$@"; }

# Of the oldest ansible-core and community.docker, with the oldest Python for them that the machine has.
oldest_combination() {
  local combination
  while read -ra combination; do
    if python_of_version "${combination[3]}" >/dev/null; then
      echo "${combination[*]}"
      return
    fi
  done < <(combinations --oldest)
  return 1
}

environment_of() { echo "$TOOLS-core$1-docker$2-python$4"; }

# The packages of the control node are the newest, and for the first combination the oldest that requirements.txt allows.
install_combination() {
  local core=$1 package=$3 python folder needed=(-r "$PROJECT/requirements.txt")
  folder=$(environment_of "$@")
  python=$(python_of_version "$4") || return
  if [ "$*" = "$(combinations | sed -n 1p)" ]; then
    mapfile -t needed < <(sed -n 's/^\([A-Za-z].*\)>=\(.*\)/\1==\2.*/p' "$PROJECT/requirements.txt")
  fi
  virtual_environment "$folder" "$python" "ansible-core==$core.*" "${needed[@]}" \
    -r "$PROJECT/tests/unit/requirements.txt" pytest pytest-mock pytest-xdist || return
  if [ "$(cat "$folder/.collections" 2>/dev/null)" != "$package" ]; then
    # Such a package may be for newer Pythons than its collections are.
    collections_of_package "$package" "$TOOLS/bin/python" \
      "$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
      community/docker community/library_inventory_filtering_v1 || return
    echo "$package" >"$folder/.collections"
  fi
}

# Runs a command in its environment, from the folder of a collection that Ansible finds.
with_combination() {
  local folder
  folder=$(environment_of "$@")
  shift 4
  PATH=$folder/bin:$PATH PYTHONPATH=$ANSIBLE_COLLECTIONS_PATH "$@"
}

# What is there is what was meant, and all playbooks can be read.
syntax_with() {
  local said
  said=$(with_combination "$@" ansible-galaxy collection list community.docker && with_combination "$@" ansible --version)
  if [[ $said != *"community.docker $2."* || $said != *"[core $1."* || $said != *"python version = $4."* ]]; then
    printf '%s\n' "$said"
    return 1
  fi
  with_combination "$@" ansible-playbook --syntax-check -i localhost, playbooks/*.yml >/dev/null
}

# Unit tests by its own Python: those named, or all.
units_with() {
  local combination=("${@:1:4}")
  shift 4
  [ $# -gt 0 ] || set -- tests/unit
  with_combination "${combination[@]}" python -m pytest -q -p no:cacheprovider -n 2 "$@"
}

# The roles that need no Swarm, twice in all forms. pytest and the stand-in are the tools'.
twice_with() {
  with_combination "$@" "$TOOLS/bin/python" -m pytest -q -n 2 tests/integration/registry/test_twice.py
}
