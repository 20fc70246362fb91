#!/bin/sh
# Make a virtual environment and install the project into it, also on machines whose python3 comes without venv.
# usage: tools/venv.sh FOLDER PYTHON [pip install arguments...]
set -eu
folder=$1 python=$2
shift 2

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || {
    echo "Python 3.10 or newer is needed, and '$python' is not: install one, or name it: make PYTHON=/path/to/python3" >&2
    exit 1
}

stamp=$folder/.installed
if [ -f "$stamp" ] && [ "$stamp" -nt pyproject.toml ] && [ "$(cat "$stamp")" = "$*" ]; then
    exit 0
fi

if [ ! -x "$folder/bin/python" ]; then
    rm -rf "$folder"
    if ! "$python" -m venv "$folder" >/dev/null 2>&1; then
        rm -rf "$folder"
        if command -v uv >/dev/null 2>&1; then
            uv venv --quiet --seed --python "$python" "$folder"
        elif "$python" -m virtualenv --version >/dev/null 2>&1; then
            "$python" -m virtualenv --quiet "$folder"
        elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            echo "this Python has no venv: installing Debian's package for it"
            version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
            apt-get -qq update
            DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "python$version-venv" >/dev/null
            "$python" -m venv "$folder"
        else
            echo "this Python has no venv. Install it first: sudo apt-get install python3-venv (or install uv)" >&2
            exit 1
        fi
    fi
fi

"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
printf '%s' "$*" >"$stamp"
