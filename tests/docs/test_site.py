"""The site has every page, and no link on it is dead, anchors included; `make docs` builds it."""

from __future__ import annotations

import re

import pytest

from tools import site

PAGES = site.pages()


def anchors(text):
    """The addresses of the headings of a page, as the site and GitHub make them."""
    headings = re.findall(r"^#+ (.+?)\s*$", re.sub(r"(?ms)^```.*?^```", "", text), flags=re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", each)).strip().lower() for each in headings)
    return {re.sub(r"\s", "-", each) for each in plain}


def test_every_page_is_in_the_navigation_once():
    assert sorted(name for names in site.PAGES.values() for name in names) == sorted(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_no_link_is_dead(name):
    text = re.sub(r"(?ms)^```.*?^```", "", PAGES[name])
    for path, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", text):
        if path.startswith(site.SOURCE):
            assert (site.ROOT / path.removeprefix(site.SOURCE)).exists(), path
        elif "://" not in path and not path.endswith(".svg"):
            target = PAGES[path or name]
            assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def test_nothing_is_fetched_to_build_it():
    assert "font: false" in site.CONFIG
    assert "plugins: [search]" in site.CONFIG


def test_links_lead_from_where_the_page_is_on_the_site():
    assert "](state.md)" in PAGES["index.md"]
    assert "](index.md)" in site._links("[x](../README.md)", "docs/")
    assert f"]({site.SOURCE}examples)" in site._links("[x](examples/)", "")
