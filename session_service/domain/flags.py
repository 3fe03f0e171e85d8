"""The open questions about a session: what operators should know before they trust it."""

import enum


class Flag(enum.StrEnum):
    """What is doubtful about a session."""

    START_REPAIRED = "START_REPAIRED"
    """The StartTransaction missed its schema and was repaired."""
    START_TIME_UNKNOWN = "START_TIME_UNKNOWN"
    """The StartTransaction told no readable time; the time of receipt stands in its place."""
    STOP_REPAIRED = "STOP_REPAIRED"
    """The StopTransaction missed its schema and was repaired."""
    STOP_TIME_UNKNOWN = "STOP_TIME_UNKNOWN"
    """The StopTransaction told no readable time; the time of receipt stands in its place."""
    STOP_BEFORE_START = "STOP_BEFORE_START"
    """The session ended before it began, by the clock of the charge point."""
    STOP_IN_FUTURE = "STOP_IN_FUTURE"
    """The stop is dated later than it was received, by more than clocks usually differ."""
    STOP_TAG_DIFFERS = "STOP_TAG_DIFFERS"
    """The session was stopped by an id tag that is not known to be of the same group."""
    STOP_MATCHED = "STOP_MATCHED"
    """The StopTransaction named another transaction, and was matched by what it says."""
    STOP_MISSING_NEXT_START = "STOP_MISSING_NEXT_START"
    """No stop came, and the next session began on the connector; the end is inferred."""
    STOP_MISSING_BOOT = "STOP_MISSING_BOOT"
    """No stop came, and the charge point booted and told no more of it; the end is inferred."""
    STOP_MISSING_SILENCE = "STOP_MISSING_SILENCE"
    """No stop came, and the charge point fell silent; the end is inferred."""
    END_CORRECTED = "END_CORRECTED"
    """The end was inferred or set by an operator before the charge point told it."""
    METER_REPAIRED = "METER_REPAIRED"
    """A register of the start or the stop was no whole number."""
    METER_START_UNKNOWN = "METER_START_UNKNOWN"
    """The StartTransaction told no readable register; the first that was read stands for it."""
    METER_STOP_UNKNOWN = "METER_STOP_UNKNOWN"
    """The StopTransaction told no readable register; the last that was read stands for it."""
    METER_STOP_BELOW_START = "METER_STOP_BELOW_START"
    """The register ran backwards; the energy counts as 0."""
    METER_DIP = "METER_DIP"
    """The register fell and came back to where it was."""
    METER_SPIKE = "METER_SPIKE"
    """The register jumped up and came back, or jumped farther than any charge point can charge."""
    METER_RESET = "METER_RESET"
    """The register fell and went on rising from the new level."""
    METER_UNIT_DOUBTFUL = "METER_UNIT_DOUBTFUL"
    """The register is plausible only if it is in kWh, and it is said to be in Wh."""
    METER_STOP_BELOW_READING = "METER_STOP_BELOW_READING"
    """The register of the stop is lower than what meter values show."""


ANSWERED_BY_STOP = frozenset(
    {
        Flag.STOP_MISSING_NEXT_START,
        Flag.STOP_MISSING_BOOT,
        Flag.STOP_MISSING_SILENCE,
        Flag.STOP_MATCHED,
        Flag.METER_STOP_UNKNOWN,
    }
)
"""The questions that are settled when the charge point tells the end of this very transaction."""

RAISED_BY_READINGS = frozenset(
    {
        Flag.METER_DIP,
        Flag.METER_SPIKE,
        Flag.METER_RESET,
        Flag.METER_UNIT_DOUBTFUL,
        Flag.METER_STOP_BELOW_READING,
    }
)
"""The questions that follow from the registers that were read, in whatever order they came."""


def words(*doubts: tuple[bool, Flag]) -> tuple[str, ...]:
    """Return the words of the doubts that hold."""
    return tuple(flag.value for holds, flag in doubts if holds)
