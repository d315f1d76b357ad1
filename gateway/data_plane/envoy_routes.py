"""The routes of the printed Envoy: which requests find their way without a script, and what goes along.

Regular expressions are RE2's, which has no look-ahead, and each is for the whole of a value.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateway.data_plane.direct_requests import DOCUMENT_FIELDS, PARAMETERS

TYPES = "type.googleapis.com/envoy"
PROVIDER, GATEWAY, PYTHON = "sparekey_provider", "sparekey_gateway", "sparekey_python"
LANE = "x-sparekey-lane"

VALUE = r"[!-\"$%'-~]*"
"""Of a parameter: what may stand in an address, but for what ends it."""
PAIR = rf"(?:{'|'.join(PARAMETERS)})={VALUE}"
PLAIN_REQUEST = (
    rf"[^?]+\?{PAIR}(?:&{PAIR})*",
    r".*[?&]response_type=code(?:&.*)?",
    r".*[?&]client_id=[A-Za-z0-9._~-]+(?:&.*)?",
    r".*[?&]redirect_uri=[^&].*",
)
"""What all is true of the address of a plain request for a code."""
SAID_TWICE = rf".*[?&](?:{'|'.join(f'{name}=.*&{name}' for name in PARAMETERS)})=.*"
"""What must not be."""

FILE = r"[A-Za-z0-9_~-][A-Za-z0-9._~@+,=-]*"
"""A name that every reader of addresses takes for the same. At whatever else is asked for, a script looks."""
QUERY = r"(?:\?[!-\"$-~]*)?"
FILE_FIELDS = ("accept-encoding", "if-modified-since", "if-none-match")
HARMLESS_KIND = (
    r"(?:text/(?:css|plain|javascript)|application/(?:javascript|json)"
    r"|image/(?:gif|jpeg|png|svg\+xml|webp|x-icon)|font/(?:woff2?|ttf|otf))(?:; ?charset=[A-Za-z0-9-]+)?"
)
"""Types that no browser takes for a page. Of two fields Envoy makes one, with a comma."""
LEADING_FIELDS = ("location", "refresh", "set-cookie")
"""In an answer: what could sign somebody in without a page."""

STATED_NAMES = ("forwarded", "x-request-id")
STATED_STARTS = ("x-forwarded-", "x-envoy-", "x-sparekey-")
"""What a client states of itself, and what would steer Envoy."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """What the routes need to know of the settings."""

    scheme: str
    host: str
    """With the port, where it is not the scheme's own."""
    name: str
    """Without it."""
    port: str
    authorization_path: str
    documents: Iterable[tuple[str, str]]
    """As nginx's locations."""
    dropped: Iterable[str]
    """Names of fields that the provider does not see."""
    dropped_starts: Iterable[str]
    """Beginnings of such names."""
    idle_seconds: float

    def at_edge(self) -> list[Json]:
        """Return the routes of what comes from outside. The first that matches is taken."""
        stated = _names(STATED_NAMES, STATED_STARTS)
        reference = {"x-sparekey-reference": "%DYNAMIC_METADATA(sparekey:reference)%"} | self._client()
        return [
            self._direct(_chosen("direct")),
            self._lane("own", _chosen("own"), GATEWAY, without=stated, says=reference),
            self._lane("python", _chosen("python"), PYTHON, without=stated, says=reference),
            # The rest has no lane yet: what a client says of one was taken off.
            *(self._documents(how, path) for how, path in self.documents),
            self._direct(self._plain(_absent("cookie")), off=["sparekey-state"]),
            _nowhere("weigh", self._plain()),
            _nowhere("", {"prefix": "/"}),
        ]

    def on_fault(self) -> list[Json]:
        """Return the routes of what the edge could not give to the gateway. It stated there who asks."""
        starts = {*STATED_STARTS, *self.dropped_starts} - {"x-forwarded-"}
        names = {name for name in self.dropped if not name.startswith("x-forwarded-")}
        without = _names(names.union(STATED_NAMES), starts)
        fault = self._lane("fault", _chosen("fault"), PROVIDER, without=without, says=_readable())
        return [fault | _checked(), _nowhere("", {"prefix": "/"})]

    def _documents(self, how: str, path: str) -> Json:
        """Return the route of public documents: nothing of the person goes along."""
        kept = {field.lower() for field in DOCUMENT_FIELDS}.union(FILE_FIELDS)
        below = "" if how == "=" else f"(?:{FILE}/)*(?:{FILE})?"
        match = {
            **({"path": path} if how == "=" else {"prefix": path}),
            "headers": [
                *self._ours(),
                _matching(":method", "GET|HEAD"),
                _matching(":path", re.escape(path) + below + QUERY),
            ],
        }
        without, off = _every_name_but(kept), ["sparekey-state", "sparekey-lua"]
        lane = self._lane("documents", match, PROVIDER, without=without, says=self._client(), off=off)
        lane["typed_per_filter_config"]["sparekey-documents"] = _filter(config={})
        return lane | _checked()

    def _direct(self, match: Json, off: Iterable[str] = ()) -> Json:
        """Return a route of plain requests for a code."""
        without = _names({*STATED_NAMES, *self.dropped}, {*STATED_STARTS, *self.dropped_starts})
        says = _readable() | self._client()
        return self._lane("direct", match, PROVIDER, without=without, says=says, off=off) | _checked()

    def _lane(
        self,
        name: str,
        match: Json,
        cluster: str,
        *,
        without: str,
        says: dict[str, str],
        off: Iterable[str] = (),
    ) -> Json:
        """Return a route that leads somewhere.

        Args:
            without: Names of the fields that do not go along.
            says: What goes along instead.
            off: Filters that have nothing to do here.
        """
        mutation = {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": without}}}}
        fields = {
            "@type": f"{TYPES}.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
            "mutations": {"request_mutations": [mutation]},
        }
        idle = f"{self.idle_seconds}s"
        return {
            "name": name,
            "match": match,
            "route": {
                "cluster": cluster,
                "host_rewrite_literal": self.host,
                "timeout": "0s",
                "idle_timeout": idle,
            },
            "request_headers_to_add": [
                {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
                for key, value in says.items()
            ],
            "typed_per_filter_config": {
                "sparekey-fields": fields,
                **{each: _filter(disabled=True) for each in off},
            },
        }

    def _client(self) -> dict[str, str]:
        """Return who asks, as this edge saw it."""
        return {
            "x-forwarded-for": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            "x-forwarded-proto": self.scheme,
            "x-forwarded-host": self.host,
            "x-forwarded-port": self.port,
        }

    def _plain(self, *more: Json) -> Json:
        """Return what matches plain requests for a code: each parameter once, and no other."""
        fields = [
            *self._ours(),
            _matching(":method", "GET"),
            _absent("authorization"),
            *more,
            *(_matching(":path", pattern) for pattern in PLAIN_REQUEST),
            {**_matching(":path", SAID_TWICE), "invert_match": True},
        ]
        return {"path": self.authorization_path, "headers": fields}

    def _ours(self) -> list[Json]:
        """Return what matches requests to our host that state no body; Envoy shows no other sign of one."""
        no_length = {**_matching("content-length", "0?"), "treat_missing_header_as_empty": True}
        host = _matching(":authority", f"(?i){re.escape(self.name)}(?::[0-9]+)?")
        return [host, no_length]


def harmless_documents() -> Json:
    """Return a matcher of answers that no script has to look at: no page, and nothing that leads on."""
    absent = [{"not_matcher": _answered(field, "(?s).*")} for field in LEADING_FIELDS]
    harmless = {"and_matcher": {"predicate": [_answered("content-type", HARMLESS_KIND), *absent]}}
    skip = {"@type": f"{TYPES}.extensions.filters.common.matcher.action.v3.SkipFilter"}
    action = {"action": {"name": "skip", "typed_config": skip}}
    return {"matcher_list": {"matchers": [{"predicate": harmless, "on_match": action}]}}


def _answered(field: str, pattern: str) -> Json:
    kind = f"{TYPES}.type.matcher.v3.HttpResponseHeaderMatchInput"
    found = {"name": field, "typed_config": {"@type": kind, "header_name": field}}
    value = {"safe_regex": {"google_re2": {}, "regex": pattern}}
    return {"single_predicate": {"input": found, "value_match": value}}


def _chosen(lane: str) -> Json:
    """Return what matches requests that a script chose a lane for."""
    return {"prefix": "/", "headers": [{"name": LANE, "string_match": {"exact": lane}}]}


def _matching(field: str, pattern: str) -> Json:
    return {"name": field, "string_match": {"safe_regex": {"regex": pattern}}}


def _absent(field: str) -> Json:
    return {"name": field, "present_match": True, "invert_match": True}


def _nowhere(name: str, match: Json) -> Json:
    """Return the route of requests that go nowhere while no lane was chosen for them."""
    return {"name": name, "match": match, "direct_response": {"status": 500}}


def _checked() -> Json:
    return {"response_headers_to_remove": ["service-worker-allowed"]}


def _readable() -> dict[str, str]:
    """Return what keeps pages readable here."""
    return {"accept-encoding": "identity"}


def _filter(**said: object) -> Json:
    return {"@type": f"{TYPES}.config.route.v3.FilterConfig", **said}


def _names(names: Iterable[str], starts: Iterable[str]) -> str:
    """Return a pattern of these names, and of all that begin so."""
    beginnings = "|".join(map(re.escape, sorted(starts)))
    return f"{'|'.join(map(re.escape, sorted(names)))}|(?:{beginnings}).*"


def _every_name_but(names: Iterable[str], others: str = ":") -> str:
    """Return a pattern of all other names, but for Envoy's own, which begin with a colon.

    Letter by letter: a name is another one where it goes on with another letter, or ends before.
    """
    rests: dict[str, set[str]] = {}
    for name in names:
        rests.setdefault(name[:1], set()).add(name[1:])
    is_name = rests.pop("", None) is not None
    letters = sorted(rests)
    branches = [re.escape(letter) + _every_name_but(rests[letter], "") for letter in letters]
    excluded = "".join(map(re.escape, letters)) + others
    branches.append(f"[^{excluded}].*" if excluded else ".+")
    return f"(?:{'|'.join(branches)}){'' if is_name else '?'}"
