"""Calls of AWS's JSON protocol over a kept connection, signed by hand (Signature Version 4)."""

import hashlib
import hmac
import json
import os
import random
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

NAME = "floor"
ATTEMPTS = 3
KEY_ID, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
SESSION_TOKEN = os.environ.get("AWS_SESSION_TOKEN")
REGION = os.environ["AWS_REGION"]


class CallFailed(Exception):
    """An answer of AWS's that is an error."""

    def __init__(self, status, answer):
        super().__init__(f"{status} {answer.get('__type')}")
        self.status = status
        self.answer = answer


class Client:
    def __init__(self, service, target, version):
        self.service = service
        self.target = target
        self.content_type = f"application/x-amz-json-{version}"
        parts = urlsplit(os.environ.get("AWS_ENDPOINT_URL") or f"https://{service}.{REGION}.amazonaws.com")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self.host = parts.netloc
        self.connection = kind(parts.hostname, parts.port, timeout=3)
        self.key = (None, b"")

    def call(self, operation, **payload):
        body = json.dumps(payload).encode()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                status, answer = self.sent(operation, body)
            except (OSError, HTTPException):
                self.connection.close()
                if attempt == ATTEMPTS:
                    raise
            else:
                if status == 200:
                    return answer
                if status < 500 or attempt == ATTEMPTS:
                    raise CallFailed(status, answer)
            time.sleep(random.random() * 2**attempt / 20)
        raise AssertionError("the last attempt returns or raises")

    def sent(self, operation, body):
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {
            "content-type": self.content_type,
            "host": self.host,
            "x-amz-date": now,
            **({"x-amz-security-token": SESSION_TOKEN} if SESSION_TOKEN else {}),
            "x-amz-target": f"{self.target}.{operation}",
        }
        names = ";".join(headers)
        canonical = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"POST\n/\n\n{canonical}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{now[:8]}/{REGION}/{self.service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        signature = hmac.new(self.signing_key(now[:8]), text.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        self.connection.request("POST", "/", body, headers)
        response = self.connection.getresponse()
        return response.status, json.loads(response.read())

    def signing_key(self, day):
        if self.key[0] != day:
            key = f"AWS4{SECRET}".encode()
            for part in (day, REGION, self.service, "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            self.key = (day, key)
        return self.key[1]

    def get_item(self, **payload):
        return self.call("GetItem", **payload)

    def query(self, **payload):
        return self.call("Query", **payload)

    def transact_write_items(self, **payload):
        return self.call("TransactWriteItems", **payload)

    def get_secret_value(self, **payload):
        return self.call("GetSecretValue", **payload)


dynamodb = Client("dynamodb", "DynamoDB_20120810", "1.0")


def secrets_manager():
    return Client("secretsmanager", "secretsmanager", "1.1")
