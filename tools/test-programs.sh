#!/bin/sh
# The programs that the tests call beside Python: zsh runs the audit script, fish completes, 7-Zip reads disk images,
# Chromium shows pages, valgrind counts instructions (there is none for macOS).
# Installed where that can be done without asking; otherwise one line says what is missing, and pytest shows what it skips.
set -u
need=""
command -v zsh >/dev/null 2>&1 || need="$need zsh"
command -v fish >/dev/null 2>&1 || need="$need fish"
command -v 7zz >/dev/null 2>&1 || command -v 7z >/dev/null 2>&1 || command -v hdiutil >/dev/null 2>&1 || need="$need 7zip"
command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 || need="$need chromium chromium-driver"
[ "$(uname)" != Linux ] || command -v valgrind >/dev/null 2>&1 || need="$need valgrind"
[ -z "$need" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing for the tests:$need"
    apt-get -qq update
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $need >/dev/null 2>&1 && exit 0
fi
echo "not on this machine, so the tests that need them are skipped:$need (Debian: sudo apt-get install$need)"
exit 0
