"""The security questions as people read them, and what may be wrong with an answer."""

from collections.abc import Mapping

from flask_babel import lazy_gettext as _
from flask_babel.speaklater import LazyString

TOPICS: Mapping[str, LazyString] = {
    "partner_met_city": _("In which town did you and your partner meet?"),
    "parents_met_city": _("In which town did your parents meet?"),
    "sibling_city": _("In which town does the brother or sister live who is nearest to you?"),
    "father_birth_city": _("Where was your father born?"),
    "mother_birth_city": _("Where was your mother born?"),
    "first_job_city": _("In which town was your first job?"),
    "new_year_2000": _("Where were you when the year 2000 began?"),
    "wedding_venue": _("Where was the party of your first wedding?"),
    "birth_hospital": _("What is the hospital called in which you were born?"),
    "first_street": _("In which street was the first home that you remember?"),
    "secondary_teacher": _("Which teacher did you like best at secondary school?"),
    "primary_teacher": _("Which teacher did you like best at primary school?"),
    "father_middle_name": _("What is your father's middle name?"),
    "mother_middle_name": _("What is your mother's middle name?"),
    "maternal_grandmother": _("What is the first name of your mother's mother?"),
    "paternal_grandfather": _("What is the first name of your father's father?"),
    "oldest_sibling_birth": _("In which month and year was your eldest brother or sister born?"),
    "oldest_sibling_middle_name": _("What is the middle name of your eldest brother or sister?"),
    "youngest_sibling_middle_name": _("What is the middle name of your youngest brother or sister?"),
    "childhood_friend": _("Who was your best friend when you were a child?"),
    "first_love": _("Who was your first love?"),
    "childhood_hero": _("Whom did you look up to as a child?"),
    "famous_person": _("Who is the best-known person you have met?"),
    "college_not_attended": _("At which college did you apply, and then not study?"),
    "sixth_year_school": _("Which school did you go to when you were eleven?"),
    "first_school": _("What was your very first school called?"),
    "school_sport": _("Which sport did you do at secondary school?"),
    "first_job": _("What was the first work that you were paid for?"),
    "dream_job": _("What did you want to become when you were a child?"),
    "favourite_food": _("What do you like to eat most?"),
    "first_vehicle": _("What was your first car or motorcycle?"),
    "stuffed_animal": _("What was your favourite soft toy called?"),
    "first_pet": _("What was your first pet called?"),
    "nickname": _("What did others call you when you were a child?"),
    "childhood_phone": _("Which four digits did your telephone number end in when you were a child?"),
}

PROBLEMS: Mapping[str, LazyString] = {
    "question": _("Choose a question, or write one of 3 to 200 characters"),
    "link": _("Write the question in words, without addresses"),
    "length": _("Write an answer of 3 to 40 characters"),
    "same_question": _("Choose another question. You have chosen this one already"),
    "same_answer": _("Give another answer. You have given this one already"),
    "in_question": _("Give another answer. The question tells this one"),
}


def question(topic: str, text: str) -> LazyString | str:
    """Return a question as it is asked: one of the list in the page's language, others as written."""
    return TOPICS[topic] if topic else text
