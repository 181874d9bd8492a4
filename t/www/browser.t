#!/bin/sh
# The web client in Chromium: views, keys, hostile mail, accessibility.  Each file is one browser.
cd "$(dirname "$0")/../.." || exit 1
scripts/deps web || { echo "1..0 # SKIP no browser"; exit 0; }
exec node --test --test-concurrency=1 --test-reporter=tap t/www/browser/*.mjs
