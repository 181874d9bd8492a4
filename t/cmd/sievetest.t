#!/usr/bin/env python3
"""sievetest: its options, what it prints, its exit codes; suites; and the page has each extension."""
import json, os, re, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

PROGRAM = os.path.join(tm.BINDIR, "sievetest")
os.chdir(tm.tempdir())


def run(*argv, stdin=None):
    return subprocess.run([PROGRAM, *argv], input=stdin, capture_output=True, text=True, timeout=60)


def put(name, text):
    with open(name, "w") as f:
        f.write(text)
    return name


MESSAGE = put("m.eml", "From: a@b.example\nSubject: one\nX-N: 5\n\nbody\n")
good = put("good.sieve", 'require ["fileinto", "imap4flags"];\nif header "subject" "one" {\n\taddflag "\\\\Seen";\n\tfileinto "A";\n}\n')
bad = put("bad.sieve", "keep;\n  nosuch;\nif true { alike; }\n")
late = put("late.sieve", 'require "ihave"; discard;\nerror "enough";\n')

r = run("--help")
tm.ok(r.returncode == 0 and "--suite" in r.stdout and "--check" in r.stdout, "--help")
for argv in ((), ("--nosuch",), ("a", "b", "c"), ("-e", "a"), ("-S", "101", good), ("-b", "x,y=z", good), ("-D", "x", good), ("-N", "now", good)):
    r = run(*argv)
    tm.ok(r.returncode == 64 and r.stderr, f"sievetest {' '.join(argv)}: 64")
r = run(good, MESSAGE)
tm.is_((r.returncode, r.stdout, r.stderr), (0, 'fileinto "A" :flags ["\\\\Seen"]\n', ""), "a script on a message")
r = run(good, "-", stdin="Subject: two\n\n")
tm.is_((r.returncode, r.stdout), (0, "keep :implicit\n"), "a message of standard input")
r = run(good)
tm.is_((r.returncode, r.stdout), (0, "keep :implicit\n"), "no message")
tm.is_(run("nosuch.sieve", MESSAGE).returncode, 66, "a script that is not there: 66")
tm.is_(run(good, "nosuch.eml").returncode, 66, "a message that is not there: 66")
r = run(bad, MESSAGE)
tm.is_((r.returncode, r.stdout, r.stderr), (78, "", "bad.sieve:2:3: there is no command nosuch\nbad.sieve:3:11: there is no command alike\n"),
       "a script that is wrong: 78, and all that is")
r = run(late, MESSAGE)
tm.is_((r.returncode, r.stdout, r.stderr), (1, "keep :implicit\n", "late.sieve:2:1: enough\n"), "one that fails: 1, and the message is kept")

r = run("--check", good)
tm.is_((r.returncode, r.stdout, r.stderr), (0, "", ""), "--check of a good script says nothing")
tm.is_(run("--check", good, bad).returncode, 78, "--check of several: the worst")
r = run("--check", "--json", good, bad)
objects = [json.loads(line) for line in r.stdout.splitlines()]
tm.is_(objects, [{"script": "good.sieve", "errors": []},
                 {"script": "bad.sieve", "errors": [{"script": "bad.sieve", "line": 2, "column": 3, "text": "there is no command nosuch"},
                                                    {"script": "bad.sieve", "line": 3, "column": 11, "text": "there is no command alike"}]}],
       "--check --json")

r = run("--trace", good, MESSAGE)
tm.is_(r.stdout.splitlines(), ["good.sieve:2:4: header: true", 'good.sieve:3:2: addflag "\\\\Seen"', 'good.sieve:4:2: fileinto "A"',
                               'fileinto "A" :flags ["\\\\Seen"]'], "--trace shows each step")
r = run("--json", "-T", good, MESSAGE)
objects = [json.loads(line) for line in r.stdout.splitlines()]
tm.is_(objects[0], {"script": "good.sieve", "line": 2, "column": 4, "test": "header", "true": True}, "--json --trace")
tm.is_(objects[-1]["actions"], [{"action": "fileinto", "where": "A", "line": 4, "flags": ["\\Seen"]}], "the actions as JSON")
r = run("--json", late, MESSAGE)
tm.is_(json.loads(r.stdout)["error"], {"script": "late.sieve", "line": 2, "column": 1, "text": "enough"}, "an error at run time as JSON")

