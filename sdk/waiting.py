"""What `wait --for=…` means. PURE; called by `client.py` and the command line.

phase=Running        the job has come so far (a phase before the end may be passed at once)
phase=Succeeded      it ended so
finished             it ended somehow
condition=Ready      a condition of that type is true; `condition=Ready=false`: is false
delete               it is gone
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ..api.frames import Resource
from ..crd_like_specs.errors import ValidationError
from ..crd_like_specs.job import Job, Phase
from ..crd_like_specs.source import Source
from ..crd_like_specs.worker import Worker


class Answer(Enum):
    """never: what ended otherwise will not become what is waited for."""

    MET = "met"
    NOT_YET = "not yet"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Goal:
    """Exactly one of the four is asked for; the text is what the user wrote."""

    text: str
    phase: Phase | None = None
    condition: str = ""
    value: bool = True
    finished: bool = False
    deleted: bool = False

    @classmethod
    def parse(cls, text: str) -> Goal:
        """ValidationError for anything but the forms of the module docstring."""
        what, _, rest = text.partition("=")
        if what == "finished" and not rest:
            return cls(text, finished=True)
        if what == "delete" and not rest:
            return cls(text, deleted=True)
        if what == "condition" and rest:
            name, _, value = rest.partition("=")
            if name and value.lower() in ("", "true", "false"):
                return cls(text, condition=name, value=value.lower() != "false")
        if what == "phase":
            found = next((p for p in Phase if p.value.lower() == rest.lower()), None)
            if found:
                return cls(text, phase=found)
            known = ", ".join(p.value for p in Phase)
            raise ValidationError(f"--for=phase={rest}: no such phase; expected one of {known}")
        raise ValidationError(
            f"--for={text}: expected finished, delete, phase=PHASE or condition=TYPE[=true|false]"
        )

    def check(self, seen: Resource | None) -> Answer:
        """seen: the object now, None where it does not exist (any more)."""
        if seen is None:
            return Answer.MET if self.deleted else Answer.NEVER
        if self.deleted:
            return Answer.NOT_YET
        ended = isinstance(seen, Job) and seen.status.phase.terminal
        if self.finished:
            return Answer.MET if ended else Answer.NOT_YET
        if self.condition:
            met = isinstance(seen, Job | Worker | Source) and any(
                c.type == self.condition and c.status is self.value for c in seen.status.conditions
            )
        else:
            met = isinstance(seen, Job) and self._reached(seen)
        if met:
            return Answer.MET
        return Answer.NEVER if ended else Answer.NOT_YET

    def _reached(self, job: Job) -> bool:
        status, wanted = job.status, self.phase
        if wanted is None or status.phase is wanted:
            return status.phase is wanted
        if wanted.terminal:
            return False
        if status.phase.terminal:
            return status.started_at > 0
        return status.phase.rank > wanted.rank
