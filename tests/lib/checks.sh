# shellcheck shell=bash
# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Sourced after bootstrap.sh by what runs checks: counts those that passed and failed, and says so at its end, whatever
# ends it. Sets the trap EXIT; who has something to tidy up defines a function tidy_up.

passed=0
failed=()
untried=()
under_way=preparation

# How long a command takes, and how much of the processors: what is bound by them shows.
TIMEFORMAT='%0R s, of processors %0U + %0S s'

check() {
  local name=$1 result=ok took
  shift
  under_way=$name
  say "$name"
  took=$(mktemp)
  { time "$@" 2>&3; } 3>&2 2>"$took" || result=FAILED
  if [ "$result" = ok ]; then passed=$((passed + 1)); else failed+=("$name"); fi
  printf '%s: %s (%s)\n' "$result" "$name" "$(cat "$took")"
  rm -f "$took"
  under_way=
}

# What this machine cannot check is said where it is passed over, and at the end.
not_tried() {
  untried+=("$1")
  printf 'not tried: %s\n' "$1"
}

finish() {
  local code=$?
  trap - EXIT
  # Neither a refusal nor a kill may look like a success.
  if [ "$code" -ne 0 ] && [ ${#failed[@]} -eq 0 ]; then failed+=("${under_way:-what follows}: ended with status $code"); fi
  if declare -F tidy_up >/dev/null; then tidy_up; fi
  [ ${#failed[@]} -eq 0 ] || printf 'failed: %s\n' "${failed[@]}"
  [ ${#untried[@]} -eq 0 ] || printf 'not tried: %s\n' "${untried[@]}"
  printf '\n%d passed, %d failed\n' "$passed" "${#failed[@]}"
  # Without a number, exit would give what it was before this trap.
  [ ${#failed[@]} -eq 0 ] || exit 1
}
trap finish EXIT
