#!/bin/sh
# Every file is laid out as clang-format 14 and .clang-format say.
cd "$(dirname "$0")/../.." || exit 1
tool=$(command -v clang-format-14 || command -v clang-format)
case $("${tool:-false}" --version 2>/dev/null) in
*version\ 14.*) ;;
*)
	echo "1..0 # SKIP clang-format 14 is not installed"
	exit 0
	;;
esac
if out=$("$tool" --dry-run -Werror lib/*/*.[ch] lib/*/*/*.[ch] cmd/*/*.[ch] t/*/*.[ch] t/*.h 2>&1); then
	echo "ok 1 - the layout"
else
	echo "not ok 1 - the layout"
	echo "$out" | grep error: | sed 's/^/# /'
fi
echo "1..1"
