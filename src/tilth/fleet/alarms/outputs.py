"""Where alarms are sent: webhook, Alertmanager, mail, ntfy and MQTT.

An output sends one message and raises if that failed; waiting and trying again is
the matter of `notify`. Addresses and passwords are secrets: they come from files or
the environment where the user wants, and no log, error or ``repr`` shows them.
"""

from __future__ import annotations

import hashlib
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Protocol
from urllib.parse import urlsplit

from tilth.core.errors import TilthError
from tilth.fleet.clock import iso
from tilth.fleet.control import Secret

#: How long an output may take, s.
_TIMEOUT = 10.0

#: Most alarms named in one text.
_MOST_LINES = 40

#: Publishes a payload on an MQTT topic.
Publish = Callable[[str, bytes], object]


class OutputError(TilthError):
    """A message that could not be delivered; the text holds no secret."""


@dataclass(frozen=True)
class Item:
    """One alarm in a message.

    Attributes
    ----------
    rule, severity, device, place, text : str
        What a person reads.
    starts : int
        When it was given, utc ms.
    ends : int or None
        When it was over.
    detail : str
        What the rule means and what to do.
    """

    rule: str
    severity: str
    device: str
    place: str
    text: str
    starts: int
    ends: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Notice:
    """Alarms of one rule and group that are told together.

    Attributes
    ----------
    status : str
        ``firing`` or ``resolved``.
    rule, group, severity : str
        What they have in common.
    items : tuple of Item
        The alarms.
    url : str
        Address of the alarm page; empty if none.
    """

    status: str
    rule: str
    group: str
    severity: str
    items: tuple[Item, ...]
    url: str = ""

    @property
    def title(self) -> str:
        """One line."""
        word = "over" if self.status == "resolved" else self.severity
        if len(self.items) == 1:
            return f"[{word}] {self.items[0].text}"
        return f"[{word}] {self.rule}: {len(self.items)} chambers, {self.group}"

    @property
    def text(self) -> str:
        """All of it as plain text."""
        lines = [f"{iso(i.starts)[:16]}Z  {i.text}" for i in self.items[:_MOST_LINES]]
        more = len(self.items) - _MOST_LINES
        if more > 0:
            lines.append(f"and {more} more")
        if self.status == "firing" and self.items and self.items[0].detail:
            lines += ["", self.items[0].detail]
        if self.url:
            lines += ["", self.url]
        return "\n".join(lines)


class Output(Protocol):
    """Something that can send a notice."""

    @property
    def name(self) -> str:
        """Name, unique among the outputs."""

    @property
    def min_severity(self) -> str:
        """The mildest severity that is sent."""

    @property
    def resolved(self) -> bool:
        """Whether the end of an alarm is sent too."""

    def send(self, notice: Notice) -> None:
        """Deliver, or raise `OutputError`."""


@dataclass(frozen=True)
class Webhook:
    """A POST of JSON as Alertmanager sends it (webhook receiver, version 4).

    Attributes
    ----------
    name : str
        Of the output.
    url : Secret
        Address, http or https.
    token : Secret, optional
        Sent as ``Authorization: Bearer``.
    min_severity, resolved : str, bool
        The mildest that is sent; whether the end of an alarm is sent too.
    """

    name: str
    url: Secret
    token: Secret | None = None
    min_severity: str = "warning"
    resolved: bool = True

    def send(self, notice: Notice) -> None:
        """Post a notice."""
        _post(self.name, self.url, webhook_json(notice, self.name), self.token)


@dataclass(frozen=True)
class Alertmanager(Webhook):
    """A POST to an Alertmanager's ``/api/v2/alerts``; `url` is its base address."""

    def send(self, notice: Notice) -> None:
        """Post the alarms of a notice."""
        address = Secret(self.url.reveal().rstrip(b"/") + b"/api/v2/alerts")
        body = [
            {**alert, "generatorURL": notice.url}
            for alert in webhook_json(notice, self.name)["alerts"]
        ]
        for alert in body:
            alert.pop("status"), alert.pop("fingerprint")
            if alert["endsAt"].startswith("0001"):
                del alert["endsAt"]
        _post(self.name, address, body, self.token)


@dataclass(frozen=True)
class Ntfy(Webhook):
    """A message to a topic of an ntfy server; `url` is that of the topic."""

    def send(self, notice: Notice) -> None:
        """Publish a notice."""
        # A header is ASCII; the title may hold a degree sign.
        title = " ".join(notice.title.split()).encode("ascii", "replace").decode()
        headers = {
            "Title": title[:250],
            "Priority": "5" if notice.severity == "critical" else "3",
            "Tags": "white_check_mark" if notice.status == "resolved" else "warning",
            "Content-Type": "text/plain; charset=utf-8",
        }
        _post(self.name, self.url, notice.text.encode(), self.token, headers)


