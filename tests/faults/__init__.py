"""Faults: random clients at the real doors while everything around them fails, and what must hold all the same.

One seed makes one run (`run`, `play`): hosts with clocks of their own, clients and operators at once in virtual time
(`clients`), calls to AWS that fail in every way that tests/simulated/aws.py knows, processes that are killed between
any two of them. What the clients asked and were told is a history; `checker` says whether some order of the calls, one
after the other, explains it. `invariants` compares it with what is stored. `bugs` are planted in the code to see that
both notice.

    make test       40 seeds, and the planted bugs
    make prove      10,000 seeds; PROVE=1 .venv/bin/pytest tests/faults

A seed that fails says so, with what it broke. The same run again, with its whole history printed:

    .venv/bin/python -m tests.faults SEED
"""
