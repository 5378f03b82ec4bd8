#!/usr/bin/env bash
# Installs what the tests need beside Python and Node, from Debian's packages: a Chromium, PostgreSQL
# and Redis, of which they run servers of their own, and what the documentation's examples use.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 ||
  missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
for tool in curl jq openssl; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done

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
