"""The names of purposes and sectors, and the day counts that the law itself fixes.

A *maximum* in days is rounded down and a *minimum* up, so that no calendar arithmetic can break a
limit: 5 years at least are 1827 days, 6 months at most are 180.
"""

from types import MappingProxyType

SAMPLED = ("quality", "training")
VOLUNTARY = (*SAMPLED, "evidence", "incident")
EMERGENCY_KINDS = ("fire", "medical", "police", "gendarmerie")
EMERGENCY = tuple(f"emergency_{kind}" for kind in EMERGENCY_KINDS)
MANDATORY = ("regulatory", "insurance", *EMERGENCY)
PURPOSES = (*VOLUNTARY, *MANDATORY)

DUTY_OF_SECTOR = MappingProxyType(
    {"mifid": "regulatory", "insurance_out": "insurance", **{name: name for name in EMERGENCY}}
)
# Where calls of staff with their representatives or with personnel matters are at home:
# internal calls there are never recorded for a voluntary purpose.
STAFF_SECTORS = ("hr", "union")
SECTORS = (*DUTY_OF_SECTOR, "retail", "public_admin", "private", *STAFF_SECTORS)

# French short numbers that a call is handed on to, and the service behind them.
SERVICE_OF_NUMBER = MappingProxyType(
    {
        "15": "emergency_medical",
        "17": "emergency_police",
        "18": "emergency_fire",
        "112": "emergency_fire",
    }
)

MIFID_DAYS = 1827  # MiFID II art. 16(7): five years from the day of the recording
AUTHORITY_ORDER_DAYS = 2557  # the same article: seven years where the authority asks
INSURANCE_DAYS = 731  # Code des assurances R.112-7: two years from the signature
INSURANCE_PENDING = (31, 32)  # the same: no contract within one month, then it is destroyed
PURGE_GRACE_DAYS = 30
METADATA_DAYS = 89
EMERGENCY_DEFAULT = (0, 59)  # where neither a pack nor the operator's own text has a number
SITE_DAYS = MappingProxyType(
    {"quality": 89, "training": 89, "evidence": 365, "incident": 89, "derived": 365}
)
