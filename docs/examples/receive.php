<?php
// Receive Settlepoint's notifications: verify, drop repeats, acknowledge. PHP 8, no packages.
//
//   SETTLEPOINT_SECRET=... SETTLEPOINT_HANDLED=handled.txt php -S 127.0.0.1:PORT receive.php
//
// While a secret is being rotated, SETTLEPOINT_SECRET holds both, with a space between. SETTLEPOINT_HANDLED names the
// file in which the ids of what was handled are kept.

declare(strict_types=1);

const MAX_AGE_SECONDS = 300;
const MAX_BODY_BYTES = 1_000_000;

/** Whether one of our secrets signed these very bytes, and just now. */
function isGenuine(array $secrets, array $server, string $body): bool
{
    $timestamp = $server['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
    $signed = ($server['HTTP_WEBHOOK_ID'] ?? '') . ".$timestamp.$body";
    foreach ($secrets as $secret) {
        $expected = 'v1,' . base64_encode(hash_hmac('sha256', $signed, $secret, true));
        foreach (explode(' ', $server['HTTP_WEBHOOK_SIGNATURE'] ?? '') as $received) {
            if (hash_equals($expected, $received)) {
                return abs(time() - (int) $timestamp) <= MAX_AGE_SECONDS;
            }
        }
    }
    return false;
}

/** The alternative, by the Sud- headers. One of the two is enough. */
function isGenuineSud(array $secrets, array $server, string $body): bool
{
    $timestamp = $server['HTTP_SUD_TIMESTAMP'] ?? '';
    $signed = implode("\n", [$server['HTTP_SUD_APPID'] ?? '', $timestamp, $server['HTTP_SUD_NONCE'] ?? '', $body, '']);
    foreach ($secrets as $secret) {
        if (hash_equals(hash_hmac('sha1', $signed, $secret), $server['HTTP_SUD_SIGNATURE'] ?? '')) {
            return abs(microtime(true) - (int) $timestamp / 1000) <= MAX_AGE_SECONDS;
        }
    }
    return false;
}

/** Yours. Be quick, or put it into a queue of your own; leave events that you do not know alone. */
function handle(array $notification): void
{
    file_put_contents('php://stdout', "{$notification['notify_event']} {$notification['notify_id']}\n");
}

/** In your system: a table instead of the file, written in the same transaction as the effect. */
function handleOnce(array $notification): void
{
    $handled = fopen(setting('SETTLEPOINT_HANDLED'), 'a+');
    flock($handled, LOCK_EX); // until the script ends
    rewind($handled);
    if (!in_array($notification['notify_id'], explode("\n", stream_get_contents($handled)), true)) {
        handle($notification);
        fwrite($handled, $notification['notify_id'] . "\n");
    }
}

function answer(int $status, int $retCode, string $retMsg): void
{
    http_response_code($status);
    header('Content-Type: application/json');
    echo json_encode(['ret_code' => $retCode, 'ret_msg' => $retMsg]);
}

function setting(string $name): string
{
    return getenv($name) ?: throw new RuntimeException("$name is not set");
}

// A warning must not be printed into the answer.
set_error_handler(fn (int $level, string $message) => throw new ErrorException($message, 0, $level));
try {
    $body = file_get_contents('php://input', length: MAX_BODY_BYTES); // cut off, it is not genuine
    if (!isGenuine(array_filter(explode(' ', setting('SETTLEPOINT_SECRET'))), $_SERVER, $body)) {
        answer(401, 1, 'not genuine');
    } else {
        handleOnce(json_decode($body, true, flags: JSON_THROW_ON_ERROR));
        answer(200, 0, '');
    }
} catch (Throwable $error) { // whatever went wrong: it comes again
    error_log((string) $error);
    answer(500, 1, 'not handled');
}
