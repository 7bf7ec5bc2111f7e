"""The settings of a fleet's service: what ``tilth.yaml`` in its data folder says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tilth.core.errors import InputError

CONFIG_FILE = "tilth.yaml"

#: The article's chamber: a bucket of 16.5 cm over a pot of 20 cm.
ARTICLE_GEOMETRY = {"volume": "5.18 L", "area": "314 cm2", "volume_se": "0.25 L"}


@dataclass(frozen=True)
class FleetConfig:
    """Settings of one fleet; the defaults need no file.

    Attributes
    ----------
    broker : str
        ``embedded`` for the broker of the service itself, or the address of any
        other: ``mqtt://host:1883``, ``mqtts://host:8883``.
    broker_user, broker_password_file, broker_ca : str
        How the service logs in to another broker: name, file that holds the
        password (its path counts from the data folder), file of the certificate
        authority.
    listen, mqtt_port : str, int
        Where the embedded broker listens. 127.0.0.1 hears this machine alone,
        0.0.0.0 every network. Port 0 takes a free one.
    certificate, key : str
        Server certificate and key (PEM) of the embedded broker; empty for no TLS.
    plain_lan : bool
        Let the embedded broker listen beyond this machine without TLS: passwords and
        data then cross the network readable.
    web_host, web_port : str, int
        Where the pages are.
    web_names : list of str
        Names under which the pages may be asked for, beside those of this machine;
        a request with another is refused.
    title : str
        Name of the fleet, on every page.
    public_url : str
        Address of the pages as others see it, such as ``https://fleet.example.org``;
        also where devices fetch firmware.
    read_needs_login : bool
        Whether reading needs a log-in too. Changing anything always does.
    read_token_file : str
        File with a token that lets programs (Grafana, Prometheus) read without one.
    geometry : mapping
        As in a geometry file of `tilth.chambers.read_geometry`.
    keep_days : int
        Days in the journal before they are sealed into the archive.
    postgres : str
        Connection string of a PostgreSQL archive; empty for Parquet files.
    alarm_rules, alarm_outputs : str
        Files with rules of your own, and with where alarms are sent.
    """

    broker: str = "embedded"
    broker_user: str = "tilth"
    broker_password_file: str = ""
    broker_ca: str = ""
    listen: str = "127.0.0.1"
    mqtt_port: int = 1883
    certificate: str = ""
    key: str = ""
    plain_lan: bool = False
    web_host: str = "127.0.0.1"
    web_port: int = 8000
    web_names: list[str] = field(default_factory=list)
    title: str = "Chamber fleet"
    public_url: str = ""
    read_needs_login: bool = False
    read_token_file: str = ""
    geometry: Mapping[str, Any] = field(default_factory=lambda: dict(ARTICLE_GEOMETRY))
    keep_days: int = 2
    postgres: str = ""
    alarm_rules: str = ""
    alarm_outputs: str = ""

    def __post_init__(self) -> None:
        for name in ("mqtt_port", "web_port"):
            if not 0 <= getattr(self, name) <= 65_535:
                raise InputError(f"{name} is a port, 0 to 65535: {getattr(self, name)}")
        if self.keep_days < 1:
            raise InputError(f"keep_days is at least 1, got {self.keep_days}")
        if self.broker != "embedded":
            address = urlsplit(self.broker)
            if address.scheme not in ("mqtt", "mqtts") or not address.hostname:
                raise InputError(
                    f"broker is 'embedded' or an address such as "
                    f"mqtts://host:8883, got {self.broker!r}"
                )
        if bool(self.certificate) != bool(self.key):
            raise InputError("give both certificate and key, or neither")

    @property
    def embedded(self) -> bool:
        """Whether the service is its own broker."""
        return self.broker == "embedded"

    @property
    def address(self) -> tuple[str, int, bool]:
        """Host, port and whether with TLS, of a broker that is not embedded."""
        parts = urlsplit(self.broker)
        tls = parts.scheme == "mqtts"
        return str(parts.hostname), parts.port or (8883 if tls else 1883), tls


def config_from_dict(content: Mapping[str, Any]) -> FleetConfig:
    """Turn a mapping into settings.

    Parameters
    ----------
    content : mapping
        Any of the attributes of `FleetConfig`.

    Returns
    -------
    FleetConfig

    Raises
    ------
    InputError
        If a name is unknown, a value has the wrong type or makes no sense.

    Examples
    --------
    >>> config_from_dict({"web_port": 8080}).web_port
    8080
    """
    if not isinstance(content, Mapping):
        raise InputError("settings are a mapping such as 'web_port: 8000'")
    defaults = FleetConfig()
    known = {f.name: getattr(defaults, f.name) for f in fields(FleetConfig)}
    for name, value in content.items():
        if name not in known:
            raise InputError(f"no setting {name!r}; there are {', '.join(known)}")
        kind = Mapping if name == "geometry" else type(known[name])
        whole = not (kind is int and isinstance(value, bool))
        if not (isinstance(value, kind) and whole):
            word = "mapping" if kind is Mapping else kind.__name__
            raise InputError(f"{name} is a {word}, got {value!r}")
    return FleetConfig(**content)


def read_config(folder: str | os.PathLike[str]) -> FleetConfig:
    """Read the settings of a data folder; the defaults where it has no file.

    Parameters
    ----------
    folder : path
        The fleet's data folder.

    Returns
    -------
    FleetConfig

    Raises
    ------
    InputError
        If the file is no YAML or `config_from_dict` refuses it.
    """
    import yaml

    path = Path(folder) / CONFIG_FILE
    if not path.exists():
        return FleetConfig()
    try:
        content = yaml.safe_load(path.read_text("utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is not a YAML file: {reason}") from error
    try:
        return config_from_dict(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
