#!/bin/sh
# Logins at the site's provider, and with a second factor, as the client shows them.
cd "$(dirname "$0")/../.." || exit 1
scripts/deps web || { echo "1..0 # SKIP no browser"; exit 0; }
exec node --test --test-reporter=./t/www/lib/tap.mjs t/www/browser/signon.mjs
