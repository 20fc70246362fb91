"""Who signed a release goes with it: from the test app to the prod app, and back."""

from __future__ import annotations

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.flows import promote
from kandji_uploader.models import Action
from kandji_uploader.publish import releases
from tests.promotion.test_rollback import back, both_at_once
from tests.promotion.world import PROD, TEST, World, by, firefox

JANE, EVE = by("ABCDE12345", "Jane Doe"), by("ZZZZZ99999", "Eve")
JANES, EVES = "ABCDE12345 Jane Doe [package]", "ZZZZZ99999 Eve [package]"


def publish(world: World, version: str, signature, **keys):
    return world.run(firefox(world.folder, version, signature=signature), **keys)


def soaked(world: World, version: str, signature, **keys):
    """A version is published to the test app, has soaked there, and is published again by the next nightly run."""
    first = publish(world, version, signature, **keys)
    world.wait(6)
    world.macs(passed=4)
    return first, publish(world, version, signature)


def signers(world: World, name: str) -> tuple[str, str]:
    ledger = releases.from_notes(audit.read(world.tenant.app(name)["audit_script"]).notes)
    return ledger.signer, ledger.instead_of


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps its state", "forgets everything"])
def test_a_promotion_keeps_who_signed_it(world: World, forgetful: bool) -> None:
    world.forgetful = forgetful
    _, promoted = soaked(world, "1.0", JANE)

    assert world.prod(promoted).action is Action.PROMOTE
    assert world.prod(promoted).signer == "signed by Jane Doe (ABCDE12345), who is remembered from now on"
    assert signers(world, TEST) == signers(world, PROD) == (JANES, "")


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps its state", "forgets everything"])
def test_another_signer_is_stopped_before_the_test_app_and_needs_leave_only_once(world: World, forgetful: bool) -> None:
    world.forgetful = forgetful
    soaked(world, "1.0", JANE)
    refused = publish(world, "2.0", EVE)
    assert "while the version before it was signed by Jane Doe" in refused.outcomes[0].error
    assert world.enforced(TEST) == "1.0"

    _, promoted = soaked(world, "2.0", EVE, allow_signer_change="ZZZZZ99999")
    assert world.prod(promoted).action is Action.PROMOTE, "the key was there only when it came into the test app"
    assert signers(world, PROD) == signers(world, TEST) == (EVES, JANES)
    assert publish(world, "3.0", JANE).outcomes[0].action is Action.REFUSED


def test_the_next_release_of_an_accepted_signer_moves_on_though_the_first_never_did(world: World) -> None:
    soaked(world, "1.0", JANE)
    publish(world, "2.0", EVE, allow_signer_change="ZZZZZ99999")
    _, promoted = soaked(world, "2.1", EVE)

    assert (world.enforced(PROD), world.prod(promoted).action) == ("2.1", Action.PROMOTE)
    assert signers(world, PROD) == (EVES, JANES)


@pytest.mark.parametrize("force", [False, True])
def test_a_pair_that_does_not_belong_together_is_stopped_by_its_signers(world: World, force: bool) -> None:
    publish(world, "1.0", EVE)
    world.tenant.reset_requests()
    other = {**world.keys, "prod_name": "Other", "test_name": "Other (Test)"}
    world.keys, kept = {key: value for key, value in other.items() if key != "promotion"}, world.keys
    publish(world, "0.5", JANE)
    world.keys = kept
    pair = promote.named_pair("Other", TEST, world.host)
    (result,) = promote.promote((pair,), world.host, force=force)
    (outcome,) = result.outcomes

    assert outcome.action is Action.REFUSED
    assert "signed by Eve (ZZZZZ99999), while the version before it was signed by Jane Doe" in outcome.error
    assert signers(world, "Other") == (JANES, "")


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps its state", "forgets everything"])
def test_what_somebody_put_into_the_test_app_by_hand_is_promoted_only_with_leave(world: World, forgetful: bool) -> None:
    world.forgetful = forgetful
    soaked(world, "1.0", JANE)
    publish(world, "2.0", EVE, custom_app={"prod_name": "Other", "test_name": "Other (Test)"})
    test, other = world.tenant.app(TEST), world.tenant.app("Other (Test)")
    script = test["audit_script"].replace("1.0", "2.0")
    world.tenant.edit(test["id"], file_key=other["file_key"], audit_script=script)
    world.wait(8)
    world.macs(passed=4)

    def promoted(**keys):
        (result,) = promote.promote((promote.named_pair(PROD, TEST, world.host, keys),), world.host, force=True)
        return result.outcomes[0]

    assert promoted().error == (
        "it is not known who signed it: it is in Kandji, and nobody has looked at it, while the version before it was "
        "signed by Jane Doe (ABCDE12345). If that is right, set allow_signer_change to unsigned"
    )
    assert promoted(allow_signer_change="unsigned").action is Action.PROMOTE
    assert signers(world, PROD) == (JANES, ""), "the next version has to be hers again"


