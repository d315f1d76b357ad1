"""Which threads wait for which: work that nobody waits for gives way to answers."""

import contextlib
import os
import threading


def give_way(steps: int) -> None:
    """Make the thread that calls this less urgent than the process's others.

    Args:
        steps: Of niceness, 1 to 19; the kernel gives about a tenth of a busy core to who gives way by ten.
    """
    # Source: Linux, setpriority(2): a thread has a nice value of its own. Elsewhere threads stay as they are.
    with contextlib.suppress(AttributeError, OSError):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + steps)
