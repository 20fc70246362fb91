#!/bin/sh
# Change the rules in small ways, one at a time, and see whether a test notices (mutmut). Takes minutes to hours:
#   tools/mutants.sh                                        every module of MODULES
#   tools/mutants.sh _util/version.py publish/matching.py   these only
# What no test has noticed is listed at the end of each module. Of the last one `mutmut show NAME` shows one
# (`cd build/mutants && ../../.venv-mutants/bin/mutmut show NAME`).
set -eu
cd "$(dirname "$0")/.."
MODULES="_util/version.py publish/matching.py publish/targets.py publish/plan.py promotion/rules.py audit/script.py
    settings/ladder.py settings/loading.py settings/recipes.py settings/coercion.py settings/sources.py settings/schema.py"
# A program that a test starts does not find mutmut; cases that are generated or need zsh would be run for each change.
LEFT_OUT="nothing_but_the_standard_library or missing_pyyaml or missing_keyring or whatever_a_ or schema_refuses or schema_takes
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

# What runs while the module is imported is not run again by mutmut, so each change of it gets a process of its own.
at_import() {
    cd "$work"
    mutmut=$here/.venv-mutants/bin/mutmut
    # It makes the changed module and stops, for there is no change of that name.
    "$mutmut" run --max-children 1 none >/dev/null 2>&1 || :
    cd mutants
    # shellcheck disable=SC2046,SC2086
    (cd .. && "$mutmut" results --all true) | sed -n 's/^ *\(kandji_uploader[^:]*\):.*/\1/p' |
        PYTHONDONTWRITEBYTECODE=1 xargs -P "${WORKERS:-2}" -I NAME sh -c '
            for tests in tests/settings/test_json_schema.py "$4"; do # what tells most of them at once comes first
                MUTANT_UNDER_TEST=$1 "$2" -m pytest -x -q -p no:cacheprovider -k "not ($3)" $tests >"../$1.log" 2>&1 ||
                    exit 0
            done
            echo "    $1: survived"
        ' - NAME "$here/.venv-mutants/bin/python" "$(echo $LEFT_OUT)" "${MUTANT_TESTS:-$(tests_of "$1")}"
}

[ $# -gt 0 ] || set -- $MODULES
# A change that makes a loop endless ends at this much memory (in KiB), where the system can limit it.
ulimit -v 4000000 2>/dev/null || :
for module in "$@"; do
    copy "$module"
    echo "== $module"
    case $module in settings/schema.py) (at_import "$module") && continue ;; esac
    (
        cd "$work"
        PYTHONDONTWRITEBYTECODE=1 "$here/.venv-mutants/bin/mutmut" run --max-children "${WORKERS:-2}" | tail -n 3
        "$here/.venv-mutants/bin/mutmut" results
    )
done
