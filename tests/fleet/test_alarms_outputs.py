"""What is sent where, over real sockets, and that no secret is ever shown."""

import json
import socket
from email import message_from_string
from email.policy import default

import pytest
from listeners import http_server, mail_server

from tilth.core.errors import InputError
from tilth.fleet.alarms.output_settings import read_outputs
from tilth.fleet.alarms.outputs import (
    Alertmanager,
    Item,
    Mail,
    Mqtt,
    Notice,
    Ntfy,
    OutputError,
    Webhook,
)
from tilth.fleet.control import Secret

T0 = 1_753_000_000_000
DEVICE = "a0b765000001"


def notice(status="firing", n=1, **more):
    ends = T0 + 60_000 if status == "resolved" else None
    items = tuple(
        Item("device_lost", "critical", f"{DEVICE[:-2]}{i:02d}", f"5.{i}.A",
             f"5.{i}.A has been silent for 900 s", T0, ends, "What it means.")
        for i in range(n)
    )  # fmt: skip
    return Notice(
        status, "device_lost", "table 5", "critical", items,
        **({"url": "https://fleet.example.org/alarms"} | more),
    )  # fmt: skip


@pytest.fixture
def web():
    with http_server() as server:
        yield server


@pytest.fixture
def post():
    with mail_server() as server:
        yield server


def test_a_webhook_gets_what_alertmanager_sends(web):
    token = Secret(b"s3cret-token")
    Webhook("hook", Secret(f"{web.url}/hook/abc".encode()), token).send(notice(n=2))
    path, headers, body = web.heard[0]
    assert path == "/hook/abc"
    assert headers["Authorization"] == "Bearer s3cret-token"
    said = json.loads(body)
    assert (said["version"], said["status"], said["receiver"]) == (
        "4", "firing", "hook",
    )  # fmt: skip
    assert said["groupLabels"] == {"alertname": "device_lost", "group": "table 5"}
    first = said["alerts"][0]
    assert first["labels"] == {
        "alertname": "device_lost", "severity": "critical", "device": "a0b765000000",
        "location": "5.0.A", "table": "5",
    }  # fmt: skip
    assert first["startsAt"] == "2025-07-20T08:26:40.000Z"
    assert first["endsAt"] == "0001-01-01T00:00:00Z"
    assert len({a["fingerprint"] for a in said["alerts"]}) == 2


def test_the_end_of_an_alarm_has_its_time_and_the_same_fingerprint(web):
    hook = Webhook("hook", Secret(web.url.encode()))
    hook.send(notice())
    hook.send(notice("resolved"))
    first, second = (said["alerts"][0] for said in web.bodies())
    assert second["status"] == "resolved"
    assert second["endsAt"] == "2025-07-20T08:27:40.000Z"
    assert first["fingerprint"] == second["fingerprint"]


def test_alertmanager_gets_a_list_of_alerts(web):
    Alertmanager("am", Secret(f"{web.url}/".encode())).send(notice(n=3))
    assert web.heard[0][0] == "/api/v2/alerts"
    (alerts,) = web.bodies()
    assert len(alerts) == 3
    assert set(alerts[0]) == {"labels", "annotations", "startsAt", "generatorURL"}
    Alertmanager("am", Secret(web.url.encode())).send(notice("resolved"))
    assert web.bodies()[1][0]["endsAt"] == "2025-07-20T08:27:40.000Z"


def test_ntfy_gets_a_title_a_priority_and_a_text(web):
    odd = Item("hot", "critical", DEVICE, "5.1.A", "5.1.A at 41 °C\r\nX: y", T0)
    Ntfy("phone", Secret(f"{web.url}/chambers".encode())).send(
        Notice("firing", "hot", "table 5", "critical", (odd,))
    )
    path, headers, body = web.heard[0]
    assert path == "/chambers"
    assert headers["Priority"] == "5"
    assert "X" not in headers
    assert "41 °C" in body.decode()


def test_a_mail_says_it_all(post):
    to = ("ida@example.org", "ole@example.org")
    mail = Mail("people", "127.0.0.1", "fleet@example.org", to, port=post.port,
                security="none")  # fmt: skip
    mail.send(notice(n=50))
    letter = post.heard[0]
    assert letter["to"] == [f"<{name}>" for name in to]
    text = message_from_string(letter["text"], policy=default)
    assert text["Subject"] == "[critical] device_lost: 50 chambers, table 5"
    body = text.get_content()
    assert "5.3.A has been silent for 900 s" in body
    assert "and 10 more" in body
    assert "https://fleet.example.org/alarms" in body


def test_mqtt_publishes_on_a_topic_of_the_rule():
    heard = []
    output = Mqtt("bus", "tilth/alarms", lambda t, p: heard.append((t, json.loads(p))))
    output.send(notice())
    topic, body = heard[0]
    assert topic == "tilth/alarms/device_lost/table 5"
    assert body["status"] == "firing"


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
def test_an_answer_that_is_an_error_is_one(web, status):
    web.answers = [status]
    url = Secret(f"{web.url}/token-in-path".encode())
    with pytest.raises(OutputError, match=str(status)) as error:
        Webhook("hook", url, Secret(b"s3cret")).send(notice())
    assert "token-in-path" not in str(error.value)
    assert "s3cret" not in str(error.value)


