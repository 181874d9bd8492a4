#!/bin/sh
# All that is said of mail stands in one table (scripts/outcomes), and the check sees offences.
cd "$(dirname "$0")/../.." || exit 1
if out=$(scripts/outcomes 2>&1); then
	echo "ok 1 - the outcomes"
else
	echo "not ok 1 - the outcomes"
	echo "$out" | sed 's/^/# /'
fi

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=1
good='#define OUT_GOOD PERM, 550, "5.1.1", "no %.20s here"'
# try WANTED ROWS SITE WHAT: a table of these rows, with its page, and this site: refused (1) or not (0)
try() {
	n=$((n + 1))
	mkdir -p "$tmp/$n/lib/mail" "$tmp/$n/cmd/x" "$tmp/$n/man"
	printf '/* ---- All */\n/* There is none. */\n%b\n' "$2" >"$tmp/$n/lib/mail/outcome.h"
	printf '/* PERM, 550, "5.1.1" */\nstruct verdict v = verdict(%b);\n' "$3" >"$tmp/$n/cmd/x/a.c"
	{
		echo .Sh OUTCOMES
		scripts/outcomes -m "$tmp/$n"
		echo .Sh STANDARDS
	} >"$tmp/$n/man/tiermail-outcomes.7"
	[ -z "${5:-}" ] || sed -i "$5" "$tmp/$n/man/tiermail-outcomes.7"
	scripts/outcomes "$tmp/$n" >"$tmp/$n/out" 2>&1
	if [ $? -eq "$1" ]; then
		echo "ok $n - $4"
	else
		echo "not ok $n - $4"
		sed 's/^/# /' "$tmp/$n/out"
	fi
}
try 0 "$good" 'OUT_GOOD, name' "a row and its site are good"
try 0 '#define OUT_GOOD PERM, 550, "5.1.1", \\\n\t\t"no %.20s here"' 'OUT_GOOD, name' "a row of two lines is"
try 1 "$good" 'PERM, 550, "5.1.1", "x"' "a site that has no row"
try 1 "$good" 'OUT_GOOD, "4.2.2 x"' "a status in words of a site"
try 1 '#define OUT_GOOD PERM, 450, "5.1.1", "no"' OUT_GOOD "a code of another class"
try 1 '#define OUT_GOOD TEMP, 450, "5.1.1", "no"' OUT_GOOD "a status of another class"
try 1 '#define OUT_GOOD PERM, 550, "5.1.99", "no"' OUT_GOOD "a status that nobody has registered"
try 1 '#define OUT_GOOD PERM, 550, "5.1.1", "no\\\\n"' OUT_GOOD "words of two lines"
try 1 '#define OUT_GOOD PERM, 550, "5.1.1", "no %%p"' OUT_GOOD "a pointer in the words"
try 1 "$good\n/* Nor here. */\n$good" 'OUT_GOOD, name' "a name taken twice"
try 1 "$good\n/* Nor here. */\n#define OUT_MORE PERM, 550, \"5.1.1\", \"no %.20s here\"" \
    'OUT_GOOD, OUT_MORE' "two rows that say the same"
try 1 "$good\n#define OUT_MORE PERM, 550, \"5.1.2\", \"no\"" 'OUT_GOOD, OUT_MORE' \
    "a row without its meaning"
try 1 "$good\n/* Nor here. */\n#define OUT_MORE PERM, 550, \"5.1.2\", \"no\"" OUT_GOOD \
    "a row that nobody says"
try 1 '#define OUT_GOOD PERM, 550, "no"' OUT_GOOD "what is no row"
try 1 "$good" 'OUT_GOOD, name' "a page with another list" 's/^There is none/There may be/'
echo "1..$n"
