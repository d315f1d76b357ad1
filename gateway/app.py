"""The composition root: the one place where the parts are put together.

``build`` opens everything that a set of settings names; ``create_app`` is the Flask application of our own
pages, plain WSGI; ``Sparekey.start`` puts the plane in front of both.
"""

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog
from flask import Flask
from prometheus_client import REGISTRY, CollectorRegistry

from enforcement.breaker import Breaker
from enforcement.gate import Gate
from enforcement.policy import Policy
from enforcement.proposals import Waiting, put_forward
from flows.messaging.call_backs import CallBacks
from flows.messaging.receipts import Receipts
from flows.passwords.breaches import Breaches
from gateway.agents.calls import Calls
from gateway.agents.endpoint import create_endpoint
from gateway.agents.opening import open_writeback
from gateway.breached_passwords import open_breaches
from gateway.data_plane.exchange import Exchange
from gateway.data_plane.socket_listener import ExchangeListener
from gateway.ended_sessions import EndedSessions
from gateway.forward_auth.assembly import hand_overs, open_door
from gateway.forward_auth.door import Door
from gateway.forward_auth.listener import ForwardAuthListener
from gateway.identity_signin import PATH as IDENTITY_PATH
from gateway.identity_signin import IdentitySignIns, require_identities
from gateway.interception.assembly import Intercepting, assemble, redirect_uri
from gateway.interception.sign_in_audit import SignInAudit
from gateway.message_metrics import MessageMetrics
from gateway.messages import carriers_of, channels, require_channels
from gateway.operations import create_operations
from gateway.pages.blueprints import register_pages
from gateway.plane.observe import Observer
from gateway.plane.rim import OperationsListener, Plane
from gateway.policy_notices import tell_of
from gateway.portal_session import PortalSessions
from gateway.providers import Provider, open_provider
from gateway.recovery import build_recovery
from gateway.services import EXTENSION, Clock, Services, system_clock
from gateway.settings import Settings
from gateway.signin import PortalSignIn
from gateway.stores import open_database, open_vault
from idp_plugin.errors import IdpUnavailable
from store.counters import Counters
from store.expiring import Expiring
from store.jobs import Jobs
from store.totals import Totals
from store.valkey import EmbeddedValkey

log = structlog.get_logger("sparekey.gateway")


def create_app(services: Services) -> Flask:
    """Return Sparekey's own pages as a WSGI application."""
    app = Flask("gateway", static_folder=None)
    app.extensions[EXTENSION] = services
    register_pages(app)
    return app


@dataclass(slots=True, kw_only=True)
class Sparekey:
    """A gateway with all its parts open; `start` makes it listen."""

    services: Services
    provider: Provider
    app: Flask
    agents: Flask | None
    """The endpoint of writeback agents; None where no directory is behind any."""
    intercepting: Intercepting
    door: Door | None
    """What answers the proxies of applications; None where there are none."""
    _metrics: CollectorRegistry = field(default_factory=CollectorRegistry, init=False)
    """Of this gateway's own listeners; what the process counts is in the library's `REGISTRY`."""
    _plane: Plane | None = field(default=None, init=False)
    _operations: OperationsListener | None = field(default=None, init=False)
    _exchange: ExchangeListener | None = field(default=None, init=False)
    _forward_auth: ForwardAuthListener | None = field(default=None, init=False)

    @property
    def port(self) -> int:
        """The port of the plane once started."""
        return self._plane.port if self._plane else 0

    @property
    def operations_port(self) -> int:
        """The port of health and metrics once started; 0 where they are off."""
        return self._operations.port if self._operations else 0

    @property
    def forward_auth_port(self) -> int:
        """The port at which proxies ask once started; 0 where forward auth is off."""
        return self._forward_auth.port if self._forward_auth else 0

    async def start(self, *, log_descriptor: int | None = 2) -> None:
        """Listen.

        Raises:
            OSError: An address is taken.
        """
        settings = self.services.settings
        observer = Observer(log_descriptor)
        self._metrics = CollectorRegistry()
        self._metrics.register(observer)
        self._metrics.register(MessageMetrics(Totals(self.services.expiring)))
        self._plane = Plane(
            settings.gateway,
            idp_address=settings.idp.address,
            tls_ca=settings.idp.tls_ca,
            application=self.app,
            agents=self.agents,
            interceptor=self.intercepting.interceptor,
            observer=observer,
        )
        await self._plane.start()
        if self.door:
            self._forward_auth = ForwardAuthListener(
                settings.forward_auth, settings.gateway, door=self.door, observer=observer
            )
            await self._forward_auth.start()
        await self._start_exchange()
        if settings.gateway.operations:
            self._operations = OperationsListener(
                settings.gateway, application=self._operations_app(), observer=Observer(None)
            )
            await self._operations.start()

    async def stop(self) -> None:
        """Stop listening and end what is in flight."""
        if self._exchange:
            await self._exchange.stop()
        if self._forward_auth:
            await self._forward_auth.stop()
        if self._plane:
            await self._plane.stop()
            await self.intercepting.remembered.close()
        if self._operations:
            await self._operations.stop()

    async def _start_exchange(self) -> None:
        """Listen for a native data plane, where the settings name its socket."""
        services = self.services
        gateway = services.settings.gateway
        if gateway.data_plane_socket is None:
            return
        exchange = Exchange(
            gate=services.gate,
            remembered=self.intercepting.remembered,
            audit=SignInAudit(services.database),
            ended=EndedSessions(services.expiring),
            loop=asyncio.get_running_loop(),
            clock=services.clock,
        )
        self._exchange = ExchangeListener(gateway.data_plane_socket, gateway, exchange)
        await self._exchange.start()

    def _operations_app(self) -> Flask:
        services = self.services
        probes = {"database": services.database.ping, "expiring": services.expiring.ping}
        return create_operations(services.settings.gateway.prefix, probes, (REGISTRY, self._metrics))


