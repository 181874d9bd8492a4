#!/usr/bin/env python3
"""The channel conversion: parts of messages go through programs of the site; one that hangs, writes without end or fails
has the original held, and no kill loses or doubles a message."""
import email, os, pwd, signal, sys, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

if os.getuid() != 0:
    tm.skip_all("only root can become others")
WHO = "nobody"
D = tm.tempdir()
os.chmod(D, 0o755)
OUT = D + "/out"
os.mkdir(OUT)
os.chmod(OUT, 0o1777)


def program(name, text):
    with open(f"{D}/{name}", "w") as f:
        f.write(text)
    os.chmod(f"{D}/{name}", 0o755)
    return f"{D}/{name}"


PY = "#!/usr/bin/python3\nimport os, sys, time\nOUT = %r\n" % OUT
programs = {
    "upper": (program("upper", "#!/bin/sh\nexec tr a-z A-Z\n"),),
    "doc": (program("doc", PY + "d = sys.stdin.buffer.read()\nprint(len(d), os.environ['INPUT_TYPE'], os.environ['INPUT_SUBTYPE'], os.environ['INPUT_NAME'], os.environ['SENDER'], os.environ['RECIPIENT'])\nprint('\\u00fcber ' + '=' * 1200)\n"),),
    "octets": (program("octets", PY + "d = sys.stdin.buffer.read()\nassert d == bytes(range(256)) * 300, len(d)\nsys.stdout.buffer.write(d[::-1])\n"),),
    "hang": (program("hang", PY + "sys.stdout.write('half')\nsys.stdout.flush()\ntime.sleep(600)\n"), f"time={tm.SHORT:.0f}s"),
    "fill": (program("fill", PY + "for i in range(1024): sys.stdout.buffer.write(bytes(1 << 20))\n"), "file_size=1M"),
    "half": (program("half", PY + "sys.stdin.read()\nsys.stdout.write(('x' * 99 + '\\n') * 10486)\n"),),
    "one": (program("one", "#!/bin/sh\necho half\necho 'it broke' >&2\nexit 1\n"),),
    "bad": (program("bad", "#!/bin/sh\necho 'a virus' >&2\nexit 65\n"),),
    "later": (program("later", PY + "d = sys.stdin.read()\nif not os.path.exists(OUT + '/go'):\n    open(OUT + '/tried', 'a').write('x')\n    sys.exit(75)\nsys.stdout.write('at last')\n"),),
    "slow": (program("slow", PY + "open(OUT + '/slow', 'a').write('x')\nd = sys.stdin.read()\nwhile not os.path.exists(OUT + '/quick'): time.sleep(0.02)\nsys.stdout.write(d)\n"), "time=200s"),
}
sets = [a for name, (command, *keys) in programs.items()
        for a in ("--set", f"piped.program {name}.command={command}", "--set", f"piped.program {name}.run_as={WHO}", *(x for k in keys for x in ("--set", f"piped.program {name}.{k}")))]
sb = tm.Sandbox("--users", "9", "--programs", "--set", "channels.channel tcp_lmtp.convert=yes", "--set", "channels.channel conversion.backoff=1s", "--set", "channel-master.conversion.size=3M", *sets)
DOM = sb.domain
CONVERSIONS = """! What is converted
in-chan=tcp_*; out-chan=tcp_lmtp; in-type=text; in-subtype=x-upper;
  out-type=text; out-subtype=plain; command="upper"

in-type=application; in-subtype=msword; out-type=text; out-subtype=plain; out-name="a \\"b\\".txt"; command=doc
in-type=application; in-subtype=x-octets; command=octets
in-type=image; in-subtype=*; delete=1
in-type=*; in-parameter-name-0=name; in-parameter-value-0=*.exe; relabel=1; out-type=application; out-subtype=x-harmless; out-disposition=attachment
"""
CONVERSIONS += "".join(f"in-subtype=x-{n}; command={n}\n" for n in ("hang", "fill", "half", "one", "later", "slow"))
CONVERSIONS += "in-chan=tcp_*; in-subtype=x-bad; command=bad\nin-subtype=x-none; command=none\n"
with open(sb.conf("conversions"), "w") as f:
    f.write(CONVERSIONS)
for d in ("smtp-relay", "jobctl"):
    tm.is_(sb.tool("tmctl", "-d", d, "reload").returncode, 0, f"{d} takes the file")


def part(kind, body, fields=""):
    return f"Content-Type: {kind}\r\n{fields}\r\n{body}"


def multi(*parts, kind="mixed"):
    return f"MIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary=b\r\n\r\npreamble\r\n" + "".join(f"--b\r\n{p}\r\n" for p in parts) + "--b--\r\nepilogue\r\n"


def send(to, text, sender="out@sender.test"):
    with sb.smtp() as s:
        s.sendmail(sender, f"{sb.user(to)}@{DOM}", (f"From: <{sender}>\r\nTo: <x@{DOM}>\r\nSubject: conv\r\n" + text).encode())


