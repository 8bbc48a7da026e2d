# shellcheck shell=bash
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced after bootstrap.sh by what runs the collection from this checkout, wherever that was cloned to, or from an
# archive of it.

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

# Build the archive of a checkout into a folder. It holds the guides as docs.ansible.com shows them, made from the pages.
build_archive() {
  local checkout=$1 folder=$2 made
  python "$checkout/tests/lib/guides.py" "$checkout"
  ansible-galaxy collection build --force --output-path "$folder" "$checkout" >&2 && made=0 || made=1
  rm -r "$checkout"/docs/docsite/{rst,extra-docs.yml}
  return "$made"
}

# An archive of the collection in an empty folder. The tools have community.docker; nothing is asked of a server.
install_archive() {
  local archive=$1 folder=$2 log
  # Otherwise one that Ansible finds elsewhere, such as this checkout, would do.
  log=$(ansible-galaxy collection install --force --no-deps --collections-path "$folder" "$archive" 2>&1) || {
    printf '%s\n' "$log"
    die "could not install $archive"
  }
}

# The same from an archive that was installed there, as on a machine that does not have this checkout.
play_without_checkout() (
  local folder=$1
  shift
  cp -rT "$PROJECT/inventory/lab" "$folder/inventory"
  cd "$folder" || exit
  unset PYTHONPATH
  # shellcheck disable=SC2016  # for the inner shell
  ANSIBLE_COLLECTIONS_PATH=$folder exec unshare --mount --propagation private \
    sh -c 'mount -t tmpfs none "$0" && exec "$@"' "$PROJECT" "$TOOLS/bin/ansible-playbook" -i inventory "$@"
)
