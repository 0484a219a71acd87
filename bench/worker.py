"""One function in a process of its own, as Lambda has it: started by the base Python, fed over its standard input.

    python -S worker.py FOLDER EVENT.json load          loads app.py, ends
    python -S worker.py FOLDER EVENT.json cold [N]      loads app.py, calls it once and N times more, ends
    python -S worker.py FOLDER EVENT.json warm          then calls it as many times as each line of its input says

Imports nothing that the function would not import anyway, so that what is counted is the function's.
"""

import json
import os
import sys
import time

folder, event_path, mode = sys.argv[1:4]
sys.path[0] = folder  # where this file lies is no place of the function's
tell = os.fdopen(os.dup(1), "w")
log = os.open(os.environ.get("BENCH_LOG", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.dup2(log, 1)
os.dup2(log, 2)
sys.stdout.reconfigure(write_through=True)  # Lambda's runtime holds no line back


class Context:
    function_name = "bench"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    memory_limit_in_mb = 512
    aws_request_id = "8f6c1a52-7f1e-4c0e-9a55-0d6c5b0a7e11"
    log_group_name = "bench"
    log_stream_name = "2026/11/22/[$LATEST]0123456789abcdef0123456789abcdef"

    def get_remaining_time_in_millis(self):
        return 25_000


def peak_kib():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1])


with open(event_path) as file:
    event = json.load(file)
context = Context()
from app import handler

loaded_ms = time.process_time_ns() / 1e6
if mode == "load":
    print(json.dumps({"loaded_ms": loaded_ms}), file=tell, flush=True)
    os._exit(0)
answer = handler(event, context)
called_ms = time.process_time_ns() / 1e6
if mode == "cold":
    for _ in range(int(sys.argv[4]) if len(sys.argv) > 4 else 0):
        answer = handler(event, context)
    print(json.dumps({"loaded_ms": loaded_ms, "called_ms": called_ms, "kib": peak_kib(), "answer": answer}), file=tell)
    tell.flush()
    os._exit(0)

print(json.dumps({"answer": answer}), file=tell, flush=True)
for line in sys.stdin:
    calls = int(line)
    with open(event_path) as file:
        event = json.load(file)  # signatures grow old
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(calls):
        answer = handler(event, context)
    cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    print(
        json.dumps({"cpu_ms": cpu / 1e6, "wall_ms": wall / 1e6, "kib": peak_kib(), "answer": answer}),
        file=tell,
        flush=True,
    )
os._exit(0)