# ---- programs: told of, and run when that is asked for
runs = put("runs.sieve", '''require ["vnd.dovecot.execute", "vnd.dovecot.filter", "vnd.dovecot.pipe", "variables", "fileinto", "copy"];
if execute :input "hello" :output "x" "up" ["a b", "c"] { fileinto :copy "ran-${x}"; }
if filter "mark" { fileinto :copy "filtered"; }
if header "x-mark" "yes" { fileinto :copy "marked"; }
pipe :try :copy "train" ["spam"];
discard;
''')
r = run(runs, MESSAGE)
tm.is_((r.returncode, r.stderr), (0, ""), "a script with programs runs")
tm.is_([l.split(" :header")[0] for l in r.stdout.splitlines()], ['execute "up" :arguments ["a b", "c"] :octets 5', f'filter "mark" :octets {os.path.getsize(MESSAGE) + 5}', 'fileinto "ran-"', 'fileinto "filtered"',
                  'pipe "train" :arguments ["spam"] :try', 'discard'], "which are told of, not run, and have ended well") or tm.diag(r.stdout)
for name, text in (("up", 'test "$0 $1 $2" = "$0 a b c" || exit 9; touch touched; tr a-z A-Z'), ("mark", 'echo "X-Mark: yes"; cat'), ("no", "exit 3"),
                   ("deaf", "exec sleep 1"), ("flood", "cat /dev/zero | head -c 40000000"), ("words", "echo no message")):
    os.chmod(put(name, f"#!/bin/sh\n{text}\n"), 0o755)
tm.ok(not os.path.exists("touched"), "nothing ran")
r = run("-p", "up=./up", "--program", "mark=./mark", runs, MESSAGE)
tm.is_([l.split(" :header")[0] for l in r.stdout.splitlines()][:5],
       ['execute "up" :arguments ["a b", "c"] :octets 5 :status 0', f'filter "mark" :octets {os.path.getsize(MESSAGE) + 5} :status 0', 'fileinto "ran-HELLO"',
        'fileinto "filtered"', 'fileinto "marked"'], "those of --program run, with input, arguments and output") or tm.diag(r.stdout + r.stderr)
tm.ok(os.path.exists("touched"), "really")
for name, status in (("no", 3), ("deaf", 0), ("flood", -1), ("words", 0), ("nosuch", -1)):
    r = run("-p", f"mark=./{name}", runs, MESSAGE)
    tm.ok(r.returncode == 0 and f'filter "mark" :octets {os.path.getsize(MESSAGE) + 5} :status {status}' in r.stdout and "filtered" not in r.stdout,
          f"a filter that gives no message changes nothing: {name}") or tm.diag(r.stdout + r.stderr)
r = run("--json", "-p", "mark=./no", runs, MESSAGE)
tm.is_(json.loads(r.stdout)["programs"], [{"execute": "up", "arguments": ["a b", "c"], "octets": 5},
                                          {"filter": "mark", "arguments": [], "octets": os.path.getsize(MESSAGE) + 5, "status": 3}], "as JSON")
r = run(put("nine.sieve", 'require "vnd.dovecot.execute";\n' + "".join(f'execute "{i}";' for i in range(9))), MESSAGE)
tm.ok(r.returncode == 1 and r.stdout.splitlines()[-2:] == ['execute "7" :octets 0', "keep :implicit"] and "programs that are run" in r.stderr, "a run has eight at most") or tm.diag(r.stdout + r.stderr)
tm.is_(run("-p", "mark", runs, MESSAGE).returncode, 64, "--program wants NAME=FILE")
tm.is_(run("-w", "vnd.dovecot.filter", runs, MESSAGE).returncode, 78, "where lmtpd has no programs: --without")
tm.is_(run("--suite", put("p.svtest", '''require ["vnd.dovecot.testsuite", "vnd.dovecot.execute"];
test "programs" { if not execute "up" { test_fail "no"; } }
''')).returncode, 0, "in suites, too")

