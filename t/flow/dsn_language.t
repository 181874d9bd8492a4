#!/usr/bin/env python3
"""Reports in the language of their reader: what the directory says of the user, what his message says, what the site
says; one language that a file adds; a file that is wrong."""
import email, email.policy, os, shutil, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

tm.need("ldapmodify")
out = Mail(("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE 0"),
           say={"RCPT TO:<no": "550 5.1.1 no such user here", "RCPT TO:<later": "450 4.2.1 later"})
sb = tm.Sandbox("--users", "4", "--without", "jmapd", "--without", "memd", "--without", "sieved", "--without", "pop3d", "--route", f"out.test=smtp:127.0.0.1:{out.port}",
                "--set", "smtp-relay.relay.networks=127.0.0.0/8", "--set", f"channels.channel tcp_local.backoff=1s 1s 1s",
                "--set", f"channels.channel tcp_local.notices={round(2 * tm.SHORT)}s {round(60 * tm.SHORT)}s", "--set", "tiermail.ldap.cache_age=0")
me = f"{sb.user(1)}@{sb.domain}"
read = 0


def send(to, extra="", user=None, rcpt="", sender=me):
    with sb.smtp("SUBMISSION" if user else "SMTP") as s:
        s.ehlo()
        if user:
            s.login(sb.user(user), sb.password)
        s.docmd(f"MAIL FROM:<{sender}>")
        s.docmd(f"RCPT TO:<{to}>{rcpt}")
        code, text = s.data(f"From: <{sender}>\r\nTo: <{to}>\r\n{extra}Subject: s\r\n\r\nx\r\n".encode())
        return code == 250 or tm.diag(text)


def report(language, word, what, action="failed"):
    """The next report to user 1 is in that language."""
    global read
    read += 1
    if not tm.ok(tm.wait_for(lambda: sb.count(1) >= read), f"{what}: a report"):
        return
    raw = sb.messages(1)[read - 1]
    m = email.message_from_bytes(raw, policy=email.policy.default)
    words, fields, _ = m.get_payload()
    tm.ok(all(b < 128 for b in raw), f"{what}: in ASCII, for every host on the way")
    tm.is_((words["Content-Language"], words.get_content_charset()), (language, "us-ascii" if language == "en" else "utf-8"), f"{what}: in {language}")
    tm.ok(word in words.get_content() and word not in raw.decode() if not word.isascii() else word in words.get_content(), f"{what}: which it is") or tm.diag(words.get_content())
    tm.is_([fields.get_payload()[1]["Action"], m.get_content_type(), m.get_param("report-type")], [action, "multipart/report", "delivery-status"], f"{what}: and for programs as ever")
    return m


def prefers(user, value):
    entry = f"dn: uid={sb.user(user)},ou=people,o={sb.domain},{sb.env['LDAP_BASE']}\nchangetype: modify\nreplace: preferredLanguage\n" + (f"preferredLanguage: {value}\n" if value else "")
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                       input=entry, capture_output=True, text=True)
    tm.is_(r.returncode, 0, f"{sb.user(user)} prefers {value}") or tm.diag(r.stderr)


tm.ok(send("no1@out.test"), "nobody says anything")
report("en", "could not be delivered", "the site's")
tm.ok(send("no2@out.test", "Accept-Language: fr;q=0.9, de-AT;q=0.8, en;q=0.3\r\n"), "the message prefers French, which there is not, then German")
m = report("de", "Empf\u00e4ngern nicht zugestellt", "Accept-Language")
tm.ok(m and m["Subject"] == "Nachricht nicht zugestellt" and "550 5.1.1 no such user here" in m.as_string(), "with what the server has said in its own words")
tm.ok(send("no3@out.test", "Content-Language: de\r\n"), "the message is German")
report("de", "Empf\u00e4ngern nicht zugestellt", "Content-Language")
tm.ok(send("no4@out.test", "Content-Language: de\r\nAccept-Language: en\r\n"), "it is, but its sender prefers English")
report("en", "could not be delivered", "Accept-Language first")
tm.ok(send("later@out.test", "Accept-Language: de\r\n"), "a delay")
m = report("de", "noch nicht zugestellt", "a delay", "delayed")
tm.ok(m and m["Subject"] == "Nachricht versp\u00e4tet (wird weiter versucht)" and "Versucht wird es bis " in m.get_payload()[0].get_content(), "its subject, and until when")
tm.is_(sb.tool("jobctl-ctl", "delete", "channel=tcp_local").returncode, 0, "away with it")
tm.ok(send("yes@out.test", "Accept-Language: de\r\n", rcpt=" NOTIFY=SUCCESS"), "a host that does not report")
report("de", "best\u00e4tigt Zustellungen nicht", "relayed", "relayed")
tm.ok(send(f"{sb.user(2)}@{sb.domain}", "Accept-Language: de\r\n", rcpt=" NOTIFY=SUCCESS"), "a mailbox")
report("de", "Empf\u00e4ngern zugestellt", "delivered", "delivered")

