"""Lenient in: payloads that miss their schema are repaired by named rules.

Every rule that was applied is told to the services together with the raw text, so nothing that a
charge point said is lost by a repair.
"""

from gateway.repair.repairer import Repaired, Repairer, Violation

__all__ = ["Repaired", "Repairer", "Violation"]
