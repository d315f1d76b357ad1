"""Predicted against actual refusals, on a corpus for every run; the whole is in `docs/agreement.md`."""

from pathlib import Path

from benchmarks import agreement_corpus as corpus
from benchmarks import agreement_servers as servers
from benchmarks.agreement import Count, count
from idp_plugin.password_rules import RuleName
from tests.servers.ds389 import Ds389

CANDIDATES = 75


def wrong(counts: dict[str, Count]) -> list[tuple[str, str, bool]]:
    return [(rule, *each) for rule, found in counts.items() for each in found.wrong]


def test_openldap_refuses_what_was_predicted_and_nothing_else(tmp_path: Path) -> None:
    with servers.openldap(tmp_path / "slapd") as asked:
        counts = count(asked, CANDIDATES)
    assert wrong(counts) == []
    history = counts.pop(RuleName.NOT_IN_HISTORY)
    assert history.untold == history.asked > history.refused > 0
    assert all(each.right > each.untold for each in counts.values())


def test_389_ds_refuses_what_was_predicted_and_nothing_else(ds389: Ds389) -> None:
    counts = count(servers.asked_of(ds389), CANDIDATES)
    assert wrong(counts) == []
    # With four candidates to a rule some rules are tried from one side only; most are from both.
    assert sum(0 < each.refused < each.asked for each in counts.values()) > len(counts) / 2
    assert counts.pop(RuleName.NOT_IN_HISTORY).right == 0
    assert all(each.untold == 0 for each in counts.values())


def test_the_corpus_is_the_same_every_time_and_no_candidate_comes_twice() -> None:
    first, second = (list(corpus.take(200, "seed", corpus.lengths(8))) for _ in range(2))
    assert first == second
    assert len(set(first)) == 200


def test_a_wrong_prediction_counts_against_the_goal() -> None:
    counted = Count()
    counted.add("right", predicted=True, is_taken=True)
    counted.add("wrong", predicted=True, is_taken=False)
    counted.add("untold", predicted=None, is_taken=False)
    assert counted.agreement == 0.5
    assert counted.wrong == [("wrong", False)]
