#!/bin/sh
# Change the rules in small ways, one at a time, and see whether a test notices (mutmut). Takes minutes to hours:
#   tools/mutants.sh                                        every module of MODULES
#   tools/mutants.sh _util/version.py publish/matching.py   these only
# What no test has noticed is listed at the end; `cd build/mutants && ../../.venv-mutants/bin/mutmut show NAME` shows one.
set -eu
cd "$(dirname "$0")/.."
MODULES="_util/version.py publish/matching.py publish/targets.py publish/plan.py promotion/rules.py audit/script.py
    settings/ladder.py settings/coercion.py settings/sources.py"
TESTS="tests/audit/test_versions.py tests/audit/test_script_text.py tests/audit/test_render.py tests/plan tests/settings
    tests/promotion/test_rules.py tests/keys"
here=$PWD work=build/mutants
[ $# -gt 0 ] || set -- $MODULES

quoted() {
    for word in "$@"; do printf '"%s", ' "$word"; done
}

# mutmut knows packages in `src` only, so it works on a copy in which `shared` is called that.
mkdir -p "$work"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf - | tar xf - -C "$work"
cd "$work"
rm -rf src mutants
mv shared src
sed -i.bak 's/^pythonpath = .*/pythonpath = ["src", "."]/' pyproject.toml
sources=$(for module in "$@"; do quoted "src/kandji_uploader/$module"; done)
# shellcheck disable=SC2086
cat >>pyproject.toml <<END

[tool.mutmut]
source_paths = [$sources]
pytest_add_cli_args_test_selection = [$(quoted ${MUTANT_TESTS:-$TESTS})]
pytest_add_cli_args = ["-p", "no:cacheprovider"]
also_copy = ["src", "tests", "audit", "docs", "examples", "README.md", "KandjiUploader.py"]
END
# A change that makes a loop endless ends at this much memory (in KiB), where the system can limit it.
ulimit -v 4000000 2>/dev/null || :
PYTHONDONTWRITEBYTECODE=1 "$here/.venv-mutants/bin/mutmut" run --max-children "${WORKERS:-2}" | tail -n 3
"$here/.venv-mutants/bin/mutmut" results
