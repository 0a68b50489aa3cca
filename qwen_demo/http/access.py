"""Who may call the REST API and how often: keys, and rates."""

import hmac
import ipaddress
from dataclasses import dataclass

from fastapi import Request

from qwen_demo.errors import Overloaded, SettingsError
from qwen_demo.fairness import also_on
from qwen_demo.http.arrival import RELAYED
from qwen_demo.http.credentials import hash_of_key, read_keys
from qwen_demo.http.errors import ApiError
from qwen_demo.http.rates import Rate
from qwen_demo.media.callers import current_caller
from qwen_demo.settings import Settings

WRONG_KEYS = "10/minute"
CALLER = "qwen_demo.caller"  # in the scope
# Whoever has one IPv6 address has its whole network of this length.
IPV6_NETWORK = 64


def caller_address(client: tuple[str, int] | None) -> str:
    """What rates count for a connection: an IPv4 address, or the network of an IPv6 address."""
    if client is None:
        return "unknown"
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0])
    except ValueError:
        return client[0]
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False))


def decoding_caller(request: Request, name: str) -> str:
    """By what name decoders are shared: key and address, so two who share one of them share nothing.

    Empty where somebody else stands between, whom the server was not told to trust (`--trusted-proxies`): all
    behind it would have its address.
    """
    client = request.scope.get("client")
    if client is None or request.scope.get(RELAYED):
        return ""
    return f"{name} {caller_address(client)}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the name of a key, or an address."""

    name: str


class ApiAccess:
    """Lets callers in to the API's routes, or not: a FastAPI dependency."""

    def __init__(self, settings: Settings):
        self._hashes = read_keys(settings.api_keys_file) if settings.api_keys_file else {}
        self.needs_key = settings.api_keys_file is not None
        self._rate = _parse(settings.rate_limit)
        self._wrong_keys = Rate(WRONG_KEYS)

    async def __call__(self, request: Request) -> Caller:
        """Who asks; what is decoded for this request is decoded for them. Asked again, the same. Raises as `admit`."""
        if known := request.scope.get(CALLER):
            return known
        caller = request.scope[CALLER] = await self.admit(request)
        current_caller.set(decoding_caller(request, caller.name))
        if self.needs_key:
            also_on(caller.name, request.scope)
        return caller

    async def admit(self, request: Request) -> Caller:
        """Raises `ApiError` 401 or `Overloaded`."""
        address = caller_address(request.scope.get("client"))
        caller = Caller(self._key_name(request, address) if self.needs_key else address)
        if self._rate and (wait_s := self._rate.hit(caller.name)):
            request.app.state.service.metrics.rejected("rate_limit")
            raise _too_often(self._rate, wait_s)
        return caller

    def _key_name(self, request: Request, address: str) -> str:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        key = given.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        offered = hash_of_key(key)
        # Every hash is compared, so that the time tells nothing about which one fits.
        fits = [name for name, known in self._hashes.items() if hmac.compare_digest(offered, known)]
        # A right key is let in whatever others at its address have guessed: nobody guesses 256 bits.
        if fits:
            return f"key:{fits[0]}"
        if key and (wait_s := self._wrong_keys.hit(address)):
            raise _too_often(self._wrong_keys, wait_s)
        raise ApiError(
            401,
            "invalid_api_key",
            "A key is needed: send it as 'Authorization: Bearer KEY'. Ask whoever runs this server for one.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _too_often(rate: Rate, wait_s: float) -> Overloaded:
    wait_s = max(1.0, wait_s)
    return Overloaded(f"More than {rate}: try again in {wait_s:.0f} s.", retry_after_s=wait_s)


def _parse(text: str) -> Rate | None:
    try:
        rate = Rate(text) if text else None
    except ValueError as error:
        raise SettingsError(f"--rate-limit {text}: write it as 60/minute or 5/second.") from error
    if rate and not rate.most:
        raise SettingsError(f"--rate-limit {text}: nobody could ask anything; write it as 60/minute or 5/second.")
    return rate
