"""The names of permissions are those of the requests: what an error names is what has to be added to the token."""

import uuid

import pytest

from kandji_uploader.kandji.permissions import PROBED, needed_for
from kandji_uploader.rehearsal import service

ROUTES = {route.permission: route for route in service._ROUTES}


@pytest.mark.parametrize("name", ROUTES)
def test_the_permission_that_an_error_names_is_the_one_that_the_request_needs(name):
    path = ROUTES[name].pattern.pattern.replace(service._ITEM, str(uuid.uuid4()))
    assert needed_for(f"{ROUTES[name].method} {path}") == name


@pytest.mark.parametrize("permission", PROBED, ids=lambda each: each.name)
def test_a_probe_is_sent_to_the_request_that_the_permission_is_for(permission):
    assert ROUTES[permission.name].method == permission.method
    assert ROUTES[permission.name].pattern.fullmatch(permission.address)


def test_a_request_that_no_permission_is_known_for_is_named_itself():
    assert needed_for("PUT library/custom-apps") == "PUT library/custom-apps"
