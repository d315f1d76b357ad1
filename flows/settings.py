"""Settings of messages and limits."""

import re
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, SecretStr, field_validator, model_validator

from flows.abuse.limit_presets import PresetName, with_preset
from flows.authenticators.question_topics import TOPICS
from flows.messaging.budget_settings import BudgetsSettings
from flows.messaging.carrier_settings import SmsSettings, VoiceSettings
from store.settings import Section

_BOUNCES = re.compile(r"[A-Za-z0-9._-]{1,31}@[A-Za-z0-9.-]{1,253}")


class MailSettings(Section):
    """How mail leaves."""

    host: str = ""
    """SMTP server; empty means that no mail can be sent and every mail method is refused at start."""
    port: int = 587
    """Its port."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """`none` is refused unless the server is on loopback."""
    ca: str = ""
    """CA file; the system's authorities when empty."""
    username: str = ""
    """For authentication, if any."""
    password: SecretStr = SecretStr("")
    """For authentication, if any."""
    sender: str = "account-recovery@localhost"
    """The From address."""
    bounces: str = ""
    """Where mail comes back to that was taken and could not be delivered, like `bounces@example.org`: each
    message leaves from `bounces+…@example.org`, and what arrives there belongs to `sparekey mail bounced`.
    Nothing is known of such mail when empty."""
    organisation: str = "Your organisation"
    """The name that messages and pages speak of."""
    seconds: float = Field(default=20, gt=0, le=120)
    """How long one delivery may take."""

    @field_validator("bounces")
    @classmethod
    def _takes_tokens(cls, value: str) -> str:
        # Spec: RFC 5321 4.5.3.1.1: 64 letters before the @, of which a token takes 33.
        if value and not _BOUNCES.fullmatch(value):
            raise ValueError("must be an address without `+`, with 31 letters at most before the @")
        return value


class MessagesSettings(Section):
    """Everything that is sent to people."""

    mail: MailSettings = MailSettings()
    """Mail."""
    sms: SmsSettings = SmsSettings()
    """Text messages; a policy that lists `mobile_phone` needs them, or calls."""
    voice: VoiceSettings = VoiceSettings()
    """Calls; a policy that lists `office_phone` needs them."""
    budgets: BudgetsSettings = BudgetsSettings()
    """What messages may cost, and where they may go."""
    zone: str = "UTC"
    """Time zone whose time messages tell beside UTC, for example `Europe/Amsterdam`."""
    default_region: str = ""
    """ISO 3166 code, like `NL`, of the country whose national way of writing phone numbers is understood.
    When empty, people have to begin with `+` and the country code."""
    sign_in_domains: tuple[str, ...] = ()
    """Mail domains whose mailboxes open with the very sign-in that is to be recovered: their addresses are
    refused as recovery addresses. The first address that the directory knows of a person always is."""

    @field_validator("default_region")
    @classmethod
    def _known_region(cls, value: str) -> str:
        if value and value not in SUPPORTED_REGIONS:
            raise ValueError("is not a country's code of two capital letters")
        return value

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is not a time zone") from error
        return value


class ContactSettings(Section):
    """Whom people turn to who cannot help themselves, and who is told when something grave happens."""

    own: str = ""
    """Your own helpdesk, shown instead of our form: a mail address or an `https` address. It must not need
    the account that is closed."""
    form: bool = True
    """Whether a form is offered that mails whoever may help. Ignored where `own` is set."""
    helpdesk: tuple[str, ...] = ()
    """Mail addresses that get requests for help. Without any, the members of the first role that has some:
    helpdesk, user administrators, administrators; at most 100 people."""
    alarms: tuple[str, ...] = ()
    """Mail addresses that are told when somebody says "this was not me", or an administrator's own password
    was reset. Without any, the administrators."""
    again_after_hours: int = Field(default=4, ge=1, le=168)
    """Another request for the same person is not mailed before."""
    per_hour: int = Field(default=30, ge=1, le=10_000)
    """Requests for help that are mailed in an hour, whoever they are about."""

    @field_validator("own")
    @classmethod
    def _reachable(cls, value: str) -> str:
        is_address = "@" in value and not set(value) & set(" <>\"'?&\r\n")
        if value and not is_address and not value.startswith("https://"):
            raise ValueError("must be a mail address or an https address")
        return value


