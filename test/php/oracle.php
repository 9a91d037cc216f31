<?php
// PHP itself as the oracle: one JSON command a line in, one JSON answer a line out.
while (($line = fgets(STDIN)) !== false) {
    $in = json_decode($line, true, 512, JSON_BIGINT_AS_STRING);
    switch ($in['do']) {
        case 'encode':
            $out = json_encode(json_decode(base64_decode($in['json']), true));
            break;
        case 'sign':
            openssl_sign(base64_decode($in['text']), $sign, openssl_pkey_get_private($in['key'], $in['passphrase']), $in['digest']);
            $out = base64_encode($sign);
            break;
        case 'verify':
            $out = openssl_verify(base64_decode($in['text']), base64_decode($in['sign']), $in['key'], $in['digest']);
            break;
        case 'notify':
            $order = ['type', 'id', 'order_id', 'payment_status', 'amount', 'payment_amount', 'commission_amount',
                'is_partial_payment', 'account', 'service', 'desc'];
            $data = [];
            foreach ($order as $name) {
                $data[$name] = $in['fields'][$name] ?? null;
            }
            $data['id'] = (int) $data['id'];
            openssl_sign(json_encode($data), $sign, $in['key'], $in['digest']);
            $query = array_filter($data, fn ($value) => $value !== null);
            $query['sign'] = base64_encode($sign);
            $out = http_build_query($query);
            break;
    }
    echo json_encode(['out' => $out]), "\n";
}