def raw(to, n=1):
    tm.wait_for(lambda: sb.count(to) >= n)
    m = sb.messages(to)
    return m[-1] if m else b""


def got(to, n=1):
    return email.message_from_bytes(raw(to, n))


def held():
    return [f for f in sb.queue_files() if f.endswith(".HELD") and "/conversion/" in f]


def masters():
    out = []
    for p in sb.pids_of("channel-master"):
        try:
            with open(f"/proc/{p}/cmdline", "rb") as f:
                if b"conversion" in f.read():
                    out.append(p)
        except OSError:
            pass
    return out


# ---- what is made -------------------------------------------------------------------------------------
plain = part("text/html", "<b>not touched</b>", "Content-Disposition: inline\r\n")
send(1, multi(part("text/x-upper", "line one\r\nline two", "Content-Description: d\r\n"), plain, part("application/msword; name=\"x.doc\"", "SGVsbG8=", "Content-Transfer-Encoding: base64\r\n")))
m = got(1)
p = m.get_payload()
tm.is_([x.get_content_type() for x in p], ["text/plain", "text/html", "text/plain"], "three parts, two of another type")
tm.is_((p[0].get_payload(decode=True), p[0]["Content-Description"]), (b"LINE ONE\r\nLINE TWO", "d"), "a text through tr")
tm.ok(("--b\r\n" + plain + "\r\n--b").encode() in raw(1) and b"preamble\r\n--b" in raw(1) and raw(1).endswith(b"--b--\r\nepilogue\r\n"), "what is no program's is as it came")
tm.is_(p[2].get_payload(decode=True).decode().splitlines(), [f"5 application msword x.doc out@sender.test {sb.user(1)}@{DOM}", "\u00fcber " + "=" * 1200], "a document as text, with what a program is told")
tm.is_((p[2].get_filename(), p[2].get_content_charset()), ('a "b".txt', "utf-8"), "and its new name")
import base64
octets = bytes(range(256)) * 300
send(1, "MIME-Version: 1.0\r\nContent-Type: application/x-octets\r\nContent-Transfer-Encoding: base64\r\nX-Own: kept\r\n\r\n" + base64.encodebytes(octets).decode().replace("\n", "\r\n"))
m = got(1, 2)
tm.is_((m.get_payload(decode=True) == octets[::-1], m["X-Own"], m.get_content_type()), (True, "kept", "application/x-octets"), "octets, of a message that is all one part")
send(1, multi(part("image/gif", "R0lG"), plain, part("image/png", "x")))
m = got(1, 3)
tm.is_([x.get_content_type() for x in m.get_payload()], ["text/html"], "two parts are deleted")
send(1, multi(part("image/gif", "R0lG")))
tm.is_([(x.get_content_type(), x.get_payload().strip()) for x in got(1, 4).get_payload()], [("text/plain", "")], "of the only one an empty text stays")
send(9, multi(plain, part("message/rfc822", "From: <in@x.test>\r\nSubject: inner\r\nContent-Type: image/gif\r\n\r\nR0lG")))
m = got(9).get_payload()[1].get_payload()[0]
tm.is_((m["From"], m["Subject"], m.get_content_type(), m.get_payload().strip()), ("<in@x.test>", "inner", "text/plain", ""), "of a message in the message its fields stay, too")
send(1, multi(part("application/octet-stream; name=run.exe", "MZ"), plain))
x = got(1, 5).get_payload()[0]
tm.is_((x.get_content_type(), x["Content-Disposition"], x.get_payload()), ("application/x-harmless", "attachment", "MZ"), "one has a new label")
signed = multi(part("text/x-upper", "signed"), part("application/pgp-signature", "x"), kind="signed")
send(1, signed)
tm.ok(signed.encode() in raw(1, 6), "what is signed is not touched")
send(1, multi(part("text/x-upper", "in"), part("message/rfc822", "Subject: inner\r\nContent-Type: text/x-upper\r\n\r\ninner text")))
m = got(1, 7)
tm.is_(m.get_payload()[1].get_payload()[0].get_payload().strip(), "INNER TEXT", "a message in the message is looked into")
for n, more in enumerate(("", "\u00fc")):
    inner = f"text{more}\n--42\nContent-Type: image/gif\n\nGIF\n--42--\n".encode()
    send(1, multi(part("text/x-upper", base64.b64encode(inner).decode(), "Content-Transfer-Encoding: base64\r\n"), plain).replace("--b", "--42").replace("=b\r", "=42\r"))
    m = got(1, 8 + n)
    tm.is_([x.get_content_type() for x in m.get_payload()], ["text/plain", "text/html"], f"a line that a program writes is no delimiter, {('plain', 'encoded')[n]}")
    tm.is_(m.get_payload()[0].get_payload(decode=True).split(), inner.upper().split(), "and is read as it was written")