@dataclass(frozen=True)
class Mail:
    """A mail over SMTP.

    Attributes
    ----------
    host, port : str, int
        Of the mail server.
    sender : str
        From.
    to : tuple of str
        Recipients.
    security : str
        ``starttls``, ``tls`` or ``none``.
    user, password : str, Secret
        For the log-in; none without a user.
    """

    name: str
    host: str
    sender: str
    to: tuple[str, ...]
    port: int = 587
    security: str = "starttls"
    user: str = ""
    password: Secret | None = None
    min_severity: str = "warning"
    resolved: bool = True

    def send(self, notice: Notice) -> None:
        """Mail a notice."""
        mail = EmailMessage()
        mail["Subject"] = " ".join(notice.title.split())[:200]
        mail["From"], mail["To"] = self.sender, ", ".join(self.to)
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(notice.text + "\n")
        kind = smtplib.SMTP_SSL if self.security == "tls" else smtplib.SMTP
        try:
            with kind(self.host, self.port, timeout=_TIMEOUT) as server:
                if self.security == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self.user:
                    password = self.password.reveal().decode() if self.password else ""
                    server.login(self.user, password)
                server.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:
            # The error of a refused log-in may repeat what was sent.
            raise OutputError(
                f"output {self.name}: mail to {self.host} failed: "
                f"{type(error).__name__}{_code(error)}"
            ) from None


@dataclass(frozen=True)
class Mqtt:
    """JSON on a topic of the fleet's own broker: ``TOPIC/<rule>/<group>``."""

    name: str
    topic: str
    publish: Publish = field(repr=False)
    min_severity: str = "info"
    resolved: bool = True

    def send(self, notice: Notice) -> None:
        """Publish a notice."""
        group = notice.group.replace("/", "_").replace("+", "_").replace("#", "_")
        body = json.dumps(webhook_json(notice, self.name), allow_nan=False).encode()
        try:
            self.publish(f"{self.topic}/{notice.rule}/{group}", body)
        except Exception as error:
            raise OutputError(
                f"output {self.name}: not published: {type(error).__name__}"
            ) from error


def webhook_json(notice: Notice, receiver: str) -> dict[str, Any]:
    """Return a notice as Alertmanager's webhook sends it.

    Parameters
    ----------
    notice : Notice
        What to tell.
    receiver : str
        Name of the output.
    """
    labels = {"alertname": notice.rule, "severity": notice.severity}
    grouped = {"alertname": notice.rule, "group": notice.group}
    return {
        "version": "4",
        "groupKey": f"{notice.rule}/{notice.group}",
        "truncatedAlerts": 0,
        "status": notice.status,
        "receiver": receiver,
        "groupLabels": grouped,
        "commonLabels": labels,
        "commonAnnotations": {"summary": notice.title},
        "externalURL": notice.url,
        "alerts": [_alert(item, notice) for item in notice.items],
    }


def _alert(item: Item, notice: Notice) -> dict[str, Any]:
    labels = {
        "alertname": item.rule,
        "severity": item.severity,
        "device": item.device,
        "location": item.place,
        "table": item.place.split(".")[0],
    }
    key = f"{item.rule}\0{item.device}".encode()
    return {
        "status": notice.status,
        "labels": {name: value for name, value in labels.items() if value},
        "annotations": {"summary": item.text, "description": item.detail},
        "startsAt": iso(item.starts),
        # Alertmanager's way to say "not yet".
        "endsAt": "0001-01-01T00:00:00Z" if item.ends is None else iso(item.ends),
        "generatorURL": notice.url,
        "fingerprint": hashlib.sha256(key).hexdigest()[:16],
    }


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token elsewhere."""

    def redirect_request(self, *args: Any, **named: Any) -> None:
        return None


def _post(
    name: str,
    url: Secret,
    body: Any,
    token: Secret | None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Post JSON (or bytes); raise an error that says neither address nor token."""
    data = (
        body if isinstance(body, bytes) else json.dumps(body, allow_nan=False).encode()
    )
    address = url.reveal().decode()
    sent = {"Content-Type": "application/json", "User-Agent": "tilth"}
    sent |= dict(headers or {})
    if token is not None:
        sent["Authorization"] = f"Bearer {token.reveal().decode()}"
    request = urllib.request.Request(address, data, sent)
    host = urlsplit(address).hostname
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            answer.read(65_536)
    except urllib.error.HTTPError as error:
        error.close()
        raise OutputError(f"output {name}: {host} answered {error.code}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise OutputError(
            f"output {name}: {host} cannot be reached: {type(reason).__name__}"
        ) from None


def _code(error: Exception) -> str:
    code = getattr(error, "smtp_code", None)
    return f" ({code})" if code else ""
