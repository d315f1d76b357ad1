"""What people fill in about security questions: as many fields as there are questions, under one name."""

import json
from collections.abc import Mapping
from itertools import zip_longest
from typing import ClassVar

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString
from wtforms import Field, ValidationError

from flows.errors import Refused, WrongCode
from gateway.forms import CodeForm, Form, without_marks

_LONGEST = 400


class Fields(Field):  # type: ignore[misc]  # the library has no types
    """Several fields with one name, in the order of the page."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take what was typed, each no longer than anything that may be kept."""
        self.data = [without_marks(value)[:_LONGEST] for value in valuelist]

    def at(self, number: int) -> str:
        """Return what was typed in one of them."""
        return str(self.data[number]) if self.data and number < len(self.data) else ""


class AllAnswered:
    """Refuses what leaves one out, before it counts as a wrong answer."""

    def __call__(self, form: Form, field: Field) -> None:
        """Raise with a sentence where one is empty."""
        del form
        if not field.data or not all(field.data):
            raise ValidationError(_("Answer every question"))


class AnswersForm(CodeForm):
    """Answers, in the order in which the questions were asked."""

    code = Fields(_("Answers"), validators=[AllAnswered()])
    refusals: ClassVar[Mapping[type[Refused], LazyString]] = {
        WrongCode: _("Not every answer fits. We do not say which, so please check them all"),
    }

    def answer(self) -> str:
        """Return the answers as JSON."""
        return json.dumps(self.code.data)


class QuestionsForm(Form):
    """Questions, chosen or written, and their answers."""

    topic = Fields()
    own = Fields()
    code = Fields()

    def answer(self) -> str:
        """Return pairs of question and answer as JSON; a question of one's own goes before a chosen one."""
        rows = zip_longest(self.topic.data or [], self.own.data or [], self.code.data or [], fillvalue="")
        return json.dumps([[own or topic, answer] for topic, own, answer in rows])
