<?php
// Sign and send a call to the game API, and verify a received notification. PHP 8, no packages.
//
//   php sign.php vector
//   php sign.php query OUT_ORDER_ID
//   php sign.php verify TIMESTAMP NONCE SIGNATURE < body
//
// `query` and `verify` read SETTLEPOINT_APP_ID and SETTLEPOINT_SECRET, `query` also SETTLEPOINT_BASE_URL.

declare(strict_types=1);

function sign(string $secret, string $appId, string $timestamp, string $nonce, string $body): string
{
    return hash_hmac('sha1', "$appId\n$timestamp\n$nonce\n$body\n", $secret);
}

function authorization(string $secret, string $appId, string $body): string
{
    $timestamp = (string) (int) (microtime(true) * 1000);
    $nonce = bin2hex(random_bytes(16));
    $signature = sign($secret, $appId, $timestamp, $nonce, $body);
    return "Sud-Auth app_id=\"$appId\",timestamp=\"$timestamp\",nonce=\"$nonce\",signature=\"$signature\"";
}

function isGenuine(string $secret, string $appId, string $timestamp, string $nonce, string $signature, string $body): bool
{
    if (!hash_equals(sign($secret, $appId, $timestamp, $nonce, $body), $signature)) {
        return false;
    }
    return abs(microtime(true) - $timestamp / 1000) <= 300;
}

/** @return array{int, string} the HTTP status and the text of the answer */
function call(string $baseUrl, string $secret, string $appId, string $path, array $fields): array
{
    // Serialised once: these bytes are signed, and these are sent.
    $body = json_encode($fields, JSON_THROW_ON_ERROR);
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ['Authorization: ' . authorization($secret, $appId, $body), 'Content-Type: application/json'],
        'content' => $body,
        'timeout' => 30,
        'follow_location' => 0,
        'ignore_errors' => true, // 401, 403, 5xx ... carry an envelope too
    ]]);
    $stream = fopen($baseUrl . $path, 'rb', false, $context);
    if ($stream === false) {
        throw new RuntimeException("no answer from $baseUrl");
    }
    $statusLine = stream_get_meta_data($stream)['wrapper_data'][0];
    return [(int) explode(' ', $statusLine)[1], stream_get_contents($stream)];
}

function vector(): string
{
    $body = '{"app_id": "1461564080052506238","mg_id": "1461227817776713818","room_id": "9009"}';
    return sign('test-app-secret', '1461564080052506636', '1688464949817', 'keVJLJTItd1VBtGT', $body);
}

function setting(string $name): string
{
    return getenv($name) ?: throw new RuntimeException("$name is not set");
}

$arguments = array_slice($argv, 1);
$mode = array_shift($arguments);
if ($mode === 'vector' && count($arguments) === 0) {
    echo vector(), "\n";
} elseif ($mode === 'query' && count($arguments) === 1) {
    [$status, $answer] = call(
        setting('SETTLEPOINT_BASE_URL'),
        setting('SETTLEPOINT_SECRET'),
        setting('SETTLEPOINT_APP_ID'),
        '/v1/app/server/query_user_settle',
        ['out_order_id' => $arguments[0]],
    );
    echo $answer, "\n";
    exit($status === 200 ? 0 : 1);
} elseif ($mode === 'verify' && count($arguments) === 3) {
    $body = stream_get_contents(STDIN); // behind a web server: file_get_contents('php://input')
    $genuine = isGenuine(setting('SETTLEPOINT_SECRET'), setting('SETTLEPOINT_APP_ID'), ...$arguments, body: $body);
    echo $genuine ? "genuine\n" : "not genuine\n";
    exit($genuine ? 0 : 1);
} else {
    fwrite(STDERR, "usage: sign.php vector | query OUT_ORDER_ID | verify TIMESTAMP NONCE SIGNATURE < body\n");
    exit(2);
}
