import datetime as dt

import pytest

from store.authenticators import Authenticator
from store.database import Database
from store.errors import SealBroken
from store.people import Person
from store.vault import Vault
from tests.store.conftest import NOW
from tests.store.race import race

DAY = dt.timedelta(days=1)


def add(
    database: Database, person: Person, kind: str = "email", secret: bytes = b"a@example.org"
) -> Authenticator:
    with database.transaction() as transaction:
        return transaction.authenticators.add(
            person.id, kind, secret, now=NOW, trusted_from=NOW + DAY, provenance="self", lookup="digest"
        )


def reread(database: Database, authenticator: Authenticator) -> Authenticator:
    with database.reading() as transaction:
        found = transaction.authenticators.get(authenticator.id)
    assert found is not None
    return found


def epoch(database: Database, person: Person) -> int:
    with database.reading() as transaction:
        found = transaction.people.get(person.id)
    assert found is not None
    return found.epoch


def test_what_is_bound_comes_back_opened(database: Database, person: Person) -> None:
    added = add(database, person)
    assert reread(database, added) == added
    assert added.secret == b"a@example.org"
    assert (added.confirmed_at, added.trusted_from, added.number) == (NOW, NOW + DAY, 1)


def test_the_first_binding_is_when_somebody_registered(database: Database, person: Person) -> None:
    add(database, person)
    with database.transaction() as transaction:
        transaction.authenticators.add(
            person.id, "totp", b"seed", now=NOW + DAY, trusted_from=NOW, provenance="self"
        )
        found = transaction.people.get(person.id)
    assert found is not None
    assert found.registered_at == NOW


def test_the_secret_is_in_no_column_and_no_repr(database: Database, person: Person) -> None:
    added = add(database, person)
    assert "example" not in repr(added)
    with database._engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT * FROM authenticators").one()
    assert b"example" not in b"".join(bytes(column) for column in stored if isinstance(column, bytes))
    assert "example" not in str(stored)


def test_a_secret_moved_to_another_row_does_not_open(database: Database, person: Person) -> None:
    first, second = add(database, person), add(database, person, secret=b"thief@example.org")
    with database._engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE authenticators SET secret = (SELECT secret FROM authenticators WHERE id = '{second.id}')"
        )
    with pytest.raises(SealBroken):
        reread(database, first)


def test_authenticators_come_oldest_first_with_numbers_per_kind(database: Database, person: Person) -> None:
    for kind in ("email", "totp", "email"):
        add(database, person, kind)
    with database.reading() as transaction:
        found = [(one.kind, one.number) for one in transaction.authenticators.of(person.id)]
    assert sorted(found) == [("email", 1), ("email", 2), ("totp", 1)]


def test_two_bindings_at_once_get_two_numbers(database: Database, person: Person) -> None:
    numbers = race(lambda _: add(database, person).number, 8)
    assert sorted(numbers) == list(range(1, 9))


def test_it_is_usable_only_once_trusted_and_while_not_suspended(database: Database, person: Person) -> None:
    added = add(database, person)
    assert not added.usable(NOW + DAY - dt.timedelta(microseconds=1))
    assert added.usable(NOW + DAY)
    with database.transaction() as transaction:
        transaction.authenticators.suspend(added.id, now=NOW)
    assert not reread(database, added).usable(NOW + DAY)


def test_suspending_keeps_its_first_time_and_voids_what_was_said(database: Database, person: Person) -> None:
    added = add(database, person)
    with database.transaction() as transaction:
        transaction.authenticators.suspend(added.id, now=NOW)
        transaction.authenticators.suspend(added.id, now=NOW + DAY)
    assert reread(database, added).suspended_at == NOW
    assert epoch(database, person) > person.epoch


def test_removing_unbinds_and_voids_what_was_said(database: Database, person: Person) -> None:
    added = add(database, person)
    with database.transaction() as transaction:
        transaction.authenticators.remove(added.id)
        assert transaction.authenticators.get(added.id) is None
        assert transaction.authenticators.of(person.id) == ()
    assert epoch(database, person) > person.epoch


