#!/bin/sh
# The web client without a browser: its models, against a server in memory.
cd "$(dirname "$0")/../.." || exit 1
command -v node >/dev/null || { echo "1..0 # SKIP no node"; exit 0; }
exec node --test --test-reporter=./t/www/lib/tap.mjs t/www/model/*.mjs
