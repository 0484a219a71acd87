"""List prices, as data: us-east-1, on demand, no free tier, in US dollars per million."""

from typing import Final

AS_OF: Final = "2026-11-22"
REGION: Final = "us-east-1"

PER_MILLION: Final = {
    "API Gateway request": 3.50,  # REST API, the first 333 million of a month
    "DynamoDB write unit": 0.625,
    "DynamoDB read unit": 0.125,
    "Lambda request": 0.20,
    "Lambda GB-ms": 0.0133334,  # arm64: 0.0000133334 a GB-second
    "SQS request": 0.40,
    "X-Ray trace": 5.00,
    "CloudWatch Logs byte": 0.50e-3,  # 0.50 a GB
}

SAMPLED_TRACES: Final = 0.05
"""X-Ray's default: one a second and 5 % of the rest."""

WAIT_MS: Final = {
    "GetItem": 4.0,
    "UpdateItem": 5.0,
    "PutItem": 5.0,
    "TransactWriteItems": 15.0,
    "SendMessageBatch": 8.0,
    "receiver": 60.0,
}
"""What a call waits for AWS, or for a merchant over TLS. Assumed, not measured: nothing here runs on AWS."""

MEMORY_MB: Final = 512
VCPU_MB: Final = 1769
"""The memory that comes with one whole processor: less memory, less of it, so CPU time takes longer."""
