"""`sparekey policy`: asks the policy in force, or one that is tried out; and changes it."""

import click

from gateway.cli import policy_questions, policy_versions


@click.group()
def command() -> None:
    """Ask the policy, and change it.

    A version that is weaker than the one in force for anybody waits until a second person approves it.
    """


command.add_command(policy_questions.what_if)
command.add_command(policy_questions.exempt)
command.add_command(policy_versions.set_policy)
command.add_command(policy_versions.show_waiting)
command.add_command(policy_versions.approve)
command.add_command(policy_versions.reject)