class QuestionSettings(Section):
    """Security questions. Off unless a rule lists `security_questions`, never the first proof and never the
    only one. Others know or find the answers: OWASP ASVS 5.0 (6.4.2) and NIST SP 800-63B-4 (3.1.1.2) both say
    not to use them. Offer recovery codes instead where you can.
    """

    to_register: int = Field(default=5, ge=3, le=5)
    """How many questions each person chooses and answers."""
    to_reset: int = Field(default=3, ge=3, le=5)
    """How many of them are asked, chosen at random and kept until they are answered; all must be right."""
    topics: tuple[str, ...] = ()
    """Which of the 35 questions that come with Sparekey are offered, by name; all of them when empty."""
    further: tuple[str, ...] = ()
    """Questions of your own, offered besides as they stand here; 3 to 200 characters each."""
    own: bool = True
    """Whether people may ask themselves a question in their own words."""

    @field_validator("topics")
    @classmethod
    def _known_topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(value) - set(TOPICS))
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}; known are {', '.join(TOPICS)}")
        return value

    @field_validator("further")
    @classmethod
    def _short(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(3 <= len(each) <= 200 and each == " ".join(each.split()) for each in value):
            raise ValueError("each has 3 to 200 characters, on one line")
        return value

    @model_validator(mode="after")
    def _enough(self) -> "QuestionSettings":
        if self.to_reset > self.to_register:
            raise ValueError("to_reset: asks for more than are registered")
        if not self.own and len(self.topics or TOPICS) + len(self.further) < self.to_register:
            raise ValueError("topics: offers fewer than must be registered")
        return self


class LimitSettings(Section):
    """How often, per what. Every window slides; every limit is one atomic operation."""

    preset: PresetName = ""
    """Limits of a known product for whatever is not set here: `azure-ad-2017` allows five attempts, five
    wrong answers and five codes an hour, and then nothing for a day."""
    attempt_minutes: int = Field(default=15, ge=1, le=120)
    """How long one reset attempt lives."""
    code_minutes: int = Field(default=5, ge=1, le=60)
    """How long a verification code may be used."""
    wrong_answers: int = Field(default=5, ge=1, le=20)
    """Wrong answers that end an attempt, and that strangers may give for one typed name, and for one person
    by whatever name, within `wrong_answers_hours`. A browser that is known from an earlier success has as
    many of its own, which no stranger can use up; all such browsers of a person together three times as
    many."""
    wrong_answers_hours: int = Field(default=24, ge=1, le=168)
    """How long a wrong answer counts."""
    wrong_passwords: int = Field(default=3, ge=1, le=20)
    """Wrong old passwords that one person may give in 24 hours where a password is changed. Keep it below
    the number at which your directory locks the account, or these pages could lock it."""
    unlocks_per_day: int = Field(default=5, ge=1, le=100)
    """How often one person's lock may be ended in 24 hours. Every time, whoever guesses the password gets as
    many guesses again as your directory allows before it locks."""
    findings_per_minute: int = Field(default=240, ge=10, le=10_000)
    """How often one attempt may ask what the rules say of a password while it is typed."""
    code_messages_per_hour: int = Field(default=5, ge=1, le=100)
    """Messages with a code that strangers can have sent per person, purpose and hour. Notices do not
    count."""
    code_messages_reserved: int = Field(default=2, ge=0, le=100)
    """Further ones an hour that only known browsers and the helpdesk can have sent to this person."""
    code_messages_per_destination: int = Field(default=10, ge=1, le=1000)
    """Messages with a code per address or number and hour, whoever they are for; at most half of them to
    whoever types it to register it, so that nobody uses up what its owner needs for a reset."""
    resend_seconds: int = Field(default=60, ge=10, le=600)
    """Between two codes of one purpose."""
    starts_per_minute: int = Field(default=3, ge=1, le=1000)
    """Attempts started per address block (IPv4 /24, IPv6 /56) and minute before the proof of work gets
    harder; a hundred times as many before it is refused. Known browsers are counted one by one instead."""
    attempts_per_hour: int = Field(default=0, ge=0, le=1000)
    """Attempts started for one typed name and hour; 0 for any number. Strangers can use them up for
    others."""
    lock_hours: int = Field(default=0, ge=0, le=168)
    """Once a limit of one name or person was exceeded, nothing more for so long; 0 where the windows alone
    decide. Strangers can have others locked so."""
    known_device_days: int = Field(default=180, ge=0, le=400)
    """How long a browser is known after a success or a visit to our own pages; 0 knows none."""
    starts_per_minute_overall: int = Field(default=600, ge=10, le=1_000_000)
    """Attempts started by everybody and minute before the proof of work gets harder for all; ten times as
    many before further ones are refused."""
    work_difficulty: int = Field(default=20_000, ge=100, le=10_000_000)
    """Average hashes that a browser computes before an attempt starts."""
    wait_without_script_seconds: int = Field(default=20, ge=0, le=300)
    """How long the page without JavaScript waits, by the server's clock."""

    @model_validator(mode="before")
    @classmethod
    def _of_preset(cls, stated: Any) -> Any:
        return with_preset(stated) if isinstance(stated, dict) else stated
