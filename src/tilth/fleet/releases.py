"""Firmware that a fleet holds: checked as a device checks it, kept, handed out."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from tilth.core.errors import InputError
from tilth.fleet.control import Control
from tilth.fleet.credentials import write_private

#: Setting of the control file: public key of who may make firmware for this fleet.
KEY_SETTING = "firmware_key"
FOLDER = "firmware"


def trust(control: Control, key: str, by: str = "") -> None:
    """Say whose firmware this fleet takes; new chambers are given the same key.

    Parameters
    ----------
    control : Control
        The fleet's control file.
    key : str
        Public Ed25519 key, 64 hexadecimal digits.
    by : str
        Who says so.

    Raises
    ------
    InputError
        If it is no key.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", key):
        raise InputError("a firmware key is 64 hexadecimal digits")
    control.set_setting(KEY_SETTING, key, by=by)
    control.note(by, "firmware key", {"key": key})


def add_release(
    control: Control, bundle: bytes, manifest: bytes, url: str, by: str = ""
) -> dict[str, Any]:
    """Check a bundle as a device would, and keep it.

    Parameters
    ----------
    control : Control
        The fleet's control file.
    bundle, manifest : bytes
        From ``firmware/boot/build.py``: the firmware as one file, and its signed
        description in JSON.
    url : str
        Where chambers find bundles, such as ``http://10.0.0.2:8000``.
    by : str
        Who adds it.

    Returns
    -------
    dict
        The manifest, with the address of this bundle.

    Raises
    ------
    InputError
        If no key is trusted, the signature is not of that key, or the bundle is not
        the one that was signed.
    """
    from tilth.fleet.simulate.firmware import firmware_module

    key = control.setting(KEY_SETTING)
    if key is None:
        raise InputError(
            "this fleet trusts no firmware key yet: tilth fleet firmware trust"
        )
    try:
        told = json.loads(manifest)
    except ValueError:
        raise InputError("the manifest is no JSON") from None
    if not isinstance(told, dict):
        raise InputError("the manifest is no JSON object")
    checks = firmware_module("bundle")
    try:
        # What a device with an older version would say.
        checks.check(told, bytes.fromhex(key), "0.0.0", -1, 1 << 30)
    except checks.Refused as error:
        raise InputError(f"this firmware is refused: {error}") from None
    if len(bundle) != told["size"] or _digest(bundle) != told["sha256"]:
        raise InputError("the bundle is not the one its manifest describes")
    version = told["version"]
    known = control.row("SELECT sha256 FROM firmware WHERE version = ?", version)
    if known is not None and known["sha256"] != told["sha256"]:
        raise InputError(
            f"another bundle of version {version} is held: give changed firmware a "
            "new version"
        )
    told["url"] = f"{url.rstrip('/')}/firmware/{version}.bundle"
    folder = control.folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    name = f"tilth-{version}.bundle"
    write_private(folder / name, bundle)
    control.write(
        "INSERT OR REPLACE INTO firmware(version, file, size, sha256, manifest, added,"
        " added_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(version, name, len(bundle), told["sha256"], json.dumps(told)),
        *(control.clock(), by),
    )
    control.note(by, "firmware added", {"version": version, "sha256": told["sha256"]})
    return told


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
