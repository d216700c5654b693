"""The invariants I1..I23, one function each: a history in, violations out. `ALL` is the table of them.

Law: a check is a pure function of the history, small enough to be read beside the sentence that it checks; it fails
only for what the history proves. What cannot be seen in a history is checked elsewhere, and the table says where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from faults.history.checks import answers, clients, linear, promised, records, service, told
from faults.history.model import History, Violation

Check = Callable[[History], Iterable[Violation]]

ALL: dict[str, Check] = {
    "I1": promised.no_double_binding,
    "I2": promised.every_ack_is_durable,
    "I3": answers.trouble_is_silence,
    "I4": promised.promised_is_committed,
    "I5": answers.no_stale_answer,
    "I6": records.one_binding_for_each_client,
    "I7": answers.same_request_same_answer,
    "I8": records.conservation,
    "I9": records.expiry_is_monotone,
    "I10": answers.stickiness,
    "I11": promised.reservations_are_exclusive,
    "I12": clients.foreign_messages_free_nothing,
    "I13": answers.right_pool_and_options,
    "I14": told.configuration_moves_forward,
    "I15": records.expiry_is_not_early,
    "I16": records.expiry_is_not_never,
    "I17": linear.administration_is_linearizable,
    "I18": service.liveness,
    "I19": service.no_leak,
    "I20": service.metrics_tell_the_truth,
    "I21": answers.lifetimes_are_in_order,
    # I22 (the view is a cache): all of the above, under a frozen watch; see `faults.history.check.check`.
    "I23": told.no_client_is_named,
}
