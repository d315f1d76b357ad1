"""Metrics of messages, as a scrape gets them."""

from prometheus_client import CollectorRegistry, generate_latest

from flows.messaging.budgets import REFUSED, SPIKES
from gateway.message_metrics import MessageMetrics
from store.expiring import Expiring
from store.totals import Totals
from store.vault import Vault
from tests.servers.valkey import Valkey


def test_a_gateway_tells_what_workers_counted(valkey: Valkey) -> None:
    here, elsewhere = (Expiring(valkey.url, Vault([b"k" * 32])) for _ in range(2))
    registry = CollectorRegistry()
    registry.register(MessageMetrics(Totals(here)))
    counted = Totals(elsewhere)
    counted.add(REFUSED, "sms", "money")
    counted.add(REFUSED, "sms", "money")
    counted.add(SPIKES, "voice")
    told = generate_latest(registry).decode()
    assert 'sparekey_messages_refused_total{channel="sms",why="money"} 2.0' in told
    assert 'sparekey_message_spikes_total{channel="voice"} 1.0' in told
    here.close()
    elsewhere.close()


def test_a_scrape_is_answered_while_the_server_does_not(valkey: Valkey) -> None:
    expiring = Expiring(valkey.url, Vault([b"k" * 32]))
    valkey.client.set(expiring.name(REFUSED, "totals"), "no hash")
    registry = CollectorRegistry()
    registry.register(MessageMetrics(Totals(expiring)))
    assert b"sparekey_messages_refused_total{" not in generate_latest(registry)
    expiring.close()
