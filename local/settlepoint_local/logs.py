"""What the functions of a local stack logged."""

from settlectl.deployment import local_session
from settlepoint_local.stack import Stack


def function_logs(stack: Stack) -> list[str]:
    """Every line of every function, oldest first, Lambda's own START, END and REPORT lines among them."""
    client = local_session(stack.region).client("logs", endpoint_url=stack.endpoint_url)
    pages = client.get_paginator("filter_log_events").paginate(logGroupName=stack.log_group)
    events = [event for page in pages for event in page["events"]]
    return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]
