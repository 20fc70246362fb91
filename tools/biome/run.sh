#!/bin/sh
# Biome, from its makers' npm package, at the version and with the digests of package-lock.json: installed where that
# has not been done, then started with the words given.
# Without npm (or without its registry) one line says so and all is well, but with NPM_REQUIRED=1 (our workflow) it fails.
set -u
here=$(dirname "$0")
modules=$here/node_modules

without() {
    echo "the pages' CSS and JavaScript were not checked: $1" >&2
    exit "${NPM_REQUIRED:-0}"
}

if ! cmp -s "$here/package-lock.json" "$modules/installed.json"; then
    command -v npm >/dev/null 2>&1 || without "there is no npm here; it comes with Node.js (https://nodejs.org)"
    npm ci --prefix "$here" --ignore-scripts --no-audit --no-fund --silent \
        --fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=30000 >/dev/null 2>&1 ||
        without "npm could not install Biome; \`npm ci --prefix $here --ignore-scripts\` says why"
    cp "$here/package-lock.json" "$modules/installed.json"
fi
exec "$modules/.bin/biome" "$@"
