#!/usr/bin/env bash
# Installs what the tests need beside Python and Node: a Chromium from Debian's packages.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium)

if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi
install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "The tests need: ${missing[*]}. On Debian, as root:  apt-get update && $install" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
$install >/dev/null
