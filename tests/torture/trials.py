"""All trials, in the order of the scoreboard. A new one is a line here."""

from tests.torture import (
    clocks,
    damaged_files,
    failing_disks,
    floods,
    fuzz,
    hostile_clients,
    hostile_servers,
    kills,
    power_cuts,
    quota,
    silent_flips,
    soak,
)
from tests.torture.trial import Trial

TRIALS: tuple[Trial, ...] = (
    power_cuts.TRIAL,
    kills.TRIAL,
    quota.TRIAL,
    failing_disks.TRIAL,
    damaged_files.TRIAL,
    silent_flips.TRIAL,
    clocks.TRIAL,
    floods.TRIAL,
    hostile_servers.TRIAL,
    soak.TRIAL,
    hostile_clients.TRIAL,
    fuzz.TRIAL,
)


def trial_named(name: str) -> Trial:
    """Return the trial of a name. Raise ValueError, which names those that there are."""
    for one in TRIALS:
        if one.name == name:
            return one
    raise ValueError(f"no trial {name!r}: {', '.join(one.name for one in TRIALS)}")
