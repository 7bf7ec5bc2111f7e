"""The ingest as an ordinary MQTT client, of any broker.

Messages are acknowledged to the broker only after they are on disk, so that a broker
that keeps sessions sends again what a crash of this process swallowed. Nothing rests
on that: what a broker loses the devices send again.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tilth.fleet.messages import Ack, encode_ack

_log = logging.getLogger(__name__)

SUBSCRIPTIONS = [("tilth/v1/+/d", 1), ("tilth/v1/+/s", 1)]
#: Messages the broker may send before the first is acknowledged.
RECEIVE_MAXIMUM = 1000
#: Answers that may wait for the socket; further ones are dropped, for they are
#: cumulative and asked for again.
MAX_UNSENT = 20_000

_PROBE = "tilth/v1/000000000000/ack"
_NEVER = 0xFFFFFFFF
_UNSUPPORTED = 0x84

#: A token: number of the connection, message id, QoS.
Token = tuple[int, int, int]


class MqttLink:
    """Connects an `Ingest` with a broker, for as long as it runs.

    Parameters
    ----------
    put : callable
        Takes a message: `Ingest.put`.
    host, port : str, int
        Of the broker.
    user, password : str, optional
        Log-in. The password is never logged.
    tls : ssl.SSLContext, optional
        For TLS.
    client_id : str
        The same at every start: the broker keeps this client's messages. Two servers
        with one id throw each other out.
    version : int, optional
        4 for MQTT 3.1.1 or 5; by default 5, and 4 where the broker refuses.

    Attributes
    ----------
    connected : bool
        Whether the broker is there and took the subscriptions.
    problem : str or None
        What the broker refuses, or why there is no connection.
    problems : deque of str
        The last hundred of them.
    """

    def __init__(
        self,
        put: Callable[..., object],
        host: str,
        port: int = 1883,
        *,
        user: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        client_id: str = "tilth-ingest",
        version: int | None = None,
        keepalive: int = 30,
    ) -> None:
        self._put = put
        self._address = (host, port)
        self._login = (user, password)
        self._tls = tls
        self._client_id = client_id
        self._version = version or 5
        self._may_fall_back = version is None
        self._keepalive = keepalive
        self._lock = threading.Lock()
        self._connection = 0
        self._unsent = 0
        self._answered = False
        self._old_broker = threading.Event()
        self._stopping = False
        self.connected = False
        self.problem: str | None = None
        self.problems: deque[str] = deque(maxlen=100)
        self._on_connected: list[Callable[[], object]] = []
        self._client = self._make()
        self._thread = threading.Thread(target=self._watch, name="mqtt", daemon=True)

    def start(self) -> None:
        """Connect, and again whenever the connection breaks, until `close`."""
        self._open()
        self._thread.start()

    def close(self) -> None:
        """Disconnect; the broker keeps the session. A second call does nothing."""
        if self._stopping:
            return
        self._stopping = True
        self._old_broker.set()
        if self._thread.is_alive():
            self._thread.join()
        self._shut()

    def __enter__(self) -> MqttLink:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def on_connected(self, call: Callable[[], object]) -> None:
        """Have a function called after each connection."""
        self._on_connected.append(call)

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> bool:
        """Send a message, from any thread; False if it was not even queued."""
        with self._lock:
            if qos == 0 and (not self.connected or self._unsent >= MAX_UNSENT):
                return False
            self._unsent += 1
        info = self._client.publish(topic, payload, qos=qos, retain=False)
        if info.rc in (paho.MQTT_ERR_NO_CONN, paho.MQTT_ERR_QUEUE_SIZE):
            with self._lock:
                self._unsent -= 1
            return qos > 0 and info.rc == paho.MQTT_ERR_NO_CONN
        return True

    def settle(self, tokens: list[Token]) -> None:
        """Acknowledge messages to the broker: they are on disk."""
        for connection, mid, qos in tokens:
            if connection == self._connection:  # else the broker sends them again
                self._client.ack(mid, qos)

    # The connection

    def _make(self) -> paho.Client:
        five = self._version == 5
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if five else False,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            manual_ack=True,
        )
        user, password = self._login
        if user is not None:
            client.username_pw_set(user, password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        client.reconnect_delay_set(1, 30)
        client.max_inflight_messages_set(100)
        client.max_queued_messages_set(10_000)
        client.on_connect = self._connect
        client.on_connect_fail = self._failed
        client.on_disconnect = self._disconnect
        client.on_subscribe = self._subscribed
        client.on_publish = self._published
        client.on_message = self._message
        return client

    def _open(self) -> None:
        host, port = self._address
        if self._version == 5:
            wishes = Properties(PacketTypes.CONNECT)
            wishes.SessionExpiryInterval = _NEVER
            wishes.ReceiveMaximum = RECEIVE_MAXIMUM
            self._client.connect_async(
                host, port, self._keepalive, clean_start=False, properties=wishes
            )
        else:
            self._client.connect_async(host, port, self._keepalive)
        self._client.loop_start()

    def _shut(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client.reinitialise(self._client_id)  # closes its sockets
        self.connected = False

    def _watch(self) -> None:
        """Begin anew with MQTT 3.1.1 if the broker knows no other."""
        self._old_broker.wait()
        if not self._stopping:
            _log.info("the broker does not speak MQTT 5: 3.1.1 from now on")
            self._shut()
            self._version = 4
            self._client = self._make()
            self._open()

    def _connect(
        self, client: paho.Client, _u: Any, _f: Any, reason: Any, _p: Any
    ) -> None:
        if not reason.is_failure:
            self._connection += 1
            self._answered = True
            self.problem = None
            with self._lock:
                self._unsent = 0
            client.subscribe(SUBSCRIPTIONS)
        elif reason.value == _UNSUPPORTED and self._may_fall_back:
            self._old_broker.set()
        else:
            self._answered = True
            self._trouble(f"the broker refuses this client: {reason}")

    def _failed(self, _c: paho.Client, _u: Any) -> None:
        host, port = self._address
        self._trouble(f"no connection to {host}:{port}")

    def _subscribed(
        self, client: paho.Client, _u: Any, _mid: int, reasons: Any, _p: Any
    ) -> None:
        refused = [str(r) for r in reasons if r.is_failure]
        if refused:
            self._trouble(f"the broker refuses the subscription: {', '.join(refused)}")
            client.disconnect()
            return
        self.connected = True
        # May this client answer? A broker of version 5 says so, at QoS 1.
        client.publish(_PROBE, encode_ack(Ack("", "0-00000000", -1)), qos=1)
        for call in self._on_connected:
            call()

    def _published(
        self, _c: paho.Client, _u: Any, _mid: int, reason: Any, _p: Any
    ) -> None:
        with self._lock:
            self._unsent = max(self._unsent - 1, 0)
        if reason is not None and reason.is_failure:
            self._trouble(
                f"the broker refuses to pass on what this server sends: {reason}. "
                "Let its user write tilth/v1/+/ack and tilth/v1/+/cmd"
            )

    def _disconnect(
        self, _c: paho.Client, _u: Any, _f: Any, reason: Any, _p: Any
    ) -> None:
        was_connected, self.connected = self.connected, False
        if self._stopping:
            return
        if was_connected:
            self._trouble(f"disconnected: {reason}")
        elif not self._answered and self._may_fall_back:
            self._old_broker.set()  # it hung up on version 5 without a word

    def _message(self, client: paho.Client, _u: Any, message: Any) -> None:
        token = None
        if message.qos:
            token = (self._connection, message.mid, message.qos)
        try:
            taken = self._put(
                message.topic, message.payload, message.retain, message.qos, token
            )
        except Exception:
            # An error here would end the thread that reads from the broker.
            _log.exception("a message was not taken")
            taken = False
        if not taken and token is not None:
            # Dropped because too much waits: the device sends it again, but the
            # broker must not count it against this client's window for ever.
            client.ack(message.mid, message.qos)

    def _trouble(self, text: str) -> None:
        if text != self.problem:
            _log.warning("%s", text)
            self.problems.append(text)
        self.problem = text
