#!/bin/sh
# Change the rules in small ways, one at a time, and see whether a test notices (mutmut). Takes minutes to hours:
#   tools/mutants.sh                                        every module of MODULES
#   tools/mutants.sh _util/version.py publish/matching.py   these only
# What no test has noticed is listed at the end of each module. Of the last one `mutmut show NAME` shows one
# (`cd build/mutants && ../../.venv-mutants/bin/mutmut show NAME`).
set -eu
cd "$(dirname "$0")/.."
MODULES="_util/version.py publish/matching.py publish/targets.py publish/plan.py promotion/rules.py audit/script.py
    settings/ladder.py settings/loading.py settings/recipes.py settings/coercion.py settings/sources.py"
# A program that a test starts does not find mutmut; cases that are generated or need zsh would be run for each change.
LEFT_OUT="nothing_but_the_standard_library or missing_pyyaml or whatever_a_ or schema_refuses or schema_takes
 or zsh_reads_exactly or no_rendered_script_executes or every_value or carried_along or can_be_read or config_command"
here=$PWD work=build/mutants

# The narrowest tests that hold the rules of a module; MUTANT_TESTS names others.
tests_of() {
    case $1 in
        _util/version.py) echo tests/audit/test_versions.py ;;
        audit/*) echo tests/audit/test_script_text.py tests/audit/test_render.py ;;
        promotion/*) echo tests/promotion/test_rules.py ;;
        settings/*) echo tests/settings ;;
        *) echo tests/plan ;;
    esac
}

quoted() {
    for word in "$@"; do printf '"%s", ' "$word"; done
}

# mutmut knows packages in `src` only, so it works on a copy in which `shared` is called that.
copy() {
    rm -rf "$work"
    mkdir -p "$work"
    git ls-files -z --cached --others --exclude-standard | xargs -0 tar cf - | tar xf - -C "$work"
    mv "$work/shared" "$work/src"
    sed -i.bak 's/^pythonpath = .*/pythonpath = ["src", "."]/' "$work/pyproject.toml"
    # shellcheck disable=SC2046,SC2086
    cat >>"$work/pyproject.toml" <<END

[tool.mutmut]
source_paths = ["src/kandji_uploader/$1"]
pytest_add_cli_args_test_selection = [$(quoted ${MUTANT_TESTS:-$(tests_of "$1")})]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-k", "not ($(echo $LEFT_OUT))"]
also_copy = ["src", "tests", "audit", "docs", "examples", "README.md", "KandjiUploader.py"]
END
}

[ $# -gt 0 ] || set -- $MODULES
# A change that makes a loop endless ends at this much memory (in KiB), where the system can limit it.
ulimit -v 4000000 2>/dev/null || :
for module in "$@"; do
    copy "$module"
    echo "== $module"
    (
        cd "$work"
        PYTHONDONTWRITEBYTECODE=1 "$here/.venv-mutants/bin/mutmut" run --max-children "${WORKERS:-2}" | tail -n 3
        "$here/.venv-mutants/bin/mutmut" results
    )
done
