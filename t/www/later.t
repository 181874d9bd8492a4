#!/bin/sh
# Sending later, as the client shows it.
cd "$(dirname "$0")/../.." || exit 1
scripts/deps web || { echo "1..0 # SKIP no browser"; exit 0; }
exec node --test --test-reporter=./t/www/lib/tap.mjs t/www/browser/later.mjs
