#!/usr/bin/env bash
# Writes package-lock.json from nothing, so that it names every platform's optional packages and not only this machine's.
set -euo pipefail
cd "$(dirname "$0")/.."
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
git ls-files -z '*package.json' .npmrc | tar cf - --null -T - | tar xf - -C "$folder"
(cd "$folder" && npm install --package-lock-only --no-audit --no-fund >/dev/null 2>&1)
cp "$folder/package-lock.json" package-lock.json
