#!/bin/sh
# Runs a script of this folder in Chromium:
#   spec/browser/run.sh BUILD_FOLDER blog.js
# 77 where something is missing that it needs, which is said. Pictures of the
# pages are kept in BUILD_FOLDER/screenshots.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
script=$2

skip() {
  echo "skipped: $*" >&2
  exit 77
}

for name in ${CHROMIUM:-} chromium chromium-browser google-chrome; do
  CHROMIUM=$(command -v "$name") && break
done
[ -n "${CHROMIUM:-}" ] || skip 'no Chromium here (apt install chromium)'
command -v node >/dev/null || skip 'no Node.js here (apt install nodejs)'
command -v npm >/dev/null || skip 'no npm here (apt install npm)'

# Once for all scripts, which may start at the same time; again where another
# version is wanted.
modules=$build/browser
mkdir -p "$modules"
(
  flock 9
  cmp -s "$here/package.json" "$modules/installed.json" && exit 0
  cp "$here/package.json" "$modules/package.json"
  cd "$modules"
  npm install --no-audit --no-fund --loglevel=error >npm.log 2>&1 &&
    cp package.json installed.json
) 9>"$modules/lock" || skip "npm could not install the packages: see $modules/npm.log"

NODE_PATH=$modules/node_modules BUILD=$build CHROMIUM=$CHROMIUM
export NODE_PATH BUILD CHROMIUM
exec node "$here/$script"
