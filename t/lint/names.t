#!/bin/sh
# Every function says where it lives (scripts/names), and the check itself sees offences.
cd "$(dirname "$0")/../.." || exit 1
if out=$(scripts/names 2>&1); then
	echo "ok 1 - the names"
else
	echo "not ok 1 - the names"
	echo "$out" | sed 's/^/# /'
fi

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=1
# try WANTED FILE TEXT WHAT: a tree of this file and lib/base/buf.c is refused (1) or not (0)
try() {
	n=$((n + 1))
	mkdir -p "$tmp/$n/$(dirname "$2")" "$tmp/$n/lib/base"
	printf 'void\nbuf_add(struct buf *b)\n{\n}\n\nstatic void\nbuf_more(void)\n{\n}\n' \
	    >"$tmp/$n/lib/base/buf.c"
	printf '/* x */\n%b' "$3" >"$tmp/$n/$2"
	scripts/names "$tmp/$n" >/dev/null 2>&1
	if [ $? -eq "$1" ]; then
		echo "ok $n - $4"
	else
		echo "not ok $n - $4"
	fi
}
try 0 lib/store/a.c 'int\nstore_a(int a,\n    int b)\n{\n}\n' "the folder's prefix is good"
try 1 lib/store/a.c 'int\nask(int a,\n    int b)\n{\n}\n' "an extern without its folder's prefix"
try 0 lib/store/a.c 'static int\nask(int a)\n{\n}\n' "a static may do without"
try 1 lib/base/kv.c 'void\nbuf_kv(int a)\n{\n}\n' "a room's prefix in another file"
try 1 lib/store/a.c 'static void\nbuf_more(void)\n{\n}\n' "a static with a namesake"
try 1 cmd/x/a.c 'void\nbuf_add(void)\n{\n}\n' "a name of lib/ taken again in cmd/"
try 1 lib/store/a_b.c 'int x;\n' "a file name with an underscore"
try 1 lib/store/internal.h 'int x;\n' "a private header without its room"
try 0 lib/store/a-impl.h 'int x;\n' "a private header with it"
lines() { yes ';' | head -"$1" | tr '\n' '|' | sed 's/|/\\n/g'; }
try 0 lib/store/a.c "$(lines 599)" "a file of 600 lines"
try 1 lib/store/a.c "$(lines 600)" "a file of 601"
try 1 lib/store/a-impl.h "$(lines 600)" "a header too"
try 0 t/store/a.c "$(lines 600)" "which a test may have"
try 1 t/store/a.c '\tp = malloc(sizeof *p);\n' "sizeof without parentheses"
try 1 t/store/a.c '\tif (p == NULL)\n' "a comparison with NULL"
try 0 t/store/a.c '/* if (p == NULL) sizeof *p */ char *s = "p == NULL";\n' "not in comments and strings"
echo "1..$n"
