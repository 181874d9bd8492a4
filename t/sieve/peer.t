#!/usr/bin/env python3
"""Sieve: the cases of t/sieve/cases by Pigeonhole's sieve-test too.

Where it says something else the case stands in t/sieve/differences, with the sentence that decides; none stands
there that is not different.  Tests of one message are one script for it, since each start costs more than
all of them."""
import concurrent.futures, itertools, os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "flow")]
import cases, tm

tm.need("sieve-test")
top = tm.tempdir()
os.chmod(top, 0o777)
CONF = os.path.join(top, "conf")
numbers = itertools.count()
# What it has not, or has by a configuration that a test has none of (lists, scores, a store)
LACKS = {"vnd.dovecot.execute", "vnd.dovecot.filter", "vnd.dovecot.pipe", "ereject", "mailboxid", "fcc", "extlists", "redirect-dsn", "envelope-dsn", "comparator-i;unicode-casemap"}
HAS_NOT_HERE = ("--seen", "--spam", "--virus", "--list", "--environment", "--mailbox", "--now", "--without", "--delimiter", "--orcpt")
OURS = os.getuid()


def put(path, text):
    with open(path, "w", encoding="utf-8", newline="") as f:
        f.write(text)


put(CONF, f"""base_dir = {top}/run
mail_home = {top}/home
mail_location = maildir:{top}/mail
postmaster_address = postmaster@example.org
log_path = /dev/stderr
mail_uid = {OURS or 65534}
mail_gid = {os.getgid() or 65534}
first_valid_uid = 1
plugin {{
  sieve = file:{HERE}/scripts
  sieve_global = {HERE}/scripts/global
  sieve_variables_max_variable_size = 64k
  sieve_max_actions = 0
  sieve_extensions = +spamtest +spamtestplus +virustest +editheader +vacation-seconds +special-use
  sieve_vacation_min_period = 0
  sieve_vacation_max_period = 90d
}}
""")


def reached(case):
    """Why it cannot be asked, or None."""
    named = set(re.findall(r'"([^"\s]+)"', " ".join(re.findall(r'require\s*(\[[^\]]*\]|"[^"]*")', case.script))))
    if named & LACKS:
        return "it has no " + sorted(named & LACKS)[0]
    if "envelope" in named and "--from" not in case.options:
        return "it always has an envelope"
    if dict(zip(case.options[::2], case.options[1::2])).get("--from") == "":
        return "it cannot be told the null sender"
    for o in case.options:
        if o in HAS_NOT_HERE:
            return "it is not told of " + o
    return None


def ask(script, message, options):
    paths = [os.path.join(top, f"{next(numbers)}{end}") for end in (".sieve", ".eml")]
    put(paths[0], script)
    put(paths[1], message)
    argv, given = ["sieve-test", "-c", CONF, "-C"], dict(zip(options[::2], options[1::2]))
    argv += ["-f", given.get("--from", "sender@example.org")]
    argv += ["-r", given.get("--to", "user@example.org"), "-a", given.get("--to", "user@example.org")]
    r = subprocess.run(argv + paths, capture_output=True, text=True, errors="replace", timeout=120,
                       env={**os.environ, "HOME": top})
    return r.returncode, r.stdout, r.stderr


def said(code, out, err):
    """Its actions in our words, sorted; ["error"] when it does not compile, ["fails"] when it fails."""
    if "failed to compile sieve script" in err:
        return ["error"]
    if "final result: failed" in err:
        return ["fails"]
    got = []
    for line in out.split("Implicit keep:")[0].splitlines():
        for pattern, kind in ((r" \* store message in folder: (.*)", "fileinto"), (r" \* redirect message to: <?(.*?)>?$", "redirect"),
                              (r" \* (discard)$", "discard"), (r" \* (reject) ", "reject"), (r" \* (send vacation)", "vacation"),
                              (r" \* (?:send )?(notif)", "notify")):
            m = re.match(pattern, line)
            if m:
                got.append(kind + (" " + m[1] if kind in ("fileinto", "redirect") else ""))
    if "Implicit keep:\n\n * store" in out:
        got.append("keep :implicit")
    return sorted(got)


def expected(case):
    if case.want and case.want[0].split()[0] in ("error", "fails"):
        return [case.want[0].split()[0]]
    got = []
    for line in case.want:
        m = re.match(r'(\w+)(?: "((?:\\.|[^"\\])*)")?( :implicit)?', line)
        kind, where = m[1], re.sub(r"\\(.)", r"\1", m[2] or "")
        if kind == "duplicate":
            continue
        got.append({"keep": "keep :implicit" if m[3] else "fileinto INBOX", "ereject": "reject"}.get(kind, kind) +
                   (" " + where if kind in ("fileinto", "redirect") else ""))
    return sorted(got)


listed = {}
with open(os.path.join(HERE, "differences")) as f:
    for line in f:
        if line.strip() and not line.startswith("#"):
            name, _, why = line.strip().partition("  ")
            listed[name] = why.strip()

every = list(cases.everything())
skipped = {c.name: reached(c) for c in every}
asked = [c for c in every if not skipped[c.name]]
different = {}


def key(case):
    return case.name.partition(":")[0] + ": " + case.title.partition(" => ")[0]


def judge(case, got):
    want = expected(case)
    if got != want:
        different[key(case)] = f"({case.name}): {' | '.join(got)} instead of {' | '.join(want)}"


def one(case):
    judge(case, said(*ask(case.script, case.message, case.options)))


tests = [c for c in asked if c.test and c.want[0].split()[0] in ("discard", "keep")]


def several(group):
    need = sorted(set(group[0].require) | {"fileinto"})
    script = "require [%s];\n" % ", ".join('"%s"' % r for r in need)
    script += "".join(f'if {c.test} {{ fileinto "t{i}"; }}\n' for i, c in enumerate(group)) + "discard;\n"
    got = said(*ask(script, group[0].message, group[0].options))
    if got in (["error"], ["fails"]):
        for c in group:
            one(c)
        return
    for i, c in enumerate(group):
        judge(c, ["discard"] if f"fileinto t{i}" in got else ["keep :implicit"])

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    groups = [list(g) for _, g in itertools.groupby(tests, lambda c: (c.message, c.options, c.require))]
    list(pool.map(several, groups))
    list(pool.map(one, [c for c in asked if c not in tests]))

for name in sorted(set(different) - set(listed)):
    tm.ok(False, f"{name} {different[name]}")
for name in sorted(listed):
    tm.ok(name in different and listed[name], f"{name} is different: {listed[name]}")
tm.ok(len(asked) >= 500, f"{len(asked)} cases were asked of Pigeonhole, {len(every) - len(asked)} could not be")
tm.done()