def test_removing_what_is_not_there_does_nothing(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.authenticators.remove("unknown")


def test_confirming_restarts_the_clock_of_one(database: Database, person: Person) -> None:
    first, second = add(database, person), add(database, person)
    with database.transaction() as transaction:
        transaction.authenticators.confirm(first.id, now=NOW + DAY)
    assert reread(database, first).confirmed_at == NOW + DAY
    assert reread(database, second).confirmed_at == NOW


def test_confirming_everything_leaves_what_is_suspended_and_other_people_alone(
    database: Database, person: Person
) -> None:
    with database.transaction() as transaction:
        other = transaction.people.ensure("idp", "other", now=NOW)
    mine, suspended, theirs = add(database, person), add(database, person), add(database, other)
    with database.transaction() as transaction:
        transaction.authenticators.suspend(suspended.id, now=NOW)
        transaction.authenticators.confirm_all(person.id, now=NOW + DAY)
    assert [reread(database, one).confirmed_at for one in (mine, suspended, theirs)] == [NOW + DAY, NOW, NOW]


def test_a_confirmation_remembers_the_newest_version_of_the_policy(
    database: Database, person: Person
) -> None:
    early = add(database, person)
    with database.transaction() as transaction:
        for version in (1, 2):
            transaction.policies.store({"version": version}, author="ana", now=NOW)
    late = add(database, person)
    assert [reread(database, one).confirmed_version for one in (early, late)] == [0, 2]
    with database.transaction() as transaction:
        transaction.policies.store({"version": 3}, author="ana", now=NOW)
        transaction.authenticators.confirm_all(person.id, now=NOW)
    assert [reread(database, one).confirmed_version for one in (early, late)] == [3, 3]


def test_people_who_share_an_address_are_counted_once_each(database: Database, person: Person) -> None:
    with database.transaction() as transaction:
        other = transaction.people.ensure("idp", "other", now=NOW)
    for one in (person, person, other):
        add(database, one)
    with database.reading() as transaction:
        assert transaction.authenticators.shared_by("email", "digest") == 2
        assert transaction.authenticators.shared_by("email", ["old digest", "digest"]) == 2
        assert transaction.authenticators.shared_by("totp", "digest") == 0
        assert transaction.authenticators.shared_by("email", "") == 0


def test_a_time_step_is_used_once_and_no_earlier_one_afterwards(database: Database, person: Person) -> None:
    added = add(database, person, "totp")
    with database.transaction() as transaction:
        used = [transaction.authenticators.use_step(added.id, step) for step in (100, 100, 99, 101)]
    assert used == [True, False, False, True]
    assert reread(database, added).last_step == 101


def test_of_sixteen_who_use_one_time_step_one_wins(database: Database, person: Person) -> None:
    added = add(database, person, "totp")

    def use(_: int) -> bool:
        with database.transaction() as transaction:
            return transaction.authenticators.use_step(added.id, 100)

    assert sum(race(use)) == 1


def test_a_time_step_of_nothing_bound_is_not_used(database: Database) -> None:
    with database.transaction() as transaction:
        assert not transaction.authenticators.use_step("unknown", 1)


def test_a_rotation_reseals_everything_in_batches(database_url: str, vault: Vault) -> None:
    old, new = b"o" * 32, b"n" * 32
    before, during, after = (Database(database_url, Vault(ring)) for ring in ([old], [new, old], [new]))
    with before.transaction() as transaction:
        someone = transaction.people.ensure("idp", "rotated", now=NOW)
    added = [add(before, someone, secret=f"{number}@example.org".encode()) for number in range(5)]
    with during.transaction() as transaction:
        lookups = [transaction.authenticators.reseal(3, lambda one: one.secret.hex()) for _ in range(3)]
    assert lookups == [3, 2, 0]
    with after.reading() as transaction:
        found = transaction.authenticators.of(someone.id)
        assert {one.secret for one in found} == {one.secret for one in added}
        assert transaction.authenticators.shared_by("email", b"0@example.org".hex()) == 1
    for database in (before, during, after):
        database.dispose()


def test_resealing_leaves_what_is_already_new_alone(database: Database, person: Person) -> None:
    add(database, person)
    with database.transaction() as transaction:
        assert transaction.authenticators.reseal(10) == 0


def test_a_secret_is_changed_from_its_newest_state_by_all_at_once(database: Database, person: Person) -> None:
    added = add(database, person, "recovery_codes", b"")

    def append(number: int) -> None:
        with database.transaction() as transaction:
            transaction.authenticators.change_secret(added.id, lambda secret: secret + bytes([number]))

    race(append, 10)
    assert sorted(reread(database, added).secret) == list(range(10))


def test_the_secret_of_what_was_removed_is_not_changed(database: Database, person: Person) -> None:
    added = add(database, person)
    with database.transaction() as transaction:
        transaction.authenticators.remove(added.id)
        assert transaction.authenticators.change_secret(added.id, lambda secret: secret) is None


def test_what_is_used_up_counts_no_more_and_voids_nothing_said_before(
    database: Database, person: Person
) -> None:
    added, before = add(database, person), epoch(database, person)
    with database.transaction() as transaction:
        transaction.authenticators.use_up(added.id, now=NOW)
        transaction.authenticators.use_up(added.id, now=NOW + DAY)
    assert reread(database, added).suspended_at == NOW
    assert not reread(database, added).usable(NOW + 2 * DAY)
    assert epoch(database, person) == before