tm.ok(sb.queue_empty(), "nothing stays")

# ---- what goes wrong -------------------------------------------------------------------------------------
for i, (name, why) in enumerate((("hang", "took too long"), ("fill", "of fill"), ("one", "it broke"))):
    send(2, f"Content-Type: text/x-{name}\r\n\r\nthe original of {name}\r\n")
    tm.ok(tm.wait_for(lambda: len(held()) == i + 1), f"{name}: held")
    with open(held()[0] if i == 0 else max(held(), key=os.path.getmtime), "rb") as f:
        tm.ok(f"the original of {name}".encode() in f.read(), "as it came")
    tm.ok(why in sb.tool("mailq", "--json").stdout, f"with the reason: {why}") or tm.diag(sb.tool("mailq", "--json").stdout)
tm.is_(sb.count(2), 0, "nobody has half of it")
send(3, "Content-Type: text/x-bad\r\n\r\nbad\r\n", sender=f"{sb.user(4)}@{DOM}")
tm.ok(tm.wait_for(lambda: sb.count(4) == 1) and b"a virus" in raw(4), "exit code 65: returned to the sender, with the program's words")
send(3, "Content-Type: text/x-bad\r\n\r\nbad report\r\n", sender="")
tm.ok(tm.wait_for(lambda: len(held()) == 4), "what has no sender is held instead")
send(5, "Content-Type: text/x-later\r\n\r\nlater\r\n")
tm.ok(tm.wait_for(lambda: os.path.exists(OUT + "/tried")) and sb.count(5) == 0, "exit code 75: it waits")
open(OUT + "/go", "w").close()
tm.is_(got(5).get_payload().strip(), "at last", "and comes when the program is ready")
send(6, "Content-Type: text/x-none\r\n\r\nx\r\n")
tm.ok(tm.wait_for(lambda: "no program none" in sb.tool("mailq", "--json").stdout), "a program that piped does not have: it waits, and mailq says why")
send(7, multi(*[part("text/x-upper", "x")] * 101))
tm.ok(tm.wait_for(lambda: len(held()) == 5), "101 parts to be converted: held")
n = sb.count(4)
send(4, multi(*[part("text/x-half", "x")] * 2))
tm.ok(tm.wait_for(lambda: sb.count(4) == n + 1), "two parts that become a megabyte each: it goes")
send(7, multi(*[part("text/x-half", "x")] * 3))
tm.ok(tm.wait_for(lambda: len(held()) == 6), "three are too much together: held, though each alone is not")
tm.ok("too large together" in sb.tool("mailq", "--json").stdout, "with the reason")

# ---- kills ---------------------------------------------------------------------------------------------------
send(8, "Content-Type: text/x-slow\r\n\r\nonce\r\n")
tm.ok(tm.wait_for(lambda: os.path.exists(OUT + "/slow")), "a program runs")


def slow():
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and tm.lives(int(p)) and (D + "/slow").encode() in open(f"/proc/{p}/cmdline", "rb").read()]


first = slow()
for pid in masters():
    os.kill(pid, signal.SIGKILL)
tm.ok(first and tm.wait_for(lambda: not set(first) & set(slow())), "who waits for it has gone: it is ended")
open(OUT + "/quick", "w").close()
tm.ok(tm.wait_for(lambda: sb.count(8) == 1), "channel-master is killed: the message comes") or tm.diag(sb.tool("mailq").stdout)
sb.kill("piped")
send(9, multi(part("text/x-upper", "without piped")))
tm.ok(tm.wait_for(lambda: "no program can be started" in sb.tool("mailq", "--json").stdout), "without piped it waits") or tm.diag(sb.tool("mailq", "--json").stdout)
sb.restart("piped")
tm.is_(got(9, 2).get_payload()[0].get_payload(), "WITHOUT PIPED", "and comes when it is back")
tm.is_(sb.count(8), 1, "nothing has come twice")

# ---- released ---------------------------------------------------------------------------------------------------
with open(sb.conf("conversions"), "w") as f:
    f.write(CONVERSIONS.replace("in-subtype=x-one; command=one", "in-subtype=x-one; command=upper"))
for pid in masters():
    os.kill(pid, signal.SIGKILL)
sb.tool("jobctl-ctl", "release", "channel=conversion")
tm.ok(tm.wait_for(lambda: sb.count(2) == 1) and b"THE ORIGINAL OF ONE" in raw(2), "what was held goes when the entry is mended and it is released") or tm.diag(sb.tool("mailq").stdout)
with open(sb.conf("conversions"), "w") as f:
    f.write("in-type=text; comand=x\n")
r = sb.tool("tmctl", "-d", "smtp-relay", "reload")
tm.ok(r.returncode != 0 or "comand is no parameter" in r.stdout + r.stderr, "a broken file is refused")
tm.done()
