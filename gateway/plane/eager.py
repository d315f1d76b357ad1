"""Start a coroutine at once, and make it a task only when it waits for something.

Most pages are decided without waiting; a task and a turn of the event loop would cost more than the
decision. Python 3.12 has this as `eager_start`.
"""

import asyncio
import contextvars
import types
from collections.abc import Coroutine, Generator
from typing import Any


def start(coroutine: Coroutine[Any, None, None]) -> asyncio.Task[None] | None:
    """Run a coroutine up to its first wait.

    The first step runs outside any task: it may not use `asyncio.timeout` or `asyncio.current_task`.

    Returns:
        The task that goes on with it, or None where it is done.
    """
    context = contextvars.copy_context()
    try:
        waits_for = context.run(coroutine.send, None)
    except StopIteration:
        return None
    return asyncio.get_running_loop().create_task(_go_on(coroutine, waits_for), context=context)


async def _go_on(coroutine: Coroutine[Any, None, None], waits_for: Any) -> None:
    await _rest(coroutine, waits_for)


@types.coroutine
def _rest(coroutine: Coroutine[Any, None, None], waits_for: Any) -> Generator[Any, Any, None]:
    try:
        while True:
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001 - a cancellation is handed on, not judged
                waits_for = coroutine.throw(error)
            else:
                waits_for = coroutine.send(value)
    except StopIteration:
        return
