#!/bin/sh
# What the container runs: `kandji-uploader` with the words it was given, or the schedule, cycle after cycle.
#
# Secrets may come as files (Docker secrets): KANDJI_TOKEN_FILE and SLACK_TOKEN_FILE name them.
# What is mounted at /config is linked into the folder that kandji-uploader reads. A link, and not a copy or a mount of
# a single file, so that an edit counts from the next cycle on even where the editor puts a new file in the old one's place.
set -eu

folder=${KANDJI_UPLOADER_DIR:-/data}
mounted=${KANDJI_UPLOADER_MOUNT:-/config}

fail() {
    echo "entrypoint: $1" >&2
    exit 2
}

from_file() {
    eval "path=\${$1_FILE:-}"
    [ -n "$path" ] || return 0
    if [ ! -f "$path" ] || [ ! -r "$path" ]; then
        fail "$1_FILE names $path, which is not a file that user $(id -u) can read"
    fi
    value=$(cat "$path")
    [ -n "$value" ] || fail "$path, which $1_FILE names, is empty"
    export "$1=$value"
    unset "$1_FILE"
}

from_file KANDJI_TOKEN
from_file SLACK_TOKEN

if [ ! -d "$folder" ] || [ ! -w "$folder" ]; then
    fail "$folder is not a folder that user $(id -u) can write; mount a volume there"
fi
export KANDJI_UPLOADER_DIR="$folder"
export KANDJI_UPLOADER_STATE_DIR="${KANDJI_UPLOADER_STATE_DIR:-$folder/state}"
for stem in config package_map tenants brew_cron; do
    for suffix in yaml yml json; do
        name=$stem.$suffix
        if [ -f "$mounted/$name" ]; then
            if [ -e "$folder/$name" ] && [ ! -L "$folder/$name" ]; then
                fail "both $mounted and $folder hold $name; remove one"
            fi
            ln -sf "$mounted/$name" "$folder/$name"
        elif [ -L "$folder/$name" ]; then
            rm -f "$folder/$name"
        fi
    done
done

case "${1:-}" in
"") exec kandji-uploader schedule run --loop ;;
kandji-uploader | sh | /*) exec "$@" ;;
*) exec kandji-uploader "$@" ;;
esac
