"""Which entry of the recipe map is a recipe's, and what is said of it, to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from kandji_uploader.settings.recipes import RecipeMatch, RecipeNames, bare_name, find_entry, identifier_of
from kandji_uploader.settings.sources import Complaints

MAP = Path("/settings/recipe_map.yaml")


def found(keys, name=None, identifier=None, parents=(), *, by_part=False):
    """The match, and what was told beside it."""
    complaints = Complaints()
    entries = {key: {} for key in keys}
    match = find_entry(MAP, entries, RecipeNames(name, identifier, by_part=by_part), parents, complaints)
    return match, complaints.warnings, [str(problem) for problem in complaints.problems]


def test_a_bare_name_has_no_folder_and_no_ending():
    names = ["/a/b/A.pkg.recipe", "b/A.pkg.recipe.yaml", "A.pkg.recipe.plist", "A.pkg"]
    assert {bare_name(name) for name in names} == {"A.pkg"}


@pytest.mark.parametrize(
    ("keys", "name", "identifier", "match"),
    [
        (["A"], "A.recipe", None, RecipeMatch("A", "it is the name of this recipe", {})),
        (["com.a"], "A.recipe", "com.a", RecipeMatch("com.a", "it is the identifier of this recipe", {})),
        (["B"], "A.recipe", "com.a", RecipeMatch("", "looked for A, com.a", {})),
        ([""], None, "com.a", RecipeMatch("", "looked for com.a", {})),
    ],
)
def test_an_entry_is_told_with_why_it_is_the_one(keys, name, identifier, match):
    assert found(keys, name, identifier) == (match, [], [])


def test_what_was_looked_for_are_the_recipe_and_its_parents(tmp_path):
    near = tmp_path / "Near.recipe.yaml"
    near.write_text("Identifier: com.near")
    far = tmp_path / "Far.recipe"
    match, *_ = found(["Other"], "A.recipe", "com.a", [near, far])
    assert match.why == "looked for A, com.a, Near, com.near, Far"
    match, *_ = found(["com.near"], "A.recipe", "com.a", [near, far])
    assert match.why == f"it is the identifier of its parent recipe {near}"
    match, *_ = found(["Far"], "A.recipe", "com.a", [near, far])
    assert match.why == f"it is the name of its parent recipe {far}"


def test_a_part_of_a_name_is_taken_for_kappa_with_advice_and_told_to_others():
    match, warnings, problems = found(["Chrome"], "GoogleChrome.pkg.recipe", by_part=True)
    assert match == RecipeMatch("Chrome", "it is a part of the name of this recipe, as KAPPA had it", {})
    told = (
        f"{MAP}: Chrome is a part of the recipe's name GoogleChrome.pkg.recipe, and KAPPA took its entry, so this run "
        "does, too. Write the whole name as the key: GoogleChrome.pkg"
    )
    assert (warnings, problems) == ([told], [])
    for by_part in (True, False):
        assert found(["Firefox"], "GoogleChrome.pkg.recipe", by_part=by_part)[0].key == ""
    advice = "a key must be the recipe's whole name or identifier"
    match, warnings, _ = found(["Chrome"], "GoogleChrome.pkg.recipe")
    assert (match.key, warnings) == ("", [f"{MAP}: no entry for GoogleChrome.pkg, but one for Chrome; {advice}"])
    assert found(["GoogleChrome.download"], "GoogleChrome.pkg.recipe")[1] == []


def test_keys_that_mean_the_same_recipe_are_told_with_the_map():
    text = "mean the same recipe; keep one of them"
    assert found(["A", "A.recipe"], "B.recipe")[2] == [f"{MAP}: A and A.recipe: {text}"]
    assert found(["A", "com.a"], "A.recipe", "com.a")[2] == [f"{MAP}: A and com.a: {text}"]


PLIST = '<?xml version="1.0"?><plist version="1.0"><dict>%s</dict></plist>'


@pytest.mark.parametrize(
    ("name", "content", "identifier"),
    [
        ("A.recipe.yaml", "Identifier: com.a", "com.a"),
        ("A.recipe.YML", "Identifier: com.a", "com.a"),
        ("A.recipe", PLIST % "<key>Identifier</key><string>com.a</string>", "com.a"),
        ("A.recipe.yaml", "Input: {IDENTIFIER: com.old}", "com.old"),
        ("A.recipe.yaml", "Input: [IDENTIFIER]", None),
        ("A.recipe.yaml", "Identifier: 5", None),
        ("A.recipe.yaml", "{}", None),
    ],
)
def test_the_identifier_of_a_recipe_is_read_from_either_format(tmp_path, name, content, identifier):
    path = tmp_path / name
    path.write_text(content)
    assert identifier_of(path) == identifier
