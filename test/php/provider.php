<?php
// The provider in PHP, for php -S: believes a request only if openssl_verify does, over the raw and the re-encoded body.
$key = file_get_contents(getenv('PUBLIC_KEY'));
$raw = file_get_contents('php://input');
$sign = base64_decode($_SERVER['HTTP_SIGN'] ?? '', true);
$data = json_decode($raw, true);
$isValid = $sign !== false
    && openssl_verify($raw, $sign, $key) === 1
    && openssl_verify(json_encode($data), $sign, $key) === 1
    && $_SERVER['CONTENT_TYPE'] === 'application/json'
    && $_SERVER['HTTP_USER_AGENT'] === 'AliKassa2.0 API';
header('Content-Type: application/json');
file_put_contents(getenv('JOURNAL'), json_encode([
    'path' => $_SERVER['REQUEST_URI'], 'valid' => $isValid, 'account' => $_SERVER['HTTP_ACCOUNT'] ?? null,
    'order_id' => $data['order_id'] ?? null, 'fields' => array_keys($data),
]) . "\n", FILE_APPEND);
if (!$isValid) {
    http_response_code(403);
    echo json_encode(['message' => 'Sign is not valid.']);
} elseif ($_SERVER['REQUEST_URI'] === '/v1/payout') {
    // No id twice, and none that a double could hold.
    $id = 9007199254740992 + count(file(getenv('JOURNAL')));
    echo json_encode(['payment_status' => 'wait', 'id' => $id]);
} elseif ($_SERVER['REQUEST_URI'] === '/v1/payout/status') {
    echo json_encode(['payment_status' => 'wait', 'id' => 9007199254740993, 'order_id' => 'x', 'amount' => '1.00']);
} else {
    echo json_encode(['currency' => 'RUB', 'balance' => '93.84000000', 'hold' => '0.00000000']);
}
