"""The process that holds threads of targets still (ptrace(2)) for a daemon, and outlives it.

Only the thread that stops another may let it go, so each freeze and each visit has a thread of its own here. Where
pages of a target move, nothing but the agent may run until they have moved, whatever becomes of the daemon: so this is
no part of it. When a thread of this process ends, or all of it does, the kernel lets go what it held: the threads are
looked at in a way (WNOWAIT) that leaves their signals with them.

It needs nothing but the standard library, and imports nothing of liveso but what is in this folder. process/holding.py
starts it, and speaks with it in the words of orders.py.
"""
