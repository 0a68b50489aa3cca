"""What a setting's value may be written as, and what `--help` says of it."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Usually:
    """What a default means, for `--help`, where the value itself would not say it."""

    words: str


def _number_of_bytes(value: object) -> object:
    """`20MiB` as 20971520; anything that is no such text stays as it is, for pydantic to judge."""
    if not isinstance(value, str) or re.fullmatch(r"\s*[-+\d_]+\s*", value):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB)\s*", value, re.IGNORECASE)
    if not found:
        raise ValueError("a size is a number of bytes, or one with KiB, MiB or GiB, such as 20MiB")
    return int(float(found[1]) * {"kib": KIB, "mib": MIB, "gib": GIB}[found[2].lower()])


def _parts(value: object) -> object:
    """`a, b` as ("a", "b")."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _parts_in_lower_case(value: object) -> object:
    return _parts(value.lower() if isinstance(value, str) else value)


def _hosts_that_can_match(value: tuple[str, ...]) -> tuple[str, ...]:
    for host in value:
        if not re.fullmatch(r"(?:\*\.)?[^\s/:@*?#]+", host):
            raise ValueError(f"{host} is no name of a host: write it as example.org, without https:// and path")
    return value


def _full_hosts_that_can_match(value: tuple[str, ...]) -> tuple[str, ...]:
    for host in _hosts_that_can_match(value):
        if host.startswith("*.") or "." not in host:
            raise ValueError(f"{host} is no full name of one host, such as example.org")
    return value


def _origins_that_can_match(value: tuple[str, ...]) -> tuple[str, ...]:
    """As browsers write them: without a slash at the end."""
    origins = tuple(origin.rstrip("/") for origin in value)
    for origin in origins:
        if origin not in ("*", "null") and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@]+", origin):
            raise ValueError(f"{origin} is no origin: write it as https://example.org, without a path, or * for all")
    return origins


def _prefix(value: str) -> str:
    """As paths begin: with a slash in front and none at the end."""
    prefix = value.rstrip("/")
    if prefix and not re.fullmatch(r"(?:/[\w.~-]+)+", prefix, re.ASCII):
        raise ValueError(f"{value} is no prefix of a path: write it as /qwen")
    return prefix


Bytes = Annotated[int, BeforeValidator(_number_of_bytes)]
Commas = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
_LowerCase = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts_in_lower_case)]
Hosts = Annotated[_LowerCase, AfterValidator(_hosts_that_can_match)]
FullHosts = Annotated[_LowerCase, AfterValidator(_full_hosts_that_can_match)]
Origins = Annotated[_LowerCase, AfterValidator(_origins_that_can_match)]
RootPath = Annotated[str, AfterValidator(_prefix)]
