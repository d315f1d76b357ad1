"""What helps besides the journeys, put together on the same ground."""

from dataclasses import dataclass

from flows.abuse.proof_of_work import ProofOfWork
from flows.abuse.throttle import Throttle
from flows.ground import Ground, administrators_of, letters_of
from flows.help.administrator_reset import AdministratorReset
from flows.help.contact import JOB as CONTACT_JOB
from flows.help.contact import Contact, ContactJobs
from flows.help.forgotten_name import JOB as NAME_JOB
from flows.help.forgotten_name import ForgottenName, ForgottenNameJobs
from flows.help.helpdesk_codes import HelpdeskCodes, IssuedCodes
from flows.help.invitation import Invitations
from flows.help.registration_codes import RegistrationCodes
from flows.help.requests import Requests
from flows.messaging.dispatch import Dispatch
from flows.notices.notifications import Stops
from flows.passwords.rules import PasswordRules
from flows.recovery.eligibility import Eligibility
from flows.recovery.late_writes import LateWrites
from flows.registering.handed_out import HandedOutCodes


@dataclass(frozen=True, slots=True)
class Help:
    """What the pages call."""

    forgotten_name: ForgottenName
    contact: Contact
    administrator_reset: AdministratorReset
    invitations: Invitations
    helpdesk_codes: HelpdeskCodes
    registration_codes: RegistrationCodes


def assemble_help(ground: Ground, eligibility: Eligibility, late_writes: LateWrites) -> Help:
    """Put it together and register its jobs."""
    database, jobs, vault = ground.database, ground.jobs, ground.expiring.vault
    throttle = Throttle(ground.counters, ground.limits)
    work = ProofOfWork(vault=vault, expiring=ground.expiring, throttle=throttle)
    requests = Requests(database=database, vault=vault, jobs=jobs, throttle=throttle, work=work)
    dispatch = Dispatch(jobs=jobs, database=database, channels=ground.channels, clock=ground.clock)
    letters, contact = letters_of(ground), ground.contact
    names = ForgottenNameJobs(
        database=database,
        directory=ground.directory,
        vault=vault,
        throttle=throttle,
        dispatch=dispatch,
        letters=letters,
        default_region=ground.messages.default_region,
        clock=ground.clock,
    )
    contacts = ContactJobs(
        database=database,
        directory=ground.directory,
        administrators=administrators_of(ground),
        counters=ground.counters,
        dispatch=dispatch,
        letters=letters,
        settings=contact,
        clock=ground.clock,
    )
    jobs.register(NAME_JOB, names.send, retries=3)
    jobs.register(CONTACT_JOB, contacts.send, retries=3)
    invitations = Invitations(expiring=ground.expiring, counters=ground.counters, portal=ground.portal)
    administrator_reset = AdministratorReset(
        database=database,
        jobs=jobs,
        directory=ground.directory,
        writer=ground.writer,
        late_writes=late_writes,
        sessions=ground.sessions,
        eligibility=eligibility,
        rules=PasswordRules(
            ground.passwords, organisation=ground.messages.mail.organisation, breaches=ground.breaches
        ),
        invitations=invitations,
        stops=Stops(ground.expiring, ground.portal),
        dispatch=dispatch,
        letters=letters,
    )
    codes = HelpdeskCodes(
        database=database,
        vault=vault,
        directory=ground.directory,
        policies=ground.policies,
        eligibility=eligibility,
        issued=IssuedCodes(ground.expiring),
    )
    registration_codes = RegistrationCodes(
        database=database,
        directory=ground.directory,
        policies=ground.policies,
        eligibility=eligibility,
        codes=HandedOutCodes(ground.expiring),
        stops=Stops(ground.expiring, ground.portal),
        dispatch=dispatch,
        letters=letters,
    )
    return Help(
        ForgottenName(
            requests,
            policies=ground.policies,
            default_region=ground.messages.default_region,
            has_texts=bool(ground.channels.get("sms")),
        ),
        Contact(requests),
        administrator_reset,
        invitations,
        codes,
        registration_codes,
    )