POLICIES = [{"require_signed": True}, {"require_notarized": True}, {"expected_team_id": "ABCDE12345"}]


@pytest.mark.parametrize("policy", POLICIES, ids=list)
@pytest.mark.parametrize("there", [False, True], ids=["is created", "has no note"])
def test_what_the_settings_ask_of_a_signature_keeps_back_what_nobody_has_looked_at(
    world: World, there: bool, policy: dict[str, object]
) -> None:
    world.tenant.seed(TEST, file_name="Firefox-2.0.pkg", content=b"2.0", install_enforcement="install_once")
    if there:
        world.tenant.seed(PROD, file_name="Firefox-1.0.pkg", install_enforcement="install_once")
    before = world.tenant.snapshot()

    def promoted(**keys):
        keys["enforcement_type"] = "install_once"
        (result,) = promote.promote((promote.named_pair(PROD, TEST, world.host, keys),), world.host)
        return result.outcomes[0]

    refused = promoted(**policy)
    assert refused.action is Action.REFUSED
    assert f"{next(iter(policy))} is set, and it is not known who signed it" in refused.error
    assert "Publish its installer to this app from a file" in refused.error
    assert world.tenant.snapshot() == before
    assert promoted().action is Action.PROMOTE


def test_a_rollback_to_what_nobody_has_looked_at_needs_leave(world: World) -> None:
    both_at_once(world)
    world.tenant.seed(PROD, file_name="Firefox-0.5.pkg", install_enforcement="install_once")
    publish(world, "1.0", JANE)
    world.writes()

    assert "it is not known who signed it" in back(world).error
    assert world.writes() == []
    assert back(world, allow_signer_change="unsigned").action is Action.ROLL_BACK


@pytest.mark.parametrize("soaks", [True, False], ids=["with promotion", "to both at once"])
def test_a_rollback_brings_back_who_signed_then(world: World, soaks: bool) -> None:
    if soaks:
        soaked(world, "1.0", JANE)
        soaked(world, "2.0", EVE, allow_signer_change="ZZZZZ99999")
    else:
        both_at_once(world)
        publish(world, "1.0", JANE)
        world.wait(1)
        publish(world, "2.0", EVE, allow_signer_change="ZZZZZ99999")
    assert signers(world, PROD) == (EVES, JANES)

    assert back(world).action is Action.ROLL_BACK
    assert signers(world, PROD) == (JANES, EVES)


def test_an_urgent_release_is_held_against_the_signers_of_both_apps(world: World) -> None:
    soaked(world, "1.0", JANE)
    result = publish(world, "2.0", EVE, urgent="CVE-1")
    assert [outcome.action for outcome in result.outcomes] == [Action.REFUSED, Action.REFUSED]

    result = publish(world, "2.0", EVE, urgent="CVE-1", allow_signer_change="ZZZZZ99999")
    assert [outcome.action for outcome in result.outcomes] == [Action.UPDATE, Action.UPDATE]
    assert signers(world, TEST) == signers(world, PROD) == (EVES, JANES)
