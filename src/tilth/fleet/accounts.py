"""People who may change a fleet: their passwords and their log-ins."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from typing import Any

from tilth.core.errors import InputError
from tilth.fleet.control import Control

#: What an account may do; each role may all that the ones before it may.
ROLES = ("viewer", "operator", "admin")

#: A password must be at least this long (NIST SP 800-63B-4 asks for 8; people guess
#: machines faster today than in 2017).
SHORTEST_PASSWORD = 10

#: scrypt's cost: 16 MiB and about 50 ms (OWASP password storage, 2023: N = 2**14 with
#: r = 8, p = 5 is one of its equivalent settings).
_N, _R, _P = 1 << 14, 8, 5

#: A log-in ends after this long without use, and after this long in any case, ms.
IDLE_MS = 12 * 3_600_000
LONGEST_MS = 14 * 86_400_000

_NAME = re.compile(r"^[A-Za-z0-9_.@-]{1,64}$")


def hash_password(password: str) -> str:
    """Return a salted scrypt hash, ``scrypt$n$r$p$salt$hash`` in hexadecimal."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _N, _R, _P)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${digest.hex()}"


def password_matches(password: str, stored: str) -> bool:
    """Compare a password with its hash, in a time that tells nothing."""
    try:
        kind, n, r, p, salt, digest = stored.split("$")
        if kind != "scrypt":
            return False
        made = _scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
        return hmac.compare_digest(made, bytes.fromhex(digest))
    except ValueError:
        return False


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        # "é" may arrive as one character or as two: both mean the same password.
        unicodedata.normalize("NFKC", password[:1024]).encode(),
        salt=salt,
        n=n,
        r=r,
        p=p,
        maxmem=256 * 1024 * 1024,
        dklen=32,
    )


#: Compared with when a name is unknown, so that an answer takes as long.
_NOBODY = f"scrypt${_N}${_R}${_P}${'00' * 16}${'00' * 32}"


def add_user(control: Control, name: str, password: str, role: str) -> None:
    """Enter an account, or give a known one another password and role.

    All its log-ins end.

    Raises
    ------
    InputError
        If the name, the password or the role will not do.
    """
    if not _NAME.match(name):
        raise InputError(
            f"{name!r} is no user name: 1 to 64 of letters, digits and _ . @ -"
        )
    if len(password) < SHORTEST_PASSWORD:
        raise InputError(
            f"the password has {len(password)} characters; at least "
            f"{SHORTEST_PASSWORD} are needed (a few words are easy to remember)"
        )
    if role not in ROLES:
        raise InputError(f"no role {role!r}; there are {', '.join(ROLES)}")
    now, hashed = control.clock(), hash_password(password)
    with control.transaction() as connection:
        connection.execute(
            "INSERT INTO users(name, password, role, created, changed)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT(name) DO UPDATE SET"
            " password = excluded.password, role = excluded.role, disabled = 0,"
            " changed = excluded.changed",
            (name, hashed, role, now, now),
        )
        connection.execute("DELETE FROM logins WHERE user = ?", (name,))


def disable_user(control: Control, name: str) -> None:
    """Lock an account and end its log-ins."""
    with control.transaction() as connection:
        changed = connection.execute(
            "UPDATE users SET disabled = 1, changed = ? WHERE name = ?",
            (control.clock(), name),
        ).rowcount
        connection.execute("DELETE FROM logins WHERE user = ?", (name,))
    if not changed:
        raise InputError(f"no user {name!r} in this fleet")


def users(control: Control) -> list[dict[str, Any]]:
    """Return all accounts without their hashes."""
    return control.rows(
        "SELECT name, role, created, changed, disabled FROM users ORDER BY name"
    )


def log_in(
    control: Control, name: str, password: str, about: str = ""
) -> tuple[str, str] | None:
    """Check name and password and open a log-in.

    Returns
    -------
    tuple of str or None
        The token for the cookie and the token against request forgery; None where
        name or password is wrong, without saying which.
    """
    user = control.row("SELECT * FROM users WHERE name = ?", name)
    good = password_matches(password, user["password"] if user else _NOBODY)
    if not good or user is None or user["disabled"]:
        return None
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    now = control.clock()
    with control.transaction() as connection:
        connection.execute(
            "DELETE FROM logins WHERE expires < ? OR last_seen < ?",
            (now, now - IDLE_MS),
        )
        connection.execute(
            "INSERT INTO logins VALUES (?, ?, ?, ?, ?, ?, ?)",
            (_hashed(token), name, now, now + LONGEST_MS, now, csrf, about[:200]),
        )
    return token, csrf


def login(control: Control, token: str) -> dict[str, Any] | None:
    """Return user, role and csrf token of an open log-in, or None."""
    now = control.clock()
    found = control.row(
        "SELECT token_hash, user, role, csrf, last_seen FROM logins"
        " JOIN users ON name = user"
        " WHERE token_hash = ? AND NOT disabled AND expires >= ? AND last_seen >= ?",
        *(_hashed(token), now, now - IDLE_MS),
    )
    if found is None:
        return None
    # Once a minute is enough: a dashboard asks several times a second.
    if now - found["last_seen"] > 60_000:
        control.write(
            "UPDATE logins SET last_seen = ? WHERE token_hash = ?",
            *(now, found["token_hash"]),
        )
    return {key: found[key] for key in ("user", "role", "csrf")}


def log_out(control: Control, token: str) -> None:
    """End a log-in."""
    control.write("DELETE FROM logins WHERE token_hash = ?", _hashed(token))


def may(role: str, needed: str) -> bool:
    """Tell whether a role includes another.

    Examples
    --------
    >>> may("admin", "operator"), may("viewer", "operator")
    (True, False)
    """
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
