#!/bin/sh
# Every #include points the right way (scripts/layers), and the check itself sees offences.
cd "$(dirname "$0")/../.." || exit 1
if out=$(scripts/layers 2>&1); then
	echo "ok 1 - the layers"
else
	echo "not ok 1 - the layers"
	echo "$out" | sed 's/^/# /'
fi

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
n=1
# offends FILE INCLUDE WHAT: a tree with this one line is refused
offends() {
	n=$((n + 1))
	mkdir -p "$tmp/$n/$(dirname "$1")" "$tmp/$n/lib/store/writer" "$tmp/$n/lib/net" "$tmp/$n/lib/smtp"
	touch "$tmp/$n/lib/store/writer/writer.h" "$tmp/$n/lib/net/loop.h" "$tmp/$n/lib/smtp/reply.h"
	echo "#include $2" >"$tmp/$n/$1"
	if scripts/layers "$tmp/$n" >/dev/null 2>&1; then
		echo "not ok $n - $3"
	else
		echo "ok $n - $3"
	fi
}
offends lib/base/x.c '"net/loop.h"' "base may not include net"
offends lib/smtp/path.c '"net/loop.h"' "a grammar may not include net"
offends lib/queue/x.c '"smtp/reply.h"' "a keeper may not include a language"
offends lib/store/x.c '<uv.h>' "libuv lives in net"
offends cmd/imapd/x.c '"store/writer/writer.h"' "only stored writes the store"
offends lib/store/x.c '"store/writer/writer.h"' "the rest of lib/store does not know the writer"
offends cmd/imapd/x.c '"../lmtpd/lmtpd.h"' "no program includes another"
offends lib/mta/x.c '"net/loop.h"' "the tables of the MTA are pure"
offends cmd/imapd/x.c '"nowhere/x.h"' "a folder that is none"
echo "1..$n"
