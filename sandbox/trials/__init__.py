"""The trials: every fault that the project claims to survive, run on the real engine.

``trial`` says what a trial is and runs it, ``verdict`` judges and prints, and each other module holds
one group: ``listings``, ``identities``, ``cloud`` and ``crashes``. A trial strikes a session of the
sandbox, deploys, and compares what AWS holds with what it held before and with the engine's state.
Nothing here is used by the program.
"""
