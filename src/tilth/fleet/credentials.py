"""Who may log in to the broker: one random password and one command key per device.

Only a hash of a password is kept, in the form Mosquitto reads, so that the same devices
can move between the embedded broker and Mosquitto. Passwords are random (160 bits), so
the hash needs no cost against guessing. The command key follows from the fleet's
secret, which lies in a file of its own.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tilth.core.errors import InputError
from tilth.fleet.broker_rules import Principal, is_user_name
from tilth.fleet.control import Control, Secret, sync_folder
from tilth.fleet.messages import derive_command_key
from tilth.fleet.wire import is_device

#: PBKDF2 iterations of a hash: 1 ms. What is guessed here has 160 random bits.
ITERATIONS = 1000

#: Mosquitto's own form of PBKDF2-HMAC-SHA512 (its src/mosquitto_passwd): salt of
#: 12 bytes, hash of 64.
_FORM = re.compile(r"\$7\$(\d{1,7})\$([A-Za-z0-9+/=]{16})\$([A-Za-z0-9+/=]{88})")

_USER = "mqtt:"

#: Where the controller looks for the authority's certificate.
CA_ON_DEVICE = "/ca.der"


def new_password() -> str:
    """Return a random password of 32 characters (160 bits)."""
    return base64.b32encode(secrets.token_bytes(20)).decode().lower()


def hash_password(password: str) -> str:
    """Return the hash of a password as Mosquitto's password file holds it."""
    salt = secrets.token_bytes(12)
    return _hashed(password, salt, ITERATIONS)


def password_matches(password: str, stored: str) -> bool:
    """Compare a password with a hash, in a time that tells nothing.

    Examples
    --------
    >>> password_matches("one", hash_password("one"))
    True
    >>> password_matches("two", hash_password("one"))
    False
    """
    found = _FORM.fullmatch(stored)
    if found is None:
        return False
    made = _hashed(password, base64.b64decode(found[2]), int(found[1]))
    return hmac.compare_digest(made.encode(), stored.encode())


def _hashed(password: str, salt: bytes, iterations: int) -> str:
    raw = password[:256].encode("utf-8", "surrogatepass")
    digest = hashlib.pbkdf2_hmac("sha512", raw, salt, iterations, 64)
    text = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"$7${iterations}${text[0]}${text[1]}"


#: Compared with when a name is unknown, so that an answer takes as long.
_NOBODY = f"$7${ITERATIONS}${'A' * 16}${'A' * 86}=="


@dataclass(frozen=True)
class Enrolment:
    """What a device is given, once; the server keeps neither secret readable.

    Parameters
    ----------
    device : str
        Its name, which is also its user name and client id.
    password : str
        For the broker.
    command_key : str
        64 hexadecimal digits: commands for it are signed with this key.
    """

    device: str
    password: str = field(repr=False)
    command_key: str = field(repr=False)


