"""Keys of the REST API and passwords of the page: made, hashed, read from files.

Both files have one `name:hash` line for each entry. Keys are long and random, so SHA-256
protects them at rest; passwords are chosen by people and get scrypt (RFC 7914).
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from pathlib import Path

from qwen_demo.errors import SettingsError

KEY_PREFIX = "qd-"
SCRYPT = {"n": 1 << 14, "r": 8, "p": 1}
LOGINS_AT_ONCE = 2
# Of a form with a name and a password; parsing one that is a thousand times as long takes seconds.
LOGIN_BYTES = 16 << 10
_KEY_HASH = re.compile("[0-9a-f]{64}")
_PASSWORD_HASH = re.compile("[0-9a-f]{32}[$][0-9a-f]{128}")


def new_key() -> tuple[str, str]:
    """A fresh key, to be shown once, and its hash, to be kept."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, hash_of_key(key)


def hash_of_key(key: str) -> str:
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


def hash_of_password(password: str, salt: bytes | None = None) -> str:
    """`salt$hash` in hex."""
    salt = salt or secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(errors='surrogatepass'), salt=salt, **SCRYPT).hex()}"


def password_fits(password: str, known: str) -> bool:
    salt, _, _ = known.partition("$")
    return hmac.compare_digest(hash_of_password(password, bytes.fromhex(salt)), known)


def read_keys(path: Path) -> dict[str, str]:
    """Names of keys, and their hashes. Raises `SettingsError`: the file or one of its lines cannot be read."""
    return _read_pairs(path, _KEY_HASH, "qwen-demo key NAME")


def read_users(path: Path) -> dict[str, str]:
    """Names of users, and the hashes of their passwords. Raises as `read_keys`."""
    return _read_pairs(path, _PASSWORD_HASH, "qwen-demo user NAME")


def _read_pairs(path: Path, hashed: re.Pattern[str], maker: str) -> dict[str, str]:
    """A file's lines, without blank ones and `#` comments. A hash that fits nobody would only be noticed by its owner."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is no text in UTF-8.") from error
    pairs: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            name, _, value = line.strip().partition(":")
            if not name or not hashed.fullmatch(value):
                raise SettingsError(f"{path}, line {number}: each line is name:hash, as {maker} makes it.")
            if name in pairs:
                raise SettingsError(f"{path}, line {number}: {name} is there already; give this one another name.")
            pairs[name] = value
    return pairs


class Login:
    """Whether a name and a password of the page belong together."""

    def __init__(self, path: Path):
        self._users = read_users(path)
        # Checked for names that are not there, so that the time does not tell which are.
        self._nobody = hash_of_password(secrets.token_hex(8))
        self._turns = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def check(self, name: str, password: str) -> bool:
        """Gradio's `auth`. In a thread: scrypt takes 16 MiB and tens of milliseconds on purpose."""
        async with self._turns:
            known = self._users.get(name, self._nobody)
            return await asyncio.to_thread(password_fits, password, known) and name in self._users
