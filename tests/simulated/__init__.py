"""The bundle in virtual time: one seed repeats a run. What tests/notifications and tests/faults prove things in."""
