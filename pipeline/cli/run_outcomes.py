"""The outcomes of a past run in a few words, as `runs` and `status` print them."""

from pipeline.model.outcomes import Outcome, RunStatus, Trigger, outcomes_text
from pipeline.store.reader import Run


def run_outcomes(run: Run) -> str:
    """Return the number of symbols by outcome: one column for each would be mostly zeros."""
    if counted := outcomes_text({outcome: getattr(run, outcome) for outcome in Outcome}):
        return counted
    if run.status in (RunStatus.MISSED, RunStatus.RUNNING):
        return ""
    if run.trigger == Trigger.IMPORT:
        return "nothing was stored" if run.seconds is not None else "not counted"  # killed: what was stored remains
    return "" if run.due else "nothing was due"
