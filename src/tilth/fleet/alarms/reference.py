"""The alarm reference: the built-in rules as a page of the manual."""

from __future__ import annotations

from textwrap import fill

from tilth.fleet.alarms.rules import Rule, built_in_rules

_HEAD = """\
# Alarms

<!-- Made from src/tilth/fleet/alarms/rules.yaml; a test holds them together. -->

A rule looks at one *fact*, a number per device or one of the whole service. Beyond its
limit for a while it is an alarm; it ends when the value has been on the quiet side of
the second limit for a while. In between nothing changes, so a value that wavers
does not flap; an alarm that comes back {flaps} times within an hour only ends after an
hour of quiet. While a fact is not known, alarms stay as they are unless the rule says
otherwise. Time in which nobody watched (a restart, a jump of the server's clock)
counts for nothing.

An alarm can be **acknowledged** (it is not sent again), **snoozed** (quiet until a
time, then sent again) and kept quiet by a **maintenance window** of a device, a
location, a variant, a table or all (`*`). A wider alarm keeps the narrower ones quiet
that follow from it. Alarms and what people said of them lie in `control.sqlite`: a
restart neither forgets one nor sends it twice.

## Your own rules

`alarm_rules: my-rules.yaml` in `tilth.yaml` names a list that changes what it
mentions:

```yaml
- name: device_silent      # a built-in rule: only this changes
  above: 300
  for: 30 s
- name: calibration_old
  enabled: false           # switched off
- name: hot_sensor         # a rule of your own
  fact: sensor_minus_air_k
  summary: "{{place}} ({{subject}}) runs {{value:.1f}} K warm"
  above: 3
  for: 10 min
  severity: info           # info, warning or critical
  group: device            # told together by table, device or fleet
  no_data: clear           # keep, clear or alarm
  no_data_for: 1 h
  repeat: 1 d              # until acknowledged; "0": once
```

A fact can be any of the column *fact* below.

## Where alarms are sent

`alarm_outputs: outputs.yaml` names a list of outputs. Addresses, tokens and passwords
may stand in files or in the environment; no log and no error shows them.

```yaml
- {{name: phone, type: ntfy, url: "https://ntfy.example.org/chambers"}}
- {{name: hook, type: webhook, url: {{file: /etc/tilth/hook-address}}}}
- {{name: am, type: alertmanager, url: "http://alertmanager:9093", min_severity: info}}
- {{name: bus, type: mqtt, topic: tilth/alarms}}
- name: people
  type: mail
  host: mail.example.org
  from: chambers@example.org
  to: [ida@example.org]
  user: chambers
  password: {{env: MAIL_PASSWORD}}
  min_severity: critical
  resolved: false          # the end is not mailed
```

A webhook gets the JSON of Alertmanager's webhook receiver, version 4; `alertmanager`
posts to an Alertmanager's `/api/v2/alerts`; `mqtt` publishes the former on
`TOPIC/<rule>/<group>`. Alarms of one rule and table that come within 15 s are one
message. An output that fails is tried again after 5 s, 10 s ... 10 min, and holds up
nothing else.

## The built-in rules

| rule | severity | alarm | over | for | told by |
|---|---|---|---|---|---|
"""


def reference() -> str:
    """Return the alarm reference in Markdown."""
    rules = built_in_rules()
    first = next(iter(rules.values()))
    lines = [_HEAD.format(flaps=first.flaps)]
    lines += [_row(rule) for rule in rules.values()]
    for rule in rules.values():
        lines.append(_section(rule))
    return "".join(lines)


def _row(rule: Rule) -> str:
    return (
        f"| `{rule.name}` | {rule.severity} | "
        f"{_limits(rule.above, rule.below)} | {_over(rule)} | "
        f"{duration(rule.hold_ms)} | {rule.group} |\n"
    )


def _limits(above: float | None, below: float | None) -> str:
    words = [f"above {above:g}"] if above is not None else []
    words += [f"below {below:g}"] if below is not None else []
    return " or ".join(words)


def _over(rule: Rule) -> str:
    high = rule.above if rule.clear_above is None else rule.clear_above
    low = rule.below if rule.clear_below is None else rule.clear_below
    words = [f"at most {high:g}"] if high is not None else []
    words += [f"at least {low:g}"] if low is not None else []
    return f"{' and '.join(words)} for {duration(rule.clear_ms)}"


def _section(rule: Rule) -> str:
    lines = [f"\n### {rule.name}\n", fill(rule.about, 88), ""]
    lines.append(fill(f"*What to do:* {rule.action}", 88))
    notes = [f"fact `{rule.fact}`"]
    if rule.repeat_ms:
        notes.append(f"told again every {duration(rule.repeat_ms)}")
    if rule.no_data != "keep":
        notes.append(f"unknown for {duration(rule.no_data_ms)}: {rule.no_data}")
    if rule.inhibited_by:
        notes.append(f"quiet while {', '.join(rule.inhibited_by)}")
    return "\n".join(lines) + f"\n\n{fill('(' + '; '.join(notes) + ')', 88)}\n"


def duration(ms: int) -> str:
    """Return a duration in the largest unit that fits.

    Examples
    --------
    >>> duration(900_000), duration(86_400_000), duration(0)
    ('15 min', '1 d', '0 s')
    """
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000)):
        if ms >= size and ms % size == 0:
            return f"{ms // size} {unit}"
    return f"{ms / 1000:g} s"