prefers(1, "de")
tm.ok(send("no5@out.test", "Accept-Language: en\r\n", user=1), "a user who prefers German writes English")
report("de", "Empf\u00e4ngern nicht zugestellt", "preferredLanguage")
prefers(1, "fr, tlh")
tm.ok(send("no6@out.test", "Accept-Language: de\r\n", user=1), "one who prefers what there is not")
report("de", "Empf\u00e4ngern nicht zugestellt", "what the message says then")

# A file adds a language; masters read it when they start.
folder = sb.conf("notices")
os.mkdir(folder)
os.chmod(folder, 0o755)
shutil.copy(os.path.join(tm.TOP, "conf/notices/fr"), folder)
open(f"{folder}/es.orig", "w").write("what an editor has left\n")
r = sb.tool("channel-master", "-n", "-c", sb.conf("channel-master.conf"))
tm.ok(r.returncode == 0 and "# languages of reports: en de fr" in r.stdout, "-n says which there are") or tm.diag(r.stdout, r.stderr)
tm.is_(sb.tool("tmctl", "-d", "jobctl", "reload").returncode, 0, "masters are exchanged")
tm.wait_for(lambda: send("no7@out.test", "Accept-Language: de\r\n", user=1))
report("fr", "n'a pas pu \u00eatre remis", "the new language")

with open(f"{folder}/fr", "a") as f:
    f.write("\nuntil = %{date}\n")
r = sb.tool("channel-master", "-n", "-c", sb.conf("channel-master.conf"))
tm.ok(r.returncode == 78 and f"{folder}/fr:33: this text is there already" in r.stdout + r.stderr, "a mistake is told with its line") or tm.diag(r.stdout, r.stderr)
text = open(os.path.join(tm.TOP, "conf/notices/fr")).read()
open(f"{folder}/fr", "w").write(text.replace("jusqu'au %{time}", "jusqu'au %{date}"))
r = sb.tool("channel-master", "-n", "-c", sb.conf("channel-master.conf"))
tm.ok(r.returncode == 78 and f"{folder}/fr:29: unknown placeholder %{{date}} (known: %{{time}})" in r.stdout + r.stderr, "so is an unknown placeholder") or tm.diag(r.stdout, r.stderr)
open(f"{folder}/fr", "w").write(text)
open(f"{folder}/German", "w").write(text)
r = sb.tool("channel-master", "-n", "-c", sb.conf("channel-master.conf"))
tm.ok(r.returncode == 78 and "its name is no language" in r.stdout + r.stderr, "and a name that is none")
# Mail does not wait for a text: masters do without what is wrong, and say so.
open(f"{folder}/fr", "w").write("no = words\n")
tm.is_(sb.tool("tmctl", "-d", "jobctl", "reload").returncode, 0, "masters are exchanged, with files that are wrong")
tm.wait_for(lambda: send("no8@out.test", "Accept-Language: de\r\n", user=1))
report("de", "Empf\u00e4ngern nicht zugestellt", "the language behind the one that is wrong")
run = sb.env["RUNDIR"]
told = "".join(open(f"{run}/{n}", errors="replace").read() for n in os.listdir(run) if n.endswith(".log"))
told = [line for line in told.splitlines() if "notices_file" in line]
tm.ok(any("German" in line for line in told) and any("/fr:1:" in line for line in told), "the log names the files") or tm.diag(told)
os.unlink(f"{folder}/German")
os.unlink(f"{folder}/fr")
tm.ok(sb.queue_empty(), "the queue is empty")
tm.done()
