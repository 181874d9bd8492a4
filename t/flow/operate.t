#!/usr/bin/env python3
"""tiermail-operate(7), line by line: each command of the page is run as it stands there, on a host where there is
something to find, and does what the page says.  What the page cannot know is put in its place: the queue id, the
log, the directory's administrator."""
import os, re, subprocess, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

PAGE = os.path.join(tm.TOP, "man/tiermail-operate.7")
sb = tm.Sandbox("--users", "1", "--domain", "example.org", "--route", f"away.example=smtp:127.0.0.1:{tm.free_port()}")
ENV = {**os.environ, "TIERMAIL_CONF": sb.conf("tiermail.conf"),
       "PATH": ":".join((tm.BINDIR, os.path.join(tm.TOP, "scripts/setup"), os.environ["PATH"], "/usr/sbin"))}
ADMIN = f"-x -H {sb.env['LDAP_URL']} -D {sb.env['LDAP_ADMIN_DN']} -w {sb.env['LDAP_ADMIN_PASSWORD']}"
BASE = sb.env["LDAP_BASE"]
# The journal, and what systemd does with a unit.
PRELUDE = f"""log() {{ cat {sb.env['RUNDIR']}/*.log; }}
systemctl() {{
	name=${{2#tiermail-}}
	case $1 in
	stop) pid=$(cat {sb.env['RUNDIR']}/$name.pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.05; done ;;
	start) {sb.script} restart {sb.dir} $name ;;
	esac
}}
set -o pipefail
cd {sb.dir}
"""


def commands():
    """Each command of the page, in its order: a line of a display, with its here-document."""
    with open(PAGE) as f:
        blocks = re.findall(r"(?ms)^\.Bd -literal -offset indent\n(.*?)^\.Ed", f.read())
    for block in blocks:
        for command in re.findall(r"(?m)^[^\n]*<<END\n(?:.*\n)*?END$|^.+$", block):
            yield command.replace("\\e", "\\")


def run(command, qid):
    text = command.replace("QID", qid).replace("-Q -Y EXTERNAL -H ldapi:///", ADMIN).replace("dc=example,dc=org", BASE)
    return subprocess.run(["bash", "-c", PRELUDE + text], capture_output=True, text=True, errors="replace", env=ENV, timeout=2 * tm.LONG)


def add(user):
    with open(os.path.join(tm.TOP, "conf/ldif/user.ldif")) as f:
        text = re.sub(r"(?m)^#.*\n|^.*@ALIAS@.*\n", "", f.read())
    for word, value in (("UID", user), ("DOMAIN", "example.org"), ("BASE", BASE), ("MAILHOST", sb.env["MAILHOST"]), ("USERPW", sb.password)):
        text = text.replace(f"@{word}@", value)
    r = subprocess.run(f"ldapadd {ADMIN}", shell=True, input=text, capture_output=True, text=True)
    tm.is_(r.returncode, 0, f"{user} is there")


def submit(sender, to):
    with sb.smtp("SUBMISSION") as s:
        s.login(sender, sb.password)
        s.sendmail(f"{sender}@example.org", [to], "Subject: test\r\n\r\nx\r\n")


def qid_of(address):
    with open(f"{sb.env['RUNDIR']}/smtp-relay.log") as f:
        return re.findall(rf"ev=rcpt .*?qid=(\S+).*{re.escape(address)}", f.read())[-1]


def count(address="anna@example.org"):
    c = sb.imap("anna", password)
    n = int(c.select("INBOX", readonly=True)[1][0])
    c.logout()
    return n


add("anna")
add("ben")
password = sb.password
sb.send(["anna@example.org"], subject="to anna")
tm.ok(tm.wait_for(lambda: count() == 1), "anna has a message")
c = sb.imap("anna")
c.select("INBOX")
c.store("1", "+FLAGS", "\\Deleted")
c.expunge()
sb.send(["anna@example.org"], subject="another")
tm.ok(tm.wait_for(lambda: count() == 1), "and another one")
submit("ben", "joe@away.example")
ben = sb.imap("ben")
waits = qid_of("joe@away.example")
tm.ok(tm.wait_for(lambda: "1 waiting" in run("mailq -q", "").stdout or " 1 " in run("mailq -q", "").stdout), "one that waits")
with open(sb.dir + "/backup.msg", "w") as f:
    f.write("From: x@y.example\nSubject: out of a backup\n\nx\n")

# What must be in an answer, of a command that begins so; and what its exit code may be but 0.
SAYS = {"log | tmlog -l - anna": "anna@example.org: delivered", "log | tmlog -l - QID": "queued: ", "mailq -r joe": waits, "jobctl-ctl show": "joe@away.example",
        "log | grep -E 'ev=(expunge": "ev=expunge", "mtatest expand": "anna@example.org", "mtatest -e rewrite": "away.example",
        "log | grep -E 'ev=queued": "user=ben@example.org", "log | grep -c": "1", "tmctl who": "user=ben@example.org",
        "jobctl-ctl top": "messages=1", "log | grep -E 'ev=(deliver": "ev=deliver", "storectl quota report": "anna@example.org",
        "jobctl-ctl list": waits, "jobctl-ctl channels": "tcp_local", "storectl quota": "anna@example.org", "storectl list": "INBOX",
        "storectl check": "", "tmctl status": "imapd",
        "tiermail-setup check": "OK    delivery"}
CODES = {"tiermail-setup check": (0, 1, 2)}  # a sandbox is not in DNS
seen = set()
for command in commands():
    if command.startswith("log() {"):
        continue
    before = count() if command.startswith("sendmail") else 0
    r = run(command, waits)
    line = command.split("\n")[0]
    said = next((v for k, v in SAYS.items() if line.startswith(k)), "")
    seen |= {k for k in SAYS if line.startswith(k)}
    tm.ok(r.returncode in CODES.get(line, (0,)) and said in r.stdout, line) or tm.diag(f"{r.returncode}\n{r.stdout}{r.stderr}")
    if line.startswith("sendmail"):
        tm.ok(tm.wait_for(lambda: count() == before + 1), "which is there again")
    if line.startswith("ldappasswd"):
        password = "a new password"
    if line.startswith("jobctl-ctl delete"):
        tm.is_(sb.queue_files(), [], "and it is gone")
    if line == "tmctl forget ben@example.org":
        try:
            ben.noop()
            tm.ok(False, "ben's session has ended")
        except (ben.abort, OSError):
            tm.ok(True, "ben's session has ended")
tm.is_(sorted(set(SAYS) - seen), [], "the page has all that the test knows")
tm.done()