class Credentials:
    """The log-ins of a fleet's broker.

    Parameters
    ----------
    control : Control
        The control file.
    secret : Secret
        The fleet's secret, from `tilth.fleet.control.master_secret`.

    Examples
    --------
    >>> import tempfile
    >>> from tilth.fleet.control import open_control, master_secret
    >>> with tempfile.TemporaryDirectory() as folder, open_control(folder) as control:
    ...     credentials = Credentials(control, master_secret(folder))
    ...     enrolment = credentials.enrol("a0b765112233")
    ...     credentials.log_in("a0b765112233", enrolment.password)
    Principal(name='a0b765112233', role='device')
    """

    def __init__(self, control: Control, secret: Secret) -> None:
        self._control = control
        self._secret = secret

    # Devices

    def enrol(self, device: str, *, name: str = "", by: str = "") -> Enrolment:
        """Enter a device, or give a known one another password.

        A connection under the old password is closed within seconds.

        Raises
        ------
        InputError
            If this is no device's name.
        """
        if not is_device(device):
            raise InputError(
                f"{device!r} is no device: 12 hexadecimal digits in lower case, the "
                "address on its label without colons"
            )
        password = new_password()
        self._control.enrol(device, mqtt_hash=hash_password(password), name=name, by=by)
        key = derive_command_key(self._secret.reveal(), device)
        return Enrolment(device, password, key.hex())

    def revoke(self, device: str) -> None:
        """Lock a device out; what it has sent stays."""
        self._control.set_enabled(device, False)

    # Programs

    def add_user(self, name: str, role: str, *, by: str = "") -> str:
        """Enter a program, or give a known one another password; return it.

        Parameters
        ----------
        name : str
            Letters, digits and ``_``.
        role : str
            ``reader`` (a dashboard that listens) or ``server`` (an ingest elsewhere).
        by : str
            Who enters it.
        """
        if not is_user_name(name):
            raise InputError(
                f"{name!r} is no name for a program: up to 32 letters, digits and _"
            )
        if role not in ("reader", "server"):
            raise InputError(f"no role {role!r}; there are reader and server")
        password = new_password()
        entry = {"role": role, "hash": hash_password(password)}
        self._control.set_setting(_USER + name, entry, by=by)
        return password

    def remove_user(self, name: str) -> None:
        """Lock a program out."""
        if not self._control.write("DELETE FROM settings WHERE key = ?", _USER + name):
            raise InputError(f"no program {name!r} may log in to this broker")

    def users(self) -> dict[str, str]:
        """Return the programs that may log in, with their roles."""
        return {name: entry["role"] for name, entry in self._programs().items()}

    def _programs(self) -> dict[str, dict[str, str]]:
        rows = self._control.rows(
            "SELECT key, value FROM settings WHERE key >= ? AND key < ?",
            *(_USER, _USER[:-1] + ";"),
        )
        return {row["key"][len(_USER) :]: json.loads(row["value"]) for row in rows}

    # What the broker asks

    def log_in(self, user: str, password: str) -> Principal | None:
        """Return who this is, or None; takes as long for an unknown name."""
        who, stored = self._entry(user)
        good = password_matches(password, stored or _NOBODY)
        return who if good and stored else None

    def log_in_certified(self, name: str) -> Principal | None:
        """Return who a client certificate, already verified, names, or None."""
        who, stored = self._entry(name)
        return who if stored else None

    def _entry(self, user: str) -> tuple[Principal | None, str | None]:
        if is_device(user):
            row = self._control.device(user)
            stored = row["mqtt_hash"] if row and row["enabled"] else None
            return Principal(user, "device"), stored
        entry = self._control.setting(_USER + user) if is_user_name(user) else None
        if entry is None:
            return None, None
        return Principal(user, entry["role"]), entry["hash"]

    def stamps(self) -> dict[str, str]:
        """Return, for each who may log in, what changes with the credential."""
        rows = self._control.rows(
            "SELECT device, mqtt_hash FROM devices"
            " WHERE enabled AND mqtt_hash IS NOT NULL"
        )
        programs = self._programs().items()
        return {row["device"]: row["mqtt_hash"] for row in rows} | {
            name: f"{entry['role']} {entry['hash']}" for name, entry in programs
        }

    # For Mosquitto

    def write_mosquitto_passwords(self, path: str | os.PathLike[str]) -> int:
        """Write Mosquitto's password file; return how many may log in.

        The file replaces the old one at once and is readable for the group of its
        folder; then ``kill -HUP`` Mosquitto, which also closes the connections of
        those who are no longer in it.
        """
        lines = [f"{name}:{stamp.split()[-1]}" for name, stamp in self.stamps().items()]
        text = "".join(f"{line}\n" for line in sorted(lines))
        write_private(path, text, mode=0o640)
        return len(lines)


def provisioning(
    enrolment: Enrolment,
    host: str,
    *,
    port: int = 8883,
    tls: bool = True,
    ca: str = "",
    wifi: Mapping[str, str] | None = None,
    ntp_host: str = "pool.ntp.org",
    firmware_key: str = "",
) -> dict[str, Any]:
    """Return what is written to a device as ``/secret.json``.

    Parameters
    ----------
    enrolment : Enrolment
        From `Credentials.enrol`.
    host, port : str, int
        Of the broker, as the device reaches it; with TLS the certificate must name it.
    tls : bool
        Whether the broker speaks TLS there.
    ca : str
        Certificate of the authority (PEM) the device trusts; copy it to the device
        as `CA_ON_DEVICE`, in the form `authority_file` returns.
    wifi : mapping of str to str, optional
        Names of networks and their passwords, the preferred first.
    ntp_host : str
        Time server.
    firmware_key : str
        Public key of who may make firmware for it; without one it takes no updates.
    """
    if tls and not ca:
        raise InputError("with TLS a device needs the authority's certificate (ca)")
    return {
        "mqtt_host": host,
        "mqtt_port": port,
        "mqtt_user": enrolment.device,
        "mqtt_password": enrolment.password,
        "mqtt_tls": tls,
        "mqtt_ca": CA_ON_DEVICE,
        "command_key": enrolment.command_key,
        "ntp_host": ntp_host,
        "wifi": [list(pair) for pair in (wifi or {}).items()],
        "firmware_key": firmware_key,
    }


def authority_file(ca: str) -> bytes:
    """Return a certificate (PEM) as the controller reads it: DER.

    Raises
    ------
    InputError
        If it is no certificate.
    """
    try:
        return ssl.PEM_cert_to_DER_cert(ca.strip())
    except ValueError as error:
        raise InputError(f"the authority's file is no certificate: {error}") from None


def write_provisioning(
    path: str | os.PathLike[str], content: Mapping[str, Any]
) -> None:
    """Write a device's secrets to a file that only its owner can read."""
    write_private(path, json.dumps(content, indent=1) + "\n")


def write_private(
    path: str | os.PathLike[str], content: str | bytes, mode: int = 0o600
) -> None:
    """Write a file others cannot read, whole or not at all."""
    path = Path(path)
    half = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(half, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(half, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            half.unlink()
        raise
    sync_folder(path.parent)
