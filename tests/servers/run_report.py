"""Groups tests by the server they need, and says at the end what was skipped, what answered and what it took.

One worker runs everything that needs Keycloak, so that Keycloak starts once; the same for the others.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import versions
from tests.servers.presence import is_ci

GROUPS = {
    "keycloak": ("keycloak", 600),
    "browser": ("chromium", 480),
    "postgres": ("postgres", 90),
    "samba": ("samba", 240),
    "ds389": ("ds389", 240),
    "slapd": ("slapd", 360),
}
"""Group, in order of precedence and of start: the fixture that puts a test there, seconds it may take."""

ONE_WORKER = ("keycloak", "browser", "postgres", "samba", "ds389")
"""Groups whose server is started once per worker; every test has a slapd of its own anyway."""

REST = "everything else"
REST_SECONDS = 1080
WHOLE_SECONDS = 1320
"""The wall's clock, two workers: 17 minutes with enforcement, and a third more for a slower machine."""
KEYCLOAK_TIMEOUT = 400
"""Seconds: the first test may wait while Keycloak is built."""

BEGAN = pytest.StashKey[float]()
TAKEN = pytest.StashKey[dict[str, float]]()
WORKERS = pytest.StashKey[dict[str, set[str]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Register one marker per group, and let properties be tested alike everywhere."""
    # A busy machine is no bug, and a red run has to be red again.
    settings.register_profile(
        "sparekey", deadline=None, derandomize=is_ci(), suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("sparekey")
    config.stash[BEGAN] = time.monotonic()
    config.stash[TAKEN] = dict.fromkeys([*GROUPS, REST], 0.0)
    config.stash[WORKERS] = {group: set() for group in [*GROUPS, REST]}
    for group, (fixture, _) in GROUPS.items():
        config.addinivalue_line("markers", f"needs_{group}: set by itself on tests that use `{fixture}`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with its group, and put the longest groups first."""
    order = [*GROUPS, REST]
    groups = {item: _group(item) for item in items}
    for item, group in groups.items():
        if group != REST:
            item.add_marker(f"needs_{group}")
        if group in ONE_WORKER:
            item.add_marker(pytest.mark.xdist_group(group))
        if group == "keycloak" and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(KEYCLOAK_TIMEOUT))
    items.sort(key=lambda item: order.index(groups[item]))


def _group(item: pytest.Item) -> str:
    # A contract's row names its fixture as a parameter, and asks for it when it is its turn.
    rows = getattr(item, "callspec", None)
    texts = [value for value in rows.params.values() if isinstance(value, str)] if rows else []
    named = {word for text in texts for word in text.split()}
    fixtures = named.union(getattr(item, "fixturenames", ()))
    return next((group for group, (fixture, _) in GROUPS.items() if fixture in fixtures), REST)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's versions to the process that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["versions"] = versions.found(session.config)
        return
    if is_ci() and session.exitstatus == pytest.ExitCode.OK and _complaints(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a worker's versions."""
    versions.found(node.config).update(getattr(node, "workeroutput", {}).get("versions", {}))


class TimeKeeper:
    """Adds up what the tests of each group took, and where; workers' reports come in here too."""

    def __init__(self, config: pytest.Config) -> None:
        self._taken = config.stash[TAKEN]
        self._workers = config.stash[WORKERS]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count set-up and tear-down too: starting servers is what costs."""
        marked = (group for group in GROUPS if f"needs_{group}" in report.keywords)
        group = next(marked, REST)
        self._taken[group] += report.duration
        self._workers[group].add(getattr(report, "worker_id", "only"))


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Iterator[None]:
    """Start counting."""
    session.config.pluginmanager.register(TimeKeeper(session.config))
    return (yield)


def _complaints(config: pytest.Config) -> list[str]:
    whole = time.monotonic() - config.stash[BEGAN]
    budgets = {**{group: seconds for group, (_, seconds) in GROUPS.items()}, REST: REST_SECONDS}
    late = [
        f"{group} took {config.stash[TAKEN][group]:.0f} s of {seconds} s"
        for group, seconds in budgets.items()
        if config.stash[TAKEN][group] > seconds
    ]
    if whole > WHOLE_SECONDS:
        late.append(f"the whole run took {whole:.0f} s of {WHOLE_SECONDS} s")
    torn = [
        f"{group} ran on {len(config.stash[WORKERS][group])} workers: its servers started more than once"
        for group in ONE_WORKER
        if len(config.stash[WORKERS][group]) > 1
    ]
    return versions.differences(versions.found(config)) + late + torn


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print skips, versions, times, and what is wrong with them."""
    skipped = terminalreporter.getreports("skipped")
    if skipped:
        terminalreporter.section("SKIPPED, and why", red=True)
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            terminalreporter.line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
    terminalreporter.section("what answered, and what it took")
    for name, version in sorted(versions.found(config).items()):
        terminalreporter.line(f"{name:12} {version}")
    for group, seconds in config.stash[TAKEN].items():
        budget = GROUPS[group][1] if group in GROUPS else REST_SECONDS
        terminalreporter.line(f"{group:16} {seconds:6.1f} s of {budget} s")
    for complaint in _complaints(config):
        terminalreporter.line(f"{'FAILED' if is_ci() else 'note'}: {complaint}", red=is_ci())
