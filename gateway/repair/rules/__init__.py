"""The rules by the schema keyword that they repair; the first that fits is applied."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from gateway.repair.document import Fault
from gateway.repair.rules import members, samples, texts, times, values, words

Rule: TypeAlias = Callable[[Fault], bool]
"""Repairs the fault and returns True, or leaves everything as it is and returns False.

Its `__name__` is what is stored and counted, so renaming a rule breaks reports.
"""

_LAST: Final[tuple[Rule, ...]] = (
    members.unreadable_member_dropped,
    samples.sample_dropped,
    samples.meter_value_dropped,
)

_OUT_OF_RANGE: Final[tuple[Rule, ...]] = (
    values.transaction_id_out_of_range,
    values.register_unreadable,
    *_LAST,
)

RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "additionalProperties": (members.field_name_case, members.unknown_field_dropped),
    "required": (
        members.field_name_case,
        times.time_missing,
        members.member_defaulted,
        members.list_missing,
        values.register_missing,
        samples.empty_sample_dropped,
        samples.meter_value_dropped,
    ),
    "type": (
        members.payload_missing,
        members.null_dropped,
        members.empty_text_dropped,
        values.object_as_list,
        values.list_as_object,
        values.json_as_text,
        values.boolean_as_text,
        values.number_as_text,
        values.text_as_number,
        values.text_as_boolean,
        values.whole_number_as_integer,
        values.fractional_register_rounded,
        values.register_unreadable,
        values.transaction_id_unreadable,
        *_LAST,
    ),
    "enum": (
        words.enum_case,
        words.enum_synonym,
        members.empty_text_dropped,
        words.error_code_unknown,
        words.enum_unknown_other,
        samples.phase_total_dropped,
        words.enum_unknown_dropped,
        samples.sample_dropped,
    ),
    "format": (
        times.time_spelling,
        times.time_without_zone,
        times.time_short_offset,
        members.empty_text_dropped,
        times.time_replaced,
    ),
    "not": (times.time_leap_second, times.time_replaced),
    "maxLength": (texts.id_tag_trimmed, texts.id_tag_too_long, texts.text_cut),
    "minimum": _OUT_OF_RANGE,
    "maximum": _OUT_OF_RANGE,
    "minItems": (members.empty_list_kept,),
}
