"""The file that says where alarms are sent: read and checked, secrets kept secret."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tilth.core.errors import InputError
from tilth.fleet.alarms.outputs import (
    Alertmanager,
    Mail,
    Mqtt,
    Ntfy,
    Output,
    Publish,
    Webhook,
)
from tilth.fleet.alarms.rules import SEVERITIES
from tilth.fleet.control import Secret

_COMMON = ("name", "type", "min_severity", "resolved")
_TYPES: dict[str, tuple[str, ...]] = {
    "webhook": ("url", "token"),
    "alertmanager": ("url", "token"),
    "ntfy": ("url", "token"),
    "mail": ("host", "port", "security", "user", "password", "from", "to"),
    "mqtt": ("topic",),
}


def read_outputs(
    path: str | os.PathLike[str] | None, publish: Publish | None = None
) -> list[Output]:
    """Read where alarms are sent.

    Parameters
    ----------
    path : path, optional
        A YAML list; no path means nowhere. ``url``, ``token`` and ``password`` may
        be given as they are, as ``{file: PATH}`` or as ``{env: NAME}``::

            - {name: phone, type: ntfy, url: "https://ntfy.example.org/chambers"}
            - {name: hook, type: webhook, url: {file: /etc/tilth/hook}}
            - name: people
              type: mail
              host: mail.example.org
              from: chambers@example.org
              to: [ida@example.org]
              user: chambers
              password: {env: MAIL_PASSWORD}
              min_severity: critical

    publish : callable, optional
        For outputs of the type ``mqtt``.

    Returns
    -------
    list of Output

    Raises
    ------
    InputError
        If an entry is wrong; the text never holds a secret.
    """
    import yaml

    if path is None:
        return []
    try:
        content = yaml.safe_load(Path(path).read_text("utf-8")) or []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the alarm outputs {path} cannot be read: {error}") from error
    except yaml.YAMLError:
        # The parser quotes the line, and a line may hold a password.
        raise InputError(f"the alarm outputs {path} are no YAML") from None
    if not isinstance(content, list):
        raise InputError(f"the alarm outputs {path} are a list of mappings")
    outputs = []
    for number, entry in enumerate(content, start=1):
        try:
            outputs.append(_output(entry, Path(path).parent, publish))
        except InputError as error:
            raise InputError(f"{path}: output {number}: {error}") from None
    names = [output.name for output in outputs]
    if len(set(names)) < len(names):
        raise InputError(f"{path}: two outputs have the same name")
    return outputs


def _output(entry: Any, folder: Path, publish: Publish | None) -> Output:
    if not isinstance(entry, Mapping):
        raise InputError("give a mapping with name and type")
    kind, name = entry.get("type"), entry.get("name")
    if kind not in _TYPES or not isinstance(name, str) or not name:
        raise InputError(f"name it, and give a type of {', '.join(_TYPES)}")
    unknown = set(entry) - set(_COMMON) - set(_TYPES[kind])
    if unknown:
        raise InputError(
            f"a {kind} takes {', '.join(_TYPES[kind])}, not "
            f"{', '.join(sorted(map(str, unknown)))}"
        )
    common = {
        "name": name,
        "min_severity": entry.get("min_severity", "warning"),
        "resolved": entry.get("resolved", True),
    }
    if common["min_severity"] not in SEVERITIES:
        raise InputError(f"min_severity is one of {', '.join(SEVERITIES)}")
    if not isinstance(common["resolved"], bool):
        raise InputError("resolved is true or false")
    if kind == "mqtt":
        if publish is None:
            raise InputError("this service has no broker to publish on")
        return Mqtt(topic=_text(entry, "topic"), publish=publish, **common)
    if kind == "mail":
        return _mail(entry, folder, common)
    url = _secret(entry, "url", folder)
    if url is None:
        raise InputError("it needs a url")
    if urlsplit(url.reveal().decode()).scheme not in ("http", "https"):
        raise InputError("the url begins with http:// or https://")
    types: dict[str, type[Webhook]] = {
        "webhook": Webhook,
        "alertmanager": Alertmanager,
        "ntfy": Ntfy,
    }
    return types[kind](url=url, token=_secret(entry, "token", folder), **common)


def _mail(entry: Mapping[str, Any], folder: Path, common: dict[str, Any]) -> Mail:
    security = entry.get("security", "starttls")
    if security not in ("starttls", "tls", "none"):
        raise InputError("security is starttls, tls or none")
    password = _secret(entry, "password", folder)
    if password is not None and security == "none":
        raise InputError("a password is not sent without starttls or tls")
    to = entry.get("to")
    if isinstance(to, str):
        to = [to]
    if (
        not isinstance(to, Sequence)
        or not to
        or not all(isinstance(x, str) for x in to)
    ):
        raise InputError("to is a list of addresses")
    sender = _text(entry, "from")
    if any(c in line for line in (*to, sender) for c in "\r\n"):
        raise InputError("an address has no line break")
    port = entry.get("port", {"starttls": 587, "tls": 465, "none": 25}[security])
    if type(port) is not int or not 0 < port < 65_536:
        raise InputError("port is a number from 1 to 65535")
    user = entry.get("user", "")
    return Mail(
        host=_text(entry, "host"),
        sender=sender,
        to=tuple(to),
        port=port,
        security=security,
        user=str(user),
        password=password,
        **common,
    )


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise InputError(f"it needs a {key}")
    return value


def _secret(entry: Mapping[str, Any], key: str, folder: Path) -> Secret | None:
    """Return a secret given as text, as a file or as an environment variable."""
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        return Secret(value.encode())
    if isinstance(value, Mapping) and set(value) == {"file"}:
        path = folder / str(value["file"])
        try:
            return Secret(path.read_text("utf-8").strip().encode())
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"the file of {key} cannot be read: {error}") from error
    if isinstance(value, Mapping) and set(value) == {"env"}:
        found = os.environ.get(str(value["env"]))
        if found is None:
            raise InputError(f"the environment has no {value['env']} for {key}")
        return Secret(found.encode())
    raise InputError(f"{key} is a text, {{file: PATH}} or {{env: NAME}}")
