# shellcheck shell=bash
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced after bootstrap.sh by what runs the collection from this checkout, wherever that was cloned to.

# Ansible finds a collection only in a folder ansible_collections/NAMESPACE/NAME: a link of that form, one a checkout.
link_collection() {
  local folder
  folder=$TOOLS/checkouts/$(printf '%s' "$PROJECT" | md5sum | cut -c1-12)
  mkdir -p "$folder/ansible_collections/dtr"
  ln -sfn "$PROJECT" "$folder/ansible_collections/dtr/cache"
  # Python's tests import the collection by its full name.
  export ANSIBLE_COLLECTIONS_PATH=$folder PYTHONPATH=$folder
}

# The commands of the tools, so that a newcomer needs nothing in PATH.
play() {
  "$TOOLS/bin/ansible-playbook" -i "$PROJECT/inventory/lab" "$@"
}
