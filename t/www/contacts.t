#!/bin/sh
# The address book of the web client, in Chromium.
cd "$(dirname "$0")/../.." || exit 1
scripts/deps web || { echo "1..0 # SKIP no browser"; exit 0; }
exec node --test --test-reporter=./t/www/lib/tap.mjs t/www/browser/contacts.mjs
