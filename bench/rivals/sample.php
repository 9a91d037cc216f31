<?php
// Signs as the provider's sample does: each request reads and decrypts the key file.
// Arguments: key file, password file, body, seconds. Prints how many a second.
[, $keyFile, $passwordFile, $body, $seconds] = $argv;
$startedAt = microtime(true);
for ($count = 0; microtime(true) - $startedAt < (float) $seconds; $count++) {
    $key = openssl_pkey_get_private(file_get_contents($keyFile), trim(file_get_contents($passwordFile)));
    openssl_sign($body, $signature, $key) || exit(1);
    base64_encode($signature);
}
echo $count / (microtime(true) - $startedAt), PHP_EOL;