def test_a_redirect_is_not_followed(web):
    web.answers = [302]
    with pytest.raises(OutputError, match="302"):
        Webhook("hook", Secret(web.url.encode()), Secret(b"t")).send(notice())
    assert len(web.heard) == 1


def test_nobody_there_is_an_error_without_the_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    url = Secret(f"http://127.0.0.1:{port}/hook/s3cret".encode())
    with pytest.raises(OutputError, match="cannot be reached") as error:
        Webhook("hook", url).send(notice())
    assert "s3cret" not in str(error.value)
    mail = Mail("people", "127.0.0.1", "a@b", ("c@d",), port=port, security="none")
    with pytest.raises(OutputError, match="mail to 127"):
        mail.send(notice())


def test_a_refused_login_does_not_repeat_the_password(post):
    post.answers = [535]
    mail = Mail("people", "127.0.0.1", "a@b", ("c@d",), port=post.port, user="fleet",
                security="none", password=Secret(b"s3cret"))  # fmt: skip
    with pytest.raises(OutputError) as error:
        mail.send(notice())
    assert "535" in str(error.value)
    seen = str(error.value) + repr(error.value.__context__.__class__)
    assert "s3cret" not in seen
    assert not post.heard


def test_no_repr_shows_a_secret():
    hook = Webhook("hook", Secret(b"https://x/s3cret"), Secret(b"s3cret"))
    mail = Mail("m", "h", "a@b", ("c@d",), password=Secret(b"s3cret"))
    assert "s3cret" not in repr(hook) + repr(mail) + str(hook)


def written(tmp_path, text):
    path = tmp_path / "outputs.yaml"
    path.write_text(text)
    return path


def test_outputs_are_read_with_secrets_from_files_and_environment(
    tmp_path, monkeypatch
):
    (tmp_path / "hook").write_text("https://hooks.example.org/abc\n")
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret")
    path = written(
        tmp_path,
        """
- {name: hook, type: webhook, url: {file: hook}, min_severity: critical}
- {name: am, type: alertmanager, url: "http://am:9093", resolved: false}
- {name: phone, type: ntfy, url: "https://ntfy.example.org/x", token: tk}
- {name: bus, type: mqtt, topic: tilth/alarms}
- {name: people, type: mail, host: mail.example.org, from: a@b, to: [c@d, e@f],
   user: fleet, password: {env: MAIL_PASSWORD}}
""",
    )
    outputs = {o.name: o for o in read_outputs(path, lambda topic, payload: None)}
    assert list(outputs) == ["hook", "am", "phone", "bus", "people"]
    assert outputs["hook"].url.reveal() == b"https://hooks.example.org/abc"
    assert outputs["hook"].min_severity == "critical"
    assert not outputs["am"].resolved
    assert outputs["people"].password.reveal() == b"s3cret"
    assert (outputs["people"].port, outputs["people"].to) == (587, ("c@d", "e@f"))
    assert read_outputs(None) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x", "list of mappings"),
        ("- 3", "name and type"),
        ("- {name: a, type: pigeon}", "type of webhook"),
        ("- {name: a, type: webhook}", "needs a url"),
        ("- {name: a, type: webhook, url: 'ftp://s3cret'}", "http"),
        ("- {name: a, type: webhook, url: 'file:///etc/passwd'}", "http"),
        ("- {name: a, type: webhook, url: 'http://s3cret', colour: red}", "colour"),
        ("- {name: a, type: webhook, url: {file: none}}", "cannot be read"),
        ("- {name: a, type: webhook, url: {env: S3CRET_NONE}}", "environment"),
        ("- {name: a, type: webhook, url: {gone: s3cret}}", "is a text"),
        ("- {name: a, type: mqtt, topic: x}", "no broker"),
        ("- {name: a, type: mail, host: h, from: a@b}", "to is a list"),
        ("- {name: a, type: mail, host: h, from: a@b, to: [3]}", "to is a list"),
        ("- {name: a, type: mail, host: h, to: [c@d]}", "needs a from"),
        ('- {name: a, type: mail, host: h, from: "a\\nBcc: x", to: [c]}', "line break"),
        ("- {name: a, type: mail, host: h, from: a, to: [c], port: no}", "port"),
        ("- {name: a, type: mail, host: h, from: a, to: [c], security: none, "
         "password: s3cret}", "not sent without"),
        ("- {name: a, type: ntfy, url: 'http://x', min_severity: red}", "min_severity"),
        ("- {name: a, type: ntfy, url: 'http://x', resolved: maybe}", "resolved"),
        ("- {name: a, type: ntfy, url: 'http://x'}\n"
         "- {name: a, type: ntfy, url: 'http://y'}", "same name"),
        ("- {name: a, password: [s3cret}", "no YAML"),
    ],
)  # fmt: skip
def test_a_wrong_output_is_refused_without_its_secret(tmp_path, text, said):
    with pytest.raises(InputError, match=said) as error:
        read_outputs(written(tmp_path, text))
    assert "s3cret" not in str(error.value)