@contextlib.contextmanager
def build(
    settings: Settings,
    *,
    clock: Clock = system_clock,
    patience: dt.timedelta = dt.timedelta(0),
    is_worker: bool = False,
) -> Iterator[Sparekey]:
    """Open every part that the settings name, and close them at the end.

    Args:
        patience: How long to wait for the identity provider's first answer.
        is_worker: It does jobs under what gateways put in force, and puts nothing in force itself.

    Raises:
        StoreError: A database does not answer, or is set up in a way that would lose claims.
        PolicyInvalid: The policy document has problems.
        IdpError: The identity provider does not answer, or not as the start-up check expects.
    """
    with contextlib.ExitStack() as stack:
        yield _Opening(settings, clock, stack, is_worker=is_worker).sparekey(patience)


class _Opening:
    """Opens parts in order; the stack closes them in reverse."""

    def __init__(
        self, settings: Settings, clock: Clock, stack: contextlib.ExitStack, *, is_worker: bool
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._stack = stack
        self._close = stack.callback
        self._database = open_database(settings)
        self._close(self._database.dispose)
        # A worker starts whenever it is needed: what was in its file may be long out of force.
        self._policy = None if is_worker else self._put_policy_forward()
        url = self._expiring_url()
        self._expiring = Expiring(url, open_vault(settings))
        self._close(self._expiring.close)
        self._jobs = Jobs(url, self._expiring.vault)
        self._close(self._jobs.stop)
        self._gate = Gate(self._database, breaker=Breaker([self._database.ping, self._expiring.ping]))
        self._writeback = open_writeback(settings, database=self._database, url=url, clock=clock)
        self._close(self._writeback.close)
        self._provider = open_provider(settings, self._writeback)
        self._close(self._provider.close)

    def _put_policy_forward(self) -> Policy | Waiting:
        self._database.upgrade()
        text = self._settings.policies.file.read_text("utf-8")
        # Security: by file, too, nothing becomes weaker on one person's word (S23).
        return put_forward(self._database, text, author="", now=self._clock())

    def sparekey(self, patience: dt.timedelta) -> Sparekey:
        """Return the gateway, once the identity provider answered as expected."""
        intercepting = self._intercepting(patience)
        services = self._services(intercepting)
        return Sparekey(
            services=services,
            provider=self._provider,
            app=create_app(services),
            agents=self._agents_endpoint(),
            intercepting=intercepting,
            door=self._door(),
        )

    def _door(self) -> Door | None:
        settings = self._settings
        if not settings.forward_auth.listen:
            return None
        return open_door(
            settings.forward_auth,
            settings.gateway,
            expiring=self._expiring,
            gate=self._gate,
            clock=self._clock,
            close=self._stack,
        )

    def _agents_endpoint(self) -> Flask | None:
        if not self._writeback.directories:
            return None
        gateway, expiring = self._settings.gateway, self._expiring
        calls = Calls(
            self._writeback,
            lambda nonce, ttl: expiring.once("agent call", nonce, ttl=ttl),
            polls=gateway.agent_threads // 2,
        )
        return create_endpoint(gateway.prefix, calls)

    def _intercepting(self, patience: dt.timedelta) -> Intercepting:
        gateway = self._settings.gateway
        executor = ThreadPoolExecutor(gateway.threads, thread_name_prefix="decide")
        self._close(executor.shutdown)
        # Security: a gateway whose silent check does not work would let everybody pass (S10).
        return _patiently(
            patience,
            lambda: assemble(
                gateway,
                provider=self._provider.oidc,
                gate=self._gate,
                database=self._database,
                expiring=self._expiring,
                executor=executor,
                clock=self._clock,
                sessions=self._provider.sessions,
            ),
        )

    def _services(self, intercepting: Intercepting) -> Services:
        settings = self._settings
        receipts = Receipts(database=self._database, expiring=self._expiring, clock=self._clock)
        carriers = channels(settings, self._clock, on_receipt=receipts.came, close=self._close)
        require_channels(self._gate.current_policy(), carriers)
        counters = Counters(self._expiring)
        recovery, helping = build_recovery(
            settings,
            database=self._database,
            expiring=self._expiring,
            counters=counters,
            jobs=self._jobs,
            policies=self._gate.current_policy,
            provider=self._provider,
            channels=carriers,
            receipts=receipts,
            breaches=self._breaches(),
            clock=self._clock,
        )
        self._tell_of_waiting()
        signin = PortalSignIn(
            self._provider.oidc,
            self._expiring,
            redirect_uri=redirect_uri(settings.gateway),
            on_logout=intercepting.recogniser.forget,
        )
        return Services(
            settings=settings,
            clock=self._clock,
            vault=self._expiring.vault,
            database=self._database,
            expiring=self._expiring,
            counters=counters,
            jobs=self._jobs,
            gate=self._gate,
            reset=recovery.reset,
            unlock=recovery.unlock,
            change=recovery.change,
            helping=helping,
            registration=recovery.registration,
            work=recovery.work,
            devices=recovery.devices,
            moves=recovery.moves,
            holds=intercepting.holds,
            signin=signin,
            identities=self._identities(),
            portal_sessions=PortalSessions(self._expiring),
            writeback=self._writeback,
            call_backs=CallBacks(carriers_of(settings), receipts=receipts, expiring=self._expiring),
            hand_overs=hand_overs(settings.forward_auth, settings.gateway, self._expiring),
        )

    def _tell_of_waiting(self) -> None:
        waits = self._policy
        if not isinstance(waits, Waiting):
            return
        log.error("policy_file_is_weaker", number=waits.number, weaker=[each.what for each in waits.weaker])
        if waits.is_new:
            tell_of(waits, self._jobs, self._clock())

    def _identities(self) -> IdentitySignIns:
        gateway = self._settings.gateway
        require_identities(self._gate.current_policy(), self._settings)
        identities = IdentitySignIns(
            self._settings.identities,
            self._expiring,
            redirect_uri=f"{gateway.public}{gateway.prefix}{IDENTITY_PATH}",
        )
        self._close(identities.close)
        return identities

    def _breaches(self) -> Breaches | None:
        breaches = open_breaches(self._settings.passwords.breaches)
        if breaches:
            self._close(breaches.close)
        return breaches

    def _expiring_url(self) -> str:
        redis = self._settings.redis
        if redis.url != "embedded":
            return redis.url
        valkey = EmbeddedValkey(redis.directory)
        self._close(valkey.stop)
        return valkey.start()


def _patiently(patience: dt.timedelta, ask: Callable[[], Intercepting]) -> Intercepting:
    """Ask again every second while the provider does not answer, for as long as patience lasts."""
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        try:
            return ask()
        except IdpUnavailable:
            if time.monotonic() >= deadline:
                raise
            log.warning("identity_provider_awaited")
            time.sleep(1)
