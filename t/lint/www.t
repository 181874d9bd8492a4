#!/bin/sh
# The web client: types (tsc reads the JSDoc), vendored files, rules of the house.
cd "$(dirname "$0")/../.." || exit 1
if ! scripts/deps web; then
	echo "1..0 # SKIP no node, no npm, or nothing from there"
	exit 0
fi
if out=$(build/npm/node_modules/.bin/tsc -p t/www/tsconfig.json); then
	echo "ok 1 - types"
else
	echo "not ok 1 - types"
	echo "$out" | sed 's/^/# /'
fi
n=1
for f in vendor house; do
	n=$((n + 1))
	if out=$(node --test --test-reporter=spec "t/www/$f.mjs" 2>&1); then
		echo "ok $n - $f"
	else
		echo "not ok $n - $f"
		echo "$out" | sed 's/^/# /'
	fi
done
echo "1..$n"
