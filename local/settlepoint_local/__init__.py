"""The whole of Settlepoint on one machine: template.yaml, built and deployed into an AWS emulator.

`make run` is `python -m settlepoint_local`; the tests enter by `running.running_stack()`.
"""
