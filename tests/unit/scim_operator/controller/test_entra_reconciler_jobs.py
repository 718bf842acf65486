"""Looking after the provisioning job: quarantine, and what annotations ask for."""

import pytest

from scim_operator.api.scimtoken import FULL_CYCLE_ANNOTATION, PROVISION_ON_DEMAND_ANNOTATION
from scim_operator.planning.entra.ports import EntraError, Obstacle, RestartScope
from support.entra_world import quarantined_since
from support.hand_over_setting import PERIOD, settled
from support.operator_world import KEY


class TestQuarantine:
    async def test_it_ends_with_the_next_look_after_its_cause_is_gone(self) -> None:
        here = await settled()
        await here.hand_over_now()
        here.entra.quarantine = quarantined_since(here.world.now)
        here.entra.obstacles["validate-saved"] = EntraError(Obstacle.CREDENTIALS_REFUSED, "503")
        here.entra.obstacles["validate"] = EntraError(Obstacle.CREDENTIALS_REFUSED, "503")
        await here.look_again()
        assert here.told("Provisioning") == ("False", "Quarantined")
        assert "start" not in here.entra.calls
        here.entra.obstacles.clear()
        await here.look_again()
        assert here.entra.job.quarantine is None
        assert "start" in here.entra.calls
        assert here.told("Provisioning") == ("True", "Active")

    async def test_one_that_comes_from_a_credential_that_is_no_longer_accepted_is_cured_by_the_present_one(
        self,
    ) -> None:
        here = await settled()
        await here.hand_over_now()
        here.entra.holds = "token-of-somebody"
        here.entra.cycle()
        await here.look_again()
        assert here.held == here.world.secret()["token"]
        assert here.entra.job.quarantine is None

    async def test_a_start_that_did_not_help_is_followed_by_a_restart_that_forgets_the_quarantine_alone(
        self,
    ) -> None:
        here = await settled()
        await here.hand_over_now()
        stubborn = quarantined_since(here.world.now, "EncounteredEscrowProportionThreshold")
        for _ in range(40):
            here.entra.quarantine = stubborn
            await here.look_again()
        assert here.entra.calls.count("start") == 1
        assert set(here.entra.scopes) == {RestartScope.QUARANTINE_STATE}
        assert 3 <= len(here.entra.scopes) <= 7
        assert here.status["recoveries"] == len(here.entra.scopes) + 1

    @pytest.mark.parametrize("reason", ["TooManyDeletes", "QuarantinedOnDemand"])
    async def test_one_that_protects_data_is_left_to_people(self, reason: str) -> None:
        here = await settled()
        await here.hand_over_now()
        here.entra.quarantine = quarantined_since(here.world.now, reason)
        await here.look_again()
        assert not {"start", "restart"} & set(here.entra.calls)
        assert "look at the provisioning log first" in here.world.condition("Provisioning")["message"]

    async def test_it_is_only_reported_where_the_spec_says_so(self) -> None:
        here = await settled(onQuarantine="Report")
        await here.hand_over_now()
        here.entra.quarantine = quarantined_since(here.world.now)
        await here.look_again()
        assert not {"start", "restart"} & set(here.entra.calls)
        assert here.told("Provisioning") == ("False", "Quarantined")

    async def test_the_day_on_which_entra_disables_the_job_is_told(self) -> None:
        here = await settled(onQuarantine="Report")
        here.entra.quarantine = quarantined_since(here.world.now)
        await here.look_again()
        assert here.status["quarantine"]["disabledAt"] == "2026-01-29T00:00:00Z"
        assert "disables the job at 2026-01-29T00:00:00Z" in here.world.condition("Provisioning")["message"]

    async def test_it_is_seen_and_told_while_the_scim_api_is_down(self) -> None:
        here = await settled()
        await here.hand_over_now()
        handed_over = here.world.condition("HandedOver")
        here.entra.quarantine = quarantined_since(here.world.now)
        here.entra.obstacles["validate-saved"] = EntraError(Obstacle.CREDENTIALS_REFUSED, "503")
        here.world.api_down = True
        here.world.now += PERIOD
        assert (await here.hand_over.reconcile(KEY)).requeue
        assert here.told("Provisioning") == ("False", "Quarantined")
        assert here.world.condition("HandedOver") == handed_over
        assert here.status["handedOver"]["inUseAt"]

    async def test_what_graph_has_not_confirmed_for_three_looks_is_told_no_more(self) -> None:
        here = await settled()
        await here.hand_over_now()
        here.entra.cycle()
        await here.look_again()
        assert here.told("Provisioning") == ("True", "Active")
        here.entra.obstacles["jobs"] = EntraError(Obstacle.UNREACHABLE, "no answer")
        await here.look_again()
        assert here.told("Provisioning") == ("True", "Active")
        for _ in range(3):
            await here.look_again()
        assert here.told("Provisioning") == ("Unknown", "GraphUnreachable")
        assert here.told("HandedOver") == ("True", "InUse")


