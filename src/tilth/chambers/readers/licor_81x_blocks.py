"""A LI-8100 file cut into its observations, in whatever state it is.

An undamaged observation is, line by line, a header (``Key:<tab>value``; its first
line holds the lengths of the five parts in bytes, as hexadecimal numbers), the
column labels, type-1 records (one a second), three summary records (type 2: values
at closing, 3: means, 4: ranges), a footer with the firmware's fit, and a blank line.
Type -1 is a warning of the instrument. Anything of that may be missing, cut or
doubled; the damage is noted as words of `tilth.chambers.flags.CLOSURE_FLAGS`.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

import numpy as np

_HEADER_KEYS = frozenset(
    b"File Name|Instrument Name|Serial Number|Software|Comments|Obs#|Port#|Label|"
    b"Observation Length|Pre-purge|Post-purge|IRGA Averaging|Chamber|TSource|"
    b"Flow8100|FlowMux|Tmux|Vmux|Virga|Vext|Vcham|Offset|Area|Vtotal|V1 Info|V2 Info|"
    b"V3 Info|V4 Info|T1 Info|T2 Info|T3 Info|T4 Info|Labels_01".split(b"|")
)
_FOOTER_KEYS = frozenset(
    b"GasColumnID|Dilution|CrvFitStatus|Crv_Domain|Crv_#Smp|Dead Band|TimeClosing|"
    b"Target|Flux@Target|MinCO2|Flux@Min|Exp_Flux|Exp_FluxCV|Exp_dCdry/dt|Exp_R2|"
    b"Exp_SSN|Exp_SE|Exp_a|Exp_Co|Exp_Cx|Exp_t0|Exp_Iter|Exp_MaxIter|Lin_Flux|"
    b"Lin_FluxCV|Lin_dCdry/dt|Lin_R2|Lin_SSN|Lin_SE".split(b"|")
)
_KEYS = _HEADER_KEYS | _FOOTER_KEYS
_FIRST_LINE = re.compile(rb"LI-8\d\d\dA?:\t")
#: A key that begins inside a line: a record or a line before it was cut short.
_KEY = re.compile(
    rb"LI-8\d\d\dA?:\t|(?:"
    + b"|".join(re.escape(key) for key in sorted(_KEYS))
    + rb"):\t"
)


class Lines:
    """The lines of a file, and what can be told of all of them at once.

    Parameters
    ----------
    raw : bytes
        Content of the file, with any kind of line end.

    Attributes
    ----------
    start, stop : array of int
        Where each line begins and where the next one does.
    tabs : array of int
        Tabulators in each line.
    is_record : array of bool
        Lines of type 1.
    is_clean : array of bool
        Lines without control characters.
    """

    def __init__(self, raw: bytes) -> None:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in raw:
            raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self.raw = raw if raw.endswith(b"\n") else raw + b"\n"
        self.encoding = "utf-8"
        try:
            raw.decode()
        except UnicodeDecodeError:
            self.encoding = "latin-1"
        codes = np.frombuffer(self.raw, np.uint8)
        special = np.flatnonzero(codes < 32)
        kinds = codes[special]
        self.stop = special[kinds == 10] + 1
        self.start = np.concatenate([[0], self.stop[:-1]])
        tab = special[kinds == 9]
        self.tabs = np.diff(np.searchsorted(tab, self.stop), prepend=0)
        self.is_clean = np.ones(self.start.size, bool)
        self.is_clean[self._of(special[(kinds != 10) & (kinds != 9)])] = False
        second = np.minimum(self.start + 1, codes.size - 1)
        self.is_record = (codes[self.start] == 49) & (codes[second] == 9)
        # A colon before a tabulator is a key that a record ran into.
        self.is_record[self._of(tab[codes[tab - 1] == 58])] = False

    def _of(self, offset: np.ndarray) -> np.ndarray:
        """Return the lines in which the offsets lie."""
        return np.searchsorted(self.stop, offset, "right")

    def decode(self, text: bytes) -> str:
        """Return a part of the file as text."""
        return text.decode(self.encoding, "replace").strip()

    def labels(self, text: bytes) -> list[str]:
        """Return the column labels of a line; a first one that is lost is empty."""
        return [self.decode(label) for label in text.rstrip().split(b"\t")]


@dataclass
class Observation:
    """One observation: where its parts are and what they say.

    Attributes
    ----------
    first, last : int
        Its first line, and the first line of the next observation.
    offset : int
        Where its first line begins in the file.
    lengths : tuple of int
        Lengths of the five parts as its first line gives them, or empty.
    label_line : int
        Line of the column labels, or -1.
    header : dict
        Key to value, as written.
    summary, footer : dict
        Type (``b"2"`` and so on) or key to (line, text).
    damage : set of str
        Words of `CLOSURE_FLAGS`.
    """

    first: int
    offset: int
    last: int = 0
    lengths: tuple[int, ...] = ()
    header: dict[bytes, bytes] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)
    label_line: int = -1
    summary: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    footer: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    damage: set[str] = field(default_factory=set)

    def rest_after(self, line: int) -> Observation:
        """Split off what follows a line where another observation took over."""
        rest = Observation(line, -1, self.last, damage={"damaged_header"})
        rest.header[b"Obs#"] = b"after " + self.header.get(b"Obs#", b"?").strip()
        rest.summary = {k: v for k, v in self.summary.items() if v[0] >= line}
        rest.footer = {k: v for k, v in self.footer.items() if v[0] >= line}
        self.summary = {k: v for k, v in self.summary.items() if v[0] < line}
        self.footer = {k: v for k, v in self.footer.items() if v[0] < line}
        self.last = line
        return rest


def cut_observations(lines: Lines) -> list[Observation]:
    """Cut a file into observations, complete or not.

    An observation begins at its first line, or, where that is lost, at the first
    header line, label line or record that cannot belong to the one before.

    Parameters
    ----------
    lines : Lines
        The file.

    Returns
    -------
    list of Observation
        In the order of the file; empty if it holds nothing of the kind.
    """
    found: list[Observation] = []
    where = np.flatnonzero(~lines.is_record)
    records_before = np.concatenate([[0], np.cumsum(lines.is_record)])
    seen_records = records_before[where].tolist()
    begins, ends = lines.start[where].tolist(), (lines.stop[where] - 1).tolist()
    part = "none"  # of the current observation: header, records, summary, footer
    records_at_start = 0
    records_so_far = 0
    blank, stray = -9, (-9, 0)

    def begin(line: int, offset: int, with_part: str) -> Observation:
        nonlocal records_at_start
        if not found and records_so_far > 0:
            found.append(Observation(0, 0, damage={"damaged_header"}))
        if found:
            found[-1].last = line
        found.append(Observation(line, offset))
        if with_part != "header":
            found[-1].damage.add("damaged_header")
        records_at_start = records_so_far
        return found[-1]

    for i, line in enumerate(where.tolist()):
        records_so_far = seen_records[i]
        for offset, text in _pieces(begins[i], lines.raw[begins[i] : ends[i]]):
            key, colon, value = text.partition(b":")
            told = colon and value[:1] in (b"", b"\t")
            has_records = records_so_far > records_at_start
            if told and key in _FOOTER_KEYS:
                current = found[-1] if found else begin(line, offset, "footer")
                part = "footer"
                _note_once(current, current.footer, key, line, value)
            elif told and key in _HEADER_KEYS:
                if part != "header" or has_records:
                    # A line just before that nobody knows is a damaged first line.
                    begin(
                        *(stray if stray[0] == line - 1 else (line, offset)), "header"
                    )
                part = "header"
                # Two lines that contradict each other are damage.
                if found[-1].header.setdefault(key, value) != value:
                    found[-1].damage.add("damaged_header")
            elif _FIRST_LINE.match(text):
                fresh = part == "header" and not found[-1].header and not has_records
                current = found[-1] if fresh else begin(line, offset, "header")
                current.offset, current.lengths = offset, _lengths(value)
                part = "header"
            elif text.startswith(b"Type\t") or b"\tEtime\t" in text:
                if part not in ("header", "records") or has_records:
                    begin(line, offset, "records")
                part = "records"
                labels = lines.labels(text)
                if not found[-1].labels:
                    found[-1].labels, found[-1].label_line = labels, line
                elif found[-1].labels != labels:
                    found[-1].damage.add("damaged_header")
            elif text[:2] in (b"2\t", b"3\t", b"4\t"):
                current = found[-1] if found else begin(line, offset, "summary")
                part = "summary"
                _note_once(current, current.summary, text[:1], line, text)
            elif text.startswith(b"-1\t") and found:
                found[-1].warnings.append(lines.decode(text[3:]))
                found[-1].damage.add("instrument_warning")
            elif not text.strip():
                blank = line
            elif found and part in ("summary", "footer") and blank == line - 1:
                stray = line, offset
            elif found and (part in ("records", "summary") or text.count(b"\t") > 4):
                # Junk among records, or half a record anywhere.
                found[-1].damage.add("bad_rows")
    if not found and lines.is_record.any():
        found.append(Observation(0, 0, damage={"damaged_header"}))
    if found:
        found[-1].last = lines.start.size
    return found


def _pieces(offset: int, text: bytes) -> list[tuple[int, bytes]]:
    """Take a line apart where a key begins inside it: what came before was cut."""
    keys = text.count(b":\t")
    if keys == 0 or (keys == 1 and text.partition(b":")[0] in _KEYS):
        return [(offset, text)]
    cuts = [match.start() for match in _KEY.finditer(text) if match.start() > 0]
    edges = [0, *cuts, len(text)]
    return [(offset + a, text[a:b]) for a, b in itertools.pairwise(edges)]


def _lengths(value: bytes) -> tuple[int, ...]:
    try:
        lengths = tuple(int(word, 16) for word in value.split())
    except ValueError:
        return ()
    return lengths if len(lengths) == 5 else ()


def _note_once(
    observation: Observation,
    notes: dict[bytes, tuple[int, bytes]],
    key: bytes,
    line: int,
    value: bytes,
) -> None:
    """Keep a line of the summary or footer; of two that differ trust neither."""
    if key in notes and notes[key][1] != value:
        notes[key] = (line, b"")
        observation.damage.add("missing_footer")
    else:
        notes.setdefault(key, (line, value))


def part_lengths(lines: Lines, observation: Observation) -> tuple[int, ...]:
    """Return the lengths of header, labels, records, summary and footer as found.

    In characters with one per line end, as the instrument counts them; empty without
    labels, for then the parts cannot be told apart.
    """
    if observation.label_line < 0 or observation.offset < 0:
        return ()
    start, last = lines.start, observation.last
    labels = int(start[observation.label_line])
    records = int(lines.stop[observation.label_line])
    where = sorted(line for line, _ in observation.summary.values())
    notes = sorted(line for line, _ in observation.footer.values())
    end = int(lines.stop[last - 1]) if last > observation.first else records
    footer = int(start[notes[0]]) if notes else end
    summary = int(start[where[0]]) if where else footer
    header = lines.raw[observation.offset : labels].decode(lines.encoding, "replace")
    tail = lines.raw[footer:end].rstrip()
    return (
        len(header),
        records - labels,
        summary - records,
        footer - summary,
        len(tail) + 1 if tail else 0,
    )
