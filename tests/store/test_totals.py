"""Totals against a real Valkey."""

import threading

import pytest

from store.errors import StoreUnavailable
from store.expiring import Expiring
from store.totals import Totals
from store.vault import Vault
from tests.servers.valkey import Valkey


def test_what_several_processes_count_is_one_total(valkey: Valkey, vault: Vault) -> None:
    gateways = [Expiring(valkey.url, vault) for _ in range(4)]

    def count(expiring: Expiring) -> None:
        for _ in range(50):
            Totals(expiring).add("refused", "sms", "money")

    threads = [threading.Thread(target=count, args=(each,)) for each in gateways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Totals(gateways[0]).add("refused", "email", "messages")
    assert Totals(gateways[1]).read("refused") == {("sms", "money"): 200, ("email", "messages"): 1}
    assert Totals(gateways[1]).read("spikes") == {}
    for each in gateways:
        each.close()


def test_a_total_that_cannot_be_told_says_so(expiring: Expiring, valkey: Valkey) -> None:
    totals = Totals(expiring)
    valkey.client.set(expiring.name("refused", "totals"), "no hash")
    with pytest.raises(StoreUnavailable):
        totals.read("refused")