class TestRequests:
    async def test_a_full_cycle_begins_once_for_each_value_of_the_annotation(self) -> None:
        here = await settled()
        await here.hand_over_now()
        here.world.annotate(FULL_CYCLE_ANNOTATION, "please")
        for _ in range(3):
            await here.look_again()
        assert here.entra.scopes == [RestartScope.FULL]

    @pytest.mark.parametrize("annotation", [FULL_CYCLE_ANNOTATION, PROVISION_ON_DEMAND_ANNOTATION])
    async def test_a_value_of_any_length_is_carried_out_once(self, annotation: str) -> None:
        here = await settled()
        await here.hand_over_now()
        here.world.annotate(annotation, "x" * 5000)
        for _ in range(3):
            await here.look_again()
        assert len(here.entra.scopes) + here.entra.calls.count("provision-on-demand") == 1

    async def test_a_long_value_that_was_there_before_anything_was_known_is_no_mistake(self) -> None:
        here = await settled()
        here.world.annotate(FULL_CYCLE_ANNOTATION, "x" * 5000)
        await here.look_again()
        assert here.told("HandedOver") == ("True", "InUse")
        assert here.entra.scopes == []

    async def test_a_value_that_was_there_before_anything_was_known_asks_for_nothing(self) -> None:
        here = await settled()
        here.world.annotate(FULL_CYCLE_ANNOTATION, "of long ago")
        await here.look_again()
        assert here.entra.scopes == []

    async def test_a_user_is_provisioned_on_demand_and_an_event_tells_how_it_went(self) -> None:
        here = await settled()
        await here.hand_over_now()
        here.world.annotate(PROVISION_ON_DEMAND_ANNOTATION, "11111111-2222-3333-4444-555555555555")
        for _ in range(3):
            await here.look_again()
        assert here.entra.calls.count("provision-on-demand") == 1
        told = [message for _, reason, message in here.world.events if reason == "ProvisionedOnDemand"]
        assert told == [
            "11111111-2222-3333-4444-555555555555: Success. 11111111-2222-3333-4444-555555555555 was updated"
        ]

    async def test_the_same_user_is_provisioned_again_with_something_after_a_slash(self) -> None:
        here = await settled()
        await here.hand_over_now()
        user = "11111111-2222-3333-4444-555555555555"
        for value in (user, f"{user}/again"):
            here.world.annotate(PROVISION_ON_DEMAND_ANNOTATION, value)
            await here.look_again()
        told = [message for _, reason, message in here.world.events if reason == "ProvisionedOnDemand"]
        assert told == [f"{user}: Success. {user} was updated"] * 2

    async def test_what_graph_refuses_to_provision_is_told_and_not_asked_again(self) -> None:
        here = await settled()
        await here.hand_over_now()
        refused = EntraError(Obstacle.REQUEST_REFUSED, "no such user")
        here.entra.obstacles["provision-on-demand"] = refused
        here.world.annotate(PROVISION_ON_DEMAND_ANNOTATION, "jane")
        for _ in range(3):
            await here.look_again()
        assert here.entra.calls.count("provision-on-demand") == 1
        assert ("Warning", "ProvisionedOnDemand", "jane: refused: no such user") in here.world.events
        assert here.told("HandedOver") == ("True", "InUse")
