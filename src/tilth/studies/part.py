"""What each step of the study hands to the page."""

from dataclasses import dataclass, field

from tilth.studies.result import Figure, Metric, Table


@dataclass
class Part:
    """Numbers, tables, figures and notes of one step."""

    metrics: list[Metric] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