names = run("--extensions").stdout.split()
with open(os.path.join(tm.TOP, "man/tiermail-sieve.7")) as f:
    page = set(w for line in re.findall(r"^\.It (.*?) Ta ", f.read(), re.M) for w in line.split(", "))
tm.is_(sorted(set(names) - page), [], "tiermail-sieve(7) has each extension")
tm.is_(sorted(n for n in names if run("-w", n, put("r.sieve", f'require "{n}";\n')).returncode != 78 or run("--check", "r.sieve").returncode != 0),
       [], "each can be required, and be left out")

suite = put("suite.svtest", '''require ["vnd.dovecot.testsuite", "fileinto", "variables", "relational", "comparator-i;ascii-numeric", "envelope", "editheader", "mailbox", "imap4flags"];
test_set "message" text:
From: a@b.example
Subject: one
X-N: 5

body
.
;
test_set "envelope.from" "a@b.example";
test "what tests see" {
	if not header "subject" "one" { test_fail "no subject"; }
	if not envelope "from" "a@b.example" { test_fail "no envelope"; }
}
test "a test that fails" {
	if header "subject" "one" { test_fail "as it should"; }
	test_fail "not reached";
}
test "compile and run" {
	if not test_script_compile "good.sieve" { test_fail "it does not compile"; }
	if not test_script_run { test_fail "it does not run"; }
	if not test_result_action "store" { test_fail "another action"; }
	if not test_result_action :count "eq" :comparator "i;ascii-numeric" "1" { test_fail "more of them"; }
	if test_result_execute { test_fail "there is no mailbox A"; }
	test_mailbox_create "A";
	if not test_result_execute { test_fail "now there is"; }
	if not test_message :folder "A" 0 { test_fail "nothing was filed"; }
	if test_message :folder "A" 1 { test_fail "too much was filed"; }
}
test "errors" {
	if test_script_compile "bad.sieve" { test_fail "it compiles"; }
	if not test_error :count "eq" :comparator "i;ascii-numeric" "2" { test_fail "not two errors"; }
	if not test_error :index 1 :matches "*nosuch" { test_fail "another one"; }
	if test_error :index 2 :matches "*nosuch" { test_fail "twice the same"; }
}
test "an error at run time" {
	if not test_script_compile "late.sieve" { test_fail "it does not compile"; }
	if test_script_run { test_fail "it runs"; }
	if not test_error :contains "enough" { test_fail "another error"; }
}
test "actions of the file itself" {
	test_result_reset;
	addheader "X-New" "v"; redirect "c@d.example"; fileinto :create "B";
	if not test_result_execute { test_fail "not done"; }
	test_message :smtp 0;
	if not header "x-new" "v" { test_fail "not the edited message"; }
	test_message :folder "B" 0;
	if not header "x-new" "v" { test_fail "not the edited one here"; }
}
test "an error ends only its test" { redirect "nobody${unset}"; }
test "and the next goes on" { }
''')
r = run("--suite", suite)
tm.is_(r.returncode, 1, "a suite with a test that fails: 1")
want = ["ok 1 - what tests see", "not ok 2 - a test that fails", "# suite.svtest:16: as it should", "ok 3 - compile and run", "ok 4 - errors",
        "ok 5 - an error at run time", "ok 6 - actions of the file itself", "not ok 7 - an error ends only its test"]
tm.is_(r.stdout.splitlines()[:8], want, "each test is told of")
tm.is_(r.stdout.splitlines()[-2:], ["ok 8 - and the next goes on", "1..8"], "and the number of them") or tm.diag(r.stdout + r.stderr)
tm.is_(run("--suite", put("s.svtest", 'require "vnd.dovecot.testsuite"; test "a" { }\n')).returncode, 0, "one whose tests pass: 0")
tm.is_(run("--suite", put("s.svtest", 'test "a" { }\n')).returncode, 78, "one that does not compile: 78")
tm.is_(run("--check", put("s.sieve", 'require "vnd.dovecot.testsuite";\n')).returncode, 78, "scripts have nothing of that")
tm.done()
