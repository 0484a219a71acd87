"""List prices, as data: us-east-1, on demand, no free tier, in US dollars.

AWS's price pages fill their tables in the browser and could not be read when this was written. On AS_OF the prices of
DynamoDB, Lambda (arm64), SnapStart, SQS, API Gateway, WAF and CloudWatch were compared with what AWS's white papers and
public documents of 2025 and 2026 quote from them; those of X-Ray, Secrets Manager and S3 were not. Look before a
decision that hangs on a cent.
"""

from typing import Final

AS_OF: Final = "2026-11-22"
REGION: Final = "us-east-1"

HOURS_A_MONTH: Final = 730

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

SERVICES: Final = {
    "API Gateway request": "API Gateway",
    "DynamoDB write unit": "DynamoDB",
    "DynamoDB read unit": "DynamoDB",
    "Lambda request": "Lambda",
    "Lambda GB-ms": "Lambda",
    "SQS request": "SQS",
    "X-Ray trace": "logs, traces",
    "CloudWatch Logs byte": "logs, traces",
}
"""Whose bill each of them is on."""

PER_MONTH: Final = {
    "alarm": 0.10,
    "custom metric": 0.30,
    "dashboard": 3.00,  # the first three of an account are free
    "secret": 0.40,
    "web ACL": 5.00,
    "web ACL rule": 1.00,  # a managed group counts as one
}
WEB_ACL_PER_MILLION: Final = 0.60
STORED_PER_GB_MONTH: Final = {"DynamoDB": 0.25, "point-in-time recovery": 0.20}
SNAPSTART_CACHE_PER_GB_SECOND: Final = 0.0000015046
SNAPSTART_RESTORE_PER_GB: Final = 0.0001397998

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
