"""Starting points for a rule: what a standard or the reference product asks, field by field.

A rule that names one takes its values; whatever the rule states itself stays.
"""

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal["nist-800-63b-4", "asvs-l2", "azure-ad-2017"]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Source: NIST SP 800-63B-4 section 4.2.2.2 (two ways to recover, or one and a bound authenticator);
    # section 3.1.1.2 (no security questions).
    "nist-800-63b-4": {
        "kinds": ["passkey", "totp", "email", "mobile_phone", "recovery_codes"],
        "register": 2,
        "reset": 2,
        "reconfirm_days": 365,
        "trust_delay_hours": 24,
        "people_per_address": 1,
    },
    # Source: OWASP ASVS 5.0, 6.4.2 (no secret questions), 6.4.3 (a reset bypasses no second factor),
    # 6.6.1 (telephones only where stronger means are offered too).
    "asvs-l2": {
        "kinds": ["passkey", "totp", "email", "recovery_codes"],
        "register": 2,
        "reset": 2,
        "reconfirm_days": 180,
        "trust_delay_hours": 24,
        "people_per_address": 1,
    },
    # Source: the reference product's settings as seen in 2017: one gate, mail and mobile phone, confirmed
    # every 180 days, nothing waits.
    "azure-ad-2017": {
        "kinds": ["email", "mobile_phone", "office_phone"],
        "register": 1,
        "reset": 1,
        "reconfirm_days": 180,
        "trust_delay_hours": 0,
        "people_per_address": 1000,
    },
}
