"""Sessions: how they begin, how they end, and how much energy flowed."""

import dataclasses
import enum
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from servicekit.errors import ErrorKind, InvalidRequest, PlatformError, Violation
from session_service.domain.ends import Closing, End, SessionAlreadyEnded, Source
from session_service.domain.facts import IdTagInfo, Stop
from session_service.domain.flags import ANSWERED_BY_STOP, RAISED_BY_READINGS, Flag, words
from session_service.domain.meter_values import MeterValue
from session_service.domain.registers import (
    Reading,
    Series,
    first_register,
    highest,
    is_below,
    is_beyond_reason,
    last_reading,
    read_registers,
    registers,
)


class SessionNotFound(PlatformError):
    """No session has this name."""

    kind, reason = ErrorKind.NOT_FOUND, "SESSION_NOT_FOUND"


class SessionState(enum.Enum):
    """Whether a session runs."""

    ACTIVE = enum.auto()
    COMPLETED = enum.auto()


@dataclass(frozen=True)
class Session:
    """A charging session, begun by a StartTransaction.

    Attributes:
        start_time: By the clock of the charge point; the time of receipt when it told none.
        meter_start: In Wh; where the start told none, the first that was read. None: none was.
        flags: What is doubtful about it; what its registers show while it runs is not in it.
        series: The energy registers that were read, as far as they are known.
        latest: What is made of them.
        doubts: What is odd about them.
    """

    id: uuid.UUID
    transaction_id: int
    charge_point_id: str
    connector_id: int
    id_tag: str
    id_tag_info: IdTagInfo
    start_time: datetime
    start_time_reported: bool
    start_receive_time: datetime
    meter_start: int | None
    reservation_id: int | None
    create_time: datetime
    flags: tuple[str, ...] = ()
    end: End | None = None
    series: Series = ()
    latest: Reading | None = None
    doubts: frozenset[Flag] = frozenset()

    @property
    def state(self) -> SessionState:
        """Whether the session runs."""
        return SessionState.ACTIVE if self.end is None else SessionState.COMPLETED

    @property
    def has_stopped(self) -> bool:
        """Whether the charge point has told the end; any other end is open to correction."""
        return (
            self.end is not None
            and self.end.source is Source.STATION
            and Flag.STOP_MATCHED not in self.flags
        )

    @property
    def is_inferred(self) -> bool:
        """Whether the end follows from what else is known."""
        return self.end is not None and self.end.source is Source.INFERRED

    @property
    def follows_readings(self) -> bool:
        """Whether a register is one that was read, as it is shown: none was told."""
        is_open = self.end is None or not self.end.meter_stop_reported
        return is_open or self.meter_start is None

    @property
    def is_followed(self) -> bool:
        """Whether the end follows from the begin of another session on the connector."""
        return Flag.STOP_MISSING_NEXT_START in self.flags

    @property
    def start_is_believed(self) -> bool:
        """Whether the start time tells what came before and after it on the connector.

        It does not when it stands for one that was not told, or comes from a clock that was not
        set: then it lies years back.
        """
        return self.start_time_reported and self.start_receive_time - self.start_time < _LATEST

    @property
    def open_questions(self) -> tuple[str, ...]:
        """What is doubtful about the session; while it runs, its registers so far included."""
        return self.flags if self.end else self._flagged(self.flags)

    @property
    def start_source(self) -> Source:
        """How the begin is known; without a reported time, from the receipt of the start."""
        return Source.STATION if self.start_time_reported else Source.INFERRED

    @property
    def energy_wh(self) -> int | None:
        """The energy in Wh, from the registers; never negative; None when nothing is known."""
        register = highest(self._shown_wh) if self.end is None else self.end.meter_stop
        if self.meter_start is None or register is None:
            return None
        return max(0, register - self.meter_start)

    @property
    def duration(self) -> timedelta | None:
        """From the start to the end, or to the last reading; never negative; None: not known."""
        last = self.end or self.latest
        return None if last is None else max(timedelta(0), last.time - self.start_time)

    @property
    def average_power_w(self) -> int | None:
        """The energy by the duration, in W; None while one of them is not known."""
        if self.energy_wh is None or not self.duration:
            return None
        duration = self.duration // _MICROSECOND
        return (2 * self.energy_wh * _HOUR + duration) // (2 * duration)  # the nearest number

    def stopped(self, stop: Stop) -> "Session":
        """Return the session as its stop leaves it; an end that was not told gives way to it."""
        end = End(
            time=stop.end_time,
            time_reported=stop.time is not None,
            receive_time=stop.receipt.time,
            meter_stop=self._last_register() if stop.meter_stop is None else stop.meter_stop,
            reason=stop.reason,
            id_tag=stop.id_tag,
            id_tag_info=stop.id_tag_info,
            comment=self.end.comment if self.end else "",
            closed_by=self.end.closed_by if self.end else "",
            meter_stop_reported=stop.meter_stop is not None,
        )
        doubts = words(
            (stop.receipt.is_repaired, Flag.STOP_REPAIRED),
            (stop.time is None, Flag.STOP_TIME_UNKNOWN),
            (end.time < self.start_time, Flag.STOP_BEFORE_START),
            (stop.is_in_future, Flag.STOP_IN_FUTURE),
            (not self._is_of_the_group(stop), Flag.STOP_TAG_DIFFERS),
            (stop.transaction_id != self.transaction_id, Flag.STOP_MATCHED),
            (self._is_corrected_by(end), Flag.END_CORRECTED),
            (stop.receipt.is_meter_repaired, Flag.METER_REPAIRED),
            (stop.meter_stop is None, Flag.METER_STOP_UNKNOWN),
            (is_below(end.meter_stop, self.meter_start), Flag.METER_STOP_BELOW_START),
        )
        return self._ended(end, doubts)

    def read(self, series: Series) -> "Session":
        """Return the session with what is made of the registers that were read in it."""
        begun = self.begun_at(series)
        start = begun.meter_start
        if start is None:
            return dataclasses.replace(begun, series=series, latest=None, doubts=frozenset())
        read = read_registers(series, start, self.start_time)
        latest = last_reading(series, read, start)
        return dataclasses.replace(begun, series=series, latest=latest, doubts=read.doubts)

    def begun_at(self, series: Series) -> "Session":
        """Return the session with the first register of a series, if its start told none."""
        if self.meter_start is not None:
            return self
        return dataclasses.replace(self, meter_start=first_register(series))

    def read_also(self, values: Iterable[MeterValue]) -> "Session":
        """Return the session with what these meter values show among what was read before."""
        return self.read(sorted([*self.series, *registers(values)]))

    def read_before(self, time: datetime) -> "Session":
        """Return the session with what was read in it before a time only."""
        return self.read([reading for reading in self.series if reading[0] < time])

    def reviewed(self) -> "Session":
        """Return the session, which has ended, with the questions that all its readings raise."""
        return dataclasses.replace(self, flags=self._flagged(self.flags))

    def superseded(self, following: "Session", now: datetime) -> "Session":
        """Return the session as the next one on its connector leaves it, its stop missing.

        What was read when that one had begun is not counted. Without a reading the register with
        which that one began tells how much has flowed.
        """
        begin = following.start_time
        if following.start_is_believed and self.series and self.series[-1][0] > begin:
            own = [(time, register) for time, register in self.series if time <= begin]
            return self.read(own).superseded(following, now)
        time, register = begin, following.meter_start
        if self.latest is not None:
            time, register = self.latest.time, highest(self.latest.register_wh)
        return self._inferred(time, register, Flag.STOP_MISSING_NEXT_START, now)

    def given_up(self, why: Flag, now: datetime) -> "Session":
        """Return the session as it is taken to have ended when nothing more was heard of it."""
        time = self.start_time if self.latest is None else self.latest.time
        return self._inferred(time, self._last_read, why, now)

    def followed(self, next_begin: datetime | None = None) -> "Session":
        """Return the session with its end moved to the last reading, as far as it was not told.

        Args:
            next_begin: When the next session began on the connector; what was read from then on
                moves no end. None: it is not known, or there is none; then an end that another
                session has made stays as it is.
        """
        if next_begin is None and self.is_followed:
            return self
        latest = self.latest if next_begin is None else self.read_before(next_begin).latest
        return dataclasses.replace(self, end=self._end_moved_to(latest))

    def closed(self, closing: Closing, now: datetime) -> "Session":
        """Return the session as an operator closes it; a repeat changes nothing.

        Raises:
            SessionAlreadyEnded: The charge point has told the end.
            InvalidRequest: The end lies before the start, by time or by register, or in the future.
        """
        self.open_to_a_stop()
        end = self._end_to_close(now).closed(closing)
        if end == self.end:
            return self
        end = dataclasses.replace(end, receive_time=now, closed_by=closing.closed_by)
        self._check(end)
        return self._ended(end, ())

    def open_to_a_stop(self) -> "Session":
        """Return the session if its charge point has not told the end yet.

        Raises:
            SessionAlreadyEnded: It has.
        """
        if self.has_stopped:
            raise SessionAlreadyEnded(
                f"Session {self.id} was stopped by its charge point already.", session=self.id
            )
        return self

    def may_have_ended_by(self, stop: Stop) -> bool:
        """Tell whether a stop that names no known transaction fits this session.

        Without the register of the start or the stop too little is known to tell.
        """
        return (
            stop.end_time > self.start_time
            and stop.meter_stop is not None
            and self.meter_start is not None
            and stop.meter_stop >= self.meter_start
            and self._is_of_the_group(stop)
        )

    def may_have_ended_before_it_was_told(self, stop: Stop) -> bool:
        """Tell whether a stop that was received before the start fits this session.

        By then it had begun: so no stop of the past, however it is dated, ends what begins now.
        """
        return self.start_time < stop.receipt.time and self.may_have_ended_by(stop)

    def _is_of_the_group(self, stop: Stop) -> bool:
        """Tell whether the tag of a stop may end the session: the same, or of the same group.

        A stop without a tag was not made by one (OCPP 1.6 4.2 and 6.49).
        """
        if not stop.id_tag:
            return True
        parent = stop.id_tag_info.parent if stop.id_tag_info else None
        starting = {self.id_tag.lower(), (self.id_tag_info.parent or self.id_tag).lower()}
        return not starting.isdisjoint({stop.id_tag.lower(), (parent or stop.id_tag).lower()})

    def _flagged(self, flags: Iterable[str]) -> tuple[str, ...]:
        """Return flags with those that the readings raise as they are known now."""
        told = (flag for flag in flags if flag not in RAISED_BY_READINGS)
        doubts = words((self._has_shown_more(), Flag.METER_STOP_BELOW_READING))
        absurd = words((self._is_beyond_reason(), Flag.METER_SPIKE))
        read = sorted({*absurd, *(flag.value for flag in self.doubts)})
        return tuple(dict.fromkeys((*told, *doubts, *read)))

    def _has_shown_more(self) -> bool:
        """Tell whether more was read than the charge point says that the register came to."""
        end = self.end
        if end is None or end.source is not Source.STATION or not end.meter_stop_reported:
            return False
        return self._shown_wh is not None and is_below(
            end.meter_stop, self._shown_wh - _ROUNDING_WH
        )

    def _is_beyond_reason(self) -> bool:
        if self.end is None or self.energy_wh is None:
            return False
        return is_beyond_reason(self.energy_wh, self.end.time - self.start_time)

    @property
    def _shown_wh(self) -> Decimal | None:
        return None if self.latest is None else self.latest.register_wh

    @property
    def _last_read(self) -> int | None:
        """The register in whole Wh that was read last, else that of the start."""
        return highest(self.meter_start, self._shown_wh)

    def _last_register(self) -> int | None:
        """Return the register in Wh with which the session ends if its stop tells none.

        What an operator or another stop has told counts more than a reading.
        """
        if self.end is not None and not (self.is_inferred and self.latest):
            return self.end.meter_stop
        return self._last_read

    def _is_corrected_by(self, end: End) -> bool:
        known = self.end or end
        return (known.time, known.meter_stop) != (end.time, end.meter_stop)

    def _end_to_close(self, now: datetime) -> End:
        """Return the end that holds where an operator does not tell another."""
        known = self.followed().end if self.is_inferred else self.end
        if known is not None and known.source is not Source.STATION:
            return known
        last_time = now if self.latest is None else self.latest.time
        return self._end_at(last_time, self._last_read, now)

    def _end_moved_to(self, latest: Reading | None) -> End | None:
        """Return the end moved to a reading, as far as it was not told."""
        if self.end is None or latest is None:
            return self.end
        register = highest(self.meter_start, latest.register_wh)
        if not self.end.meter_stop_reported:
            return dataclasses.replace(self.end, meter_stop=highest(register, self.end.meter_stop))
        if self.is_inferred and latest.time > self.end.time:
            return dataclasses.replace(self.end, time=latest.time, meter_stop=register)
        return self.end

    def _inferred(
        self, time: datetime, register: int | None, why: Flag, now: datetime
    ) -> "Session":
        return self._ended(self._end_at(time, register, now), (why.value,))

    def _end_at(self, time: datetime, register: int | None, now: datetime) -> End:
        return End(
            time=max(time, self.start_time),
            time_reported=False,
            receive_time=now,
            meter_stop=highest(self.meter_start, register),
            source=Source.INFERRED,
        )

    def _ended(self, end: End, doubts: tuple[str, ...]) -> "Session":
        open_still = (flag for flag in self.flags if flag not in ANSWERED_BY_STOP)
        return dataclasses.replace(self, end=end, flags=(*open_still, *doubts)).reviewed()

    def _check(self, end: End) -> None:
        violations = []
        if end.time < self.start_time:
            violations.append(Violation("stop_time", "must not be before the start of the session"))
        if end.time_reported and end.time > end.receive_time:
            violations.append(Violation("stop_time", "must not be in the future"))
        if is_below(end.meter_stop, self.meter_start):
            violations.append(Violation("meter_stop_wh", f"must be {self.meter_start} or more"))
        if violations:
            raise InvalidRequest(violations)


@dataclass(frozen=True)
class SessionFilter:
    """Which sessions a list shows; None: all."""

    charge_point_id: str | None = None
    id_tag: str | None = None
    state: SessionState | None = None
    start_time_from: datetime | None = None
    start_time_until: datetime | None = None


_LATEST = timedelta(days=30)
_ROUNDING_WH = 1
_MICROSECOND = timedelta(microseconds=1)
_HOUR = timedelta(hours=1) // _MICROSECOND
