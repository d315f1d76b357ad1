"""Security questions: chosen or written, and answered."""

from flask import render_template
from flask.typing import ResponseReturnValue

from flows.authenticators import security_questions
from flows.errors import AttemptExpired, ProofRequired, UnusableAnswers
from flows.registering.member import NewQuestions
from gateway.errors import ShownIn
from gateway.forms import ButtonForm
from gateway.pages.answers import see_other
from gateway.pages.registration import current_member, pages
from gateway.pages.registration_adding import is_lost, lead_on
from gateway.question_forms import QuestionsForm
from gateway.question_wording import PROBLEMS, TOPICS
from gateway.services import services


@pages.post("/register/questions")
def begin_questions() -> ResponseReturnValue:
    """Begin to choose."""
    try:
        with ShownIn(ButtonForm(), "csrf_token"):
            pending = services().registration.begin(
                current_member(), security_questions.NAME, now=services().clock(), lost=is_lost()
            )
            return see_other("registration.ask_questions", pending_id=pending.id)
    except ProofRequired:
        return see_other("registration.choose_proof", then=security_questions.NAME)
    return see_other("registration.show")


@pages.get("/register/questions/<pending_id>")
def ask_questions(pending_id: str) -> ResponseReturnValue:
    """Ask which questions, and what the answers are."""
    return _ask(pending_id, QuestionsForm(formdata=None))


@pages.post("/register/questions/<pending_id>")
def keep_questions(pending_id: str) -> ResponseReturnValue:
    """Bind them, if every one may be kept."""
    form = QuestionsForm()
    if not form.validate_on_submit():
        return _ask(pending_id, form), 422
    _new(pending_id)
    try:
        services().registration.confirm(current_member(), pending_id, form.answer(), now=services().clock())
    except UnusableAnswers as refused:
        form.code.errors = [PROBLEMS[refused.why]]
        return _ask(pending_id, form, wrong_at=refused.at), 422
    return lead_on()


def _ask(pending_id: str, form: QuestionsForm, *, wrong_at: int = -1) -> str:
    return render_template(
        "registration/questions.html",
        form=form,
        pending_id=pending_id,
        new=_new(pending_id),
        sentences=TOPICS,
        wrong_at=wrong_at,
    )


def _new(pending_id: str) -> NewQuestions:
    pending = services().registration.pending(current_member(), pending_id, now=services().clock())
    if not isinstance(pending.shown, NewQuestions):
        raise AttemptExpired
    return pending.shown
