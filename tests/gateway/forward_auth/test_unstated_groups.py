"""A provider that states no groups, under a policy that is about groups."""

from store.audit import AuditAction
from tests.gateway.forward_auth.around import opened
from tests.gateway.forward_auth.direct import Direct, redirect_of


def test_groups_that_were_not_stated_are_not_taken_for_none() -> None:
    with opened(idp={"scope": "openid profile email"}) as around:
        person = Direct(around)
        assert person.to_ticket(redirect_of(person.ask("/")), "alice") == ""
        assert person.browser
        page = person.browser.visitor.get(redirect_of(person.ask("/")))
        assert page.status_code == 403
        with around.world.sparekey.services.database.transaction() as transaction:
            assert transaction.audit.find(action=AuditAction.SIGN_IN_GATE_DENIED)
