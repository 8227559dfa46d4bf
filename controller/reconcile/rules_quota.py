"""The rule for jobs of a project that has all it may have at once, or in a day. Pure."""

from __future__ import annotations

from ...crd_like_specs.job import Phase
from .actions import Plan
from .asking import ask_of, asked
from .case import Case
from .quota import Over, over_quota

OVER_QUOTA = "OverQuota"


def over(case: Case) -> Over | None:
    """Why it is not to start now, None where its project has no limit in the way."""
    seen = case.seen.quota
    return None if seen is None else over_quota(ask_of(case.job.lasting), seen, case.now)


def wait_for_quota(case: Case) -> Plan | None:
    """It waits, and nobody waits because of it; what no day is long enough for ends where its
    submitter does not want to wait.
    """
    found = over(case)
    if found is None:
        return None
    if found.never and case.job.spec.when_unschedulable == "Fail":
        message = f"asks for {asked(ask_of(case.job.lasting))}; {found.why}"
        return case.end("over-quota", Phase.FAILED, reason="Unschedulable", message=message)
    return case.wait(
        "over-quota",
        found.until,
        retry_at=0.0,
        reason=OVER_QUOTA,
        message=found.why,
        waiting_for=(),
    )
