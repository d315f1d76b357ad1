"""Metrics of messages, which are sent by workers: what they count, every gateway tells."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from flows.messaging.budgets import REFUSED, SPIKES
from store.errors import StoreUnavailable
from store.totals import Totals

_TOLD = (
    (REFUSED, "sparekey_messages_refused", "Messages that a budget or rule held back", ("channel", "why")),
    (SPIKES, "sparekey_message_spikes", "Alarms: far more messages than usual", ("channel",)),
)


class MessageMetrics(Collector):
    """Reads the totals of all gateways and workers at every scrape; while none can be read, none are told."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return one family for each total."""
        for what, name, text, labels in _TOLD:
            family = CounterMetricFamily(name, f"{text}; of all gateways together", labels=labels)
            try:
                counted = self._totals.read(what)
            except StoreUnavailable:
                return
            for values, count in counted.items():
                family.add_metric(values, count)
            yield family

    def describe(self) -> Iterator[CounterMetricFamily]:
        """Return nothing: registering must not ask the server."""
        return iter(())
