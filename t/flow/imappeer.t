#!/usr/bin/env python3
"""The same exchanges held with us and with Debian's Dovecot: QRESYNC, BINARY, COMPRESS, CATENATE, METADATA and what is beside
them.  Every difference is one of DIFFERENT, which quotes the sentence that decides."""
import atexit, os, re, shutil, signal, socket, subprocess, tempfile, zlib
import tm
from imapraw import Raw

DOVECOT, IMAP = "/usr/sbin/dovecot", "/usr/lib/dovecot/imap"
if not (os.path.exists(DOVECOT) and os.path.exists(IMAP)):
    tm.skip_all("dovecot-imapd is not installed")
if os.getuid() != 0:
    tm.skip_all("Dovecot's parts want to be started by root")

# A regular expression of commands: reason.
DIFFERENT = {
    r"UID FETCH 10 (BINARY\[2\]<0.2>|FLAGS)": "RFC 7162 3.1: \"MUST include MODSEQ FETCH response data in all subsequent untagged FETCH responses\"; here it is with the FLAGS that it is of",
    r"UID FETCH 10 BINARY.PEEK\[4\]": "RFC 3501 7.4.2: there is no such part: nstring is NIL",
    r"UID FETCH 10 BINARY\[1.MIME\]": "RFC 3516 7: section-binary has numbers alone",
    r"FETCH 1:2 \(UID\)|NOOP": "RFC 7162 3.2: HIGHESTMODSEQ \"with a lower value\"; we send it untagged, and nothing of a message that is gone",
    r"CLOSE": "RFC 7162 3.2.8; the number is one up to which all has been told, so none is lost by it",
    r"SELECT INBOX \(QRESYNC \({v} 0\)\)|UNSELECT": "RFC 7162 7: mod-sequence-value is positive; and BAD leaves the session as it is",
    r'APPEND Parts CATENATE \(URL ("nonsense"|.*SECTION=7")\)': "RFC 4469 3: what a URL does not name is told by BADURL; there is no such part",
    r"SETMETADATA INBOX \(\)": "RFC 5464 5: entry-values has one at least",
    r'SETMETADATA INBOX \(/private "x"\)': "RFC 5464 3.2: an entry is a name below /private or /shared",
    r"COMPRESS GZIP": "RFC 4978 3: an unknown argument is BAD",
}

sb = tm.Sandbox("--users", "2", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
d = tempfile.mkdtemp(prefix="tm-peer-")
os.chmod(d, 0o755)
os.makedirs(f"{d}/home")
shutil.chown(f"{d}/home", "nobody", "nogroup")
port = tm.free_port()
with open(f"{d}/conf", "w") as f:
    f.write(f"""base_dir = {d}/run
state_dir = {d}/state
instance_name = tm-peer-{os.getpid()}
log_path = {d}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
first_valid_uid = 1
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
mail_location = mdbox:~/mail
mail_attribute_dict = file:{d}/home/attributes
protocol imap {{
  mail_plugins = imap_zlib
  imap_metadata = yes
}}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={d}/home
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
""")
child = subprocess.Popen([DOVECOT, "-F", "-c", f"{d}/conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def stop():
    child.send_signal(signal.SIGTERM)
    child.wait()
    shutil.rmtree(d, ignore_errors=True)


atexit.register(stop)


class Peer:
    host, password, domain = "127.0.0.1", "secret", "x.example"

    def port(self, _):
        return port

    def user(self, n):
        return f"user{n}"


class Deflated(Raw):
    def squeeze(self):
        self.ok("COMPRESS DEFLATE")
        self.packer, self.unpacker = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def send(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        if hasattr(self, "packer"):
            data = self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        super().send(data)

    def fill(self):
        if not hasattr(self, "packer"):
            return super().fill()
        more = self.sock.recv(65536)
        if not more:
            raise EOFError
        self.buf += self.unpacker.decompress(more)


def up():
    try:
        Raw(Peer()).close()
        return True
    except OSError:
        return False


tm.wait_for(up, what="Dovecot")

MULTI = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n"
         b"aGVsbG8gd29ybGQ=\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=\r\n=C3=9Fe\r\n--b\r\n\r\nplain\r\n--b--\r\n")


def items(text):
    """The items of a FETCH: sorted pairs, flags in order and without \\Recent"""
    out, at = [], 0
    while at < len(text):
        m = re.compile(rb"([A-Z0-9.]+(?:\[[^]]*\](?:<\d+>)?)?) (\((?:[^()]|\([^()]*\))*\)|~?\{(\d+)\}\r\n|\"[^\"]*\"|[^ ]+) ?", re.S).match(text, at)
        name, value, at = m[1], m[2], m.end()
        if m[3]:
            n = int(m[3])
            value, at = text[m.end(2):m.end(2) + n], m.end(2) + n + 1
        if name == b"FLAGS":
            value = b" ".join(sorted(set(value[1:-1].split()) - {b"\\Recent"}))
        out.append((name, b"n" if name == b"MODSEQ" else value))
    return sorted(out)


def numbers(text):
    out = set()
    for part in text.split(b","):
        a, _, b = part.partition(b":")
        out |= set(range(int(a), int(b or a) + 1))
    return sorted(out)


def plain(lines, tagged):
    """What both have to say, in a form without words"""
    out, gone = [], {b"": set(), b"(EARLIER) ": set()}
    for line in lines:
        m = re.match(rb"\* (\d+) FETCH \((.*)\)$", line, re.S)
        annotations = re.match(rb"\* METADATA (\S+) \((.*)\)$", line, re.S)
        v = re.match(rb"\* VANISHED (\(EARLIER\) )?(\S+)$", line)
        code = re.match(rb"\* OK \[(\S+)", line)
        if m:
            out.append((int(m[1]), items(m[2])))
        elif annotations:
            pairs = re.findall(rb'(/\S+) (NIL|"(?:[^"\\]|\\.)*"|\{\d+\}\r\n\S+)', annotations[2], re.S)
            out.append((annotations[1].strip(b'"'), sorted((e.lower(), re.sub(rb'^\{\d+\}\r\n(.*)$', rb'"\1"', value)) for e, value in pairs)))
        elif v:
            gone[v[1] or b""] |= set(numbers(v[2]))
        elif code:
            if code[1] in (b"HIGHESTMODSEQ", b"CLOSED", b"UIDNEXT", b"COPYUID"):
                out.append(code[1])
        elif not line.startswith((b"* FLAGS", b"* OK", b"* CAPABILITY")) and b" RECENT" not in line:
            out.append(line)
    out += [(k, sorted(x)) for k, x in gone.items() if x]
    m = re.match(rb"(\w+)(?: \[(\w+)[^]]*\])?", tagged)
    return sorted(map(repr, out)), m[1], m[2] if m[2] in (b"HIGHESTMODSEQ", b"MODIFIED", b"UNKNOWN", b"CLOSED", b"APPENDUID", b"COPYUID", b"COMPRESSIONACTIVE", b"BADURL") else None


def session(who):
    """(command, what it says) of one server"""
    said, words = [], {}

    def run(c, command):
        lines, tagged = c.cmd(command.format(**words))
        for l in lines:
            m = re.search(rb"UIDVALIDITY (\d+)", l)
            if m:
                words["v"] = m[1].decode()
        said.append((command, plain(lines, tagged)))
        return lines, tagged

    def modseq(c):
        return int(re.search(rb"HIGHESTMODSEQ (\d+)", c.ok("STATUS INBOX (HIGHESTMODSEQ)")[0])[1])

    a = Raw(who, login=1)
    for n in range(9):
        a.append("INBOX", b"Subject: %d\r\n\r\nx\r\n" % n)
    a.append("INBOX", MULTI)
    run(a, "SELECT INBOX (QRESYNC (1 1))")
    run(a, "ENABLE QRESYNC")
    run(a, "SELECT INBOX")
    words["m0"] = modseq(a)
    run(a, "UID STORE 2,4:5 +FLAGS.SILENT (\\Deleted)")
    run(a, "UID EXPUNGE 4")
    words["m1"] = modseq(a)
    run(a, "EXPUNGE")
    run(a, "EXPUNGE")
    run(a, "STORE 1 +FLAGS (\\Flagged)")
    words["m2"] = modseq(a)
    for command in ("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {m0} VANISHED)", "UID FETCH 3:9 (UID) (CHANGEDSINCE {m0} VANISHED)",
                    "UID FETCH 1:* (FLAGS) (CHANGEDSINCE {m1} VANISHED)", "UID FETCH 1:* (FLAGS) (CHANGEDSINCE {m2} VANISHED)",
                    "UID FETCH 1:* (FLAGS) (VANISHED)", "FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)",
                    "UID FETCH 10 (BINARY.SIZE[1] BINARY.SIZE[2] BINARY.SIZE[3])", "UID FETCH 10 BINARY.PEEK[1]", "UID FETCH 10 BINARY.PEEK[2]",
                    "UID FETCH 10 BINARY.PEEK[3]", "UID FETCH 10 BINARY.PEEK[1]<6.3>", "UID FETCH 10 BINARY.PEEK[1]<100.3>", "UID FETCH 10 BINARY[2]<0.2>",
                    "UID FETCH 10 BINARY.PEEK[4]", "UID FETCH 10 BINARY[1.MIME]", "UID FETCH 10 FLAGS"):
        run(a, command)
    b = Raw(who, login=1)
    b.ok("SELECT INBOX")
    b.ok("UID STORE 6 +FLAGS.SILENT (\\Deleted)")
    b.ok("EXPUNGE")
    for command in ("FETCH 1:2 (UID)", "NOOP", "UID SEARCH ALL", "UID MOVE 7 Moved", "CREATE Moved", "UID MOVE 7 Moved", "UID COPY 8 Moved",
                    "UID STORE 8 +FLAGS.SILENT (\\Deleted)", "CLOSE"):
        run(a, command)
    for param in ("({v} {m0})", "({v} {m1})", "({v} {m2})", "({v} {m0} 1:5)", "({v} {m0} 4,9)", "(1 {m0})", "({v} {m0} 1:10 (1:3 1:3))",
                  "({v} {m0} 1:10 (1,3,5 1,3,9))", "({v} 0)", "({v})", "()", "({v} {m0} 1:*)"):
        run(a, f"SELECT INBOX (QRESYNC {param})")
        run(a, "UNSELECT")
    run(a, "EXAMINE INBOX (CONDSTORE QRESYNC ({v} {m0}))")
    run(a, "SELECT Moved")
    c = Deflated(who, login=1)
    run(c, "COMPRESS GZIP")
    c.squeeze()
    for command in ("COMPRESS DEFLATE", "SELECT INBOX", "FETCH 1:* (UID FLAGS)", "UID FETCH 10 BODY.PEEK[]", "NOOP"):
        run(c, command)
    # CATENATE: the messages that come of it are what is compared
    d = Raw(who, login=1)
    d.ok("CREATE Parts")
    d.append("Parts", MULTI)
    d.append("Parts", b"Subject: two\r\nTo: x\r\n\r\nbody\r\n")
    words["v"] = re.search(rb"UIDVALIDITY (\d+)", b"".join(d.ok("SELECT Parts")))[1].decode()
    for parts in ('URL "/Parts/;UID=1"', 'URL "/Parts/;UID=1/;SECTION=2" TEXT {{3+}}\r\nabc', 'TEXT {{4+}}\r\na\r\nb URL "/Parts/;UID=2/;SECTION=TEXT"',
                  'URL "/Parts/;UID=1/;SECTION=HEADER" URL "/Parts/;UID=1/;SECTION=1.MIME" URL "/Parts/;UID=1/;SECTION=3"',
                  'URL "/Parts;UIDVALIDITY={v}/;UID=2/;SECTION=HEADER.FIELDS%20(To)"', 'URL "/Parts/;UID=2/;PARTIAL=3.5" TEXT {{1+}}\r\nx',
                  'URL {{13+}}\r\n/Parts/;UID=2', 'URL "/Parts;UIDVALIDITY=77/;UID=2"', 'URL "/Parts/;UID=99" TEXT {{3+}}\r\nabc',
                  'TEXT {{3+}}\r\nabc URL "/Nowhere/;UID=1"'):
        run(d, f"APPEND Parts CATENATE ({parts})")
    run(d, 'APPEND Parts (\\Seen) CATENATE (URL "/Parts/;UID=2") (\\Draft) CATENATE (TEXT {{1+}}\r\nx)')
    run(d, "FETCH 1:* (UID FLAGS BODY.PEEK[])")
    for parts in ('URL "nonsense"', 'URL "/Parts/;UID=2/;SECTION=7"'):
        run(d, f"APPEND Parts CATENATE ({parts})")
    # METADATA
    for command in ("GETMETADATA INBOX /private/comment", 'SETMETADATA INBOX (/private/comment "mine" /shared/comment "all")',
                    "GETMETADATA INBOX (/private/comment /shared/comment)", "GETMETADATA INBOX /PRIVATE/COMMENT", 'SETMETADATA INBOX (/private/comment NIL)',
                    "GETMETADATA INBOX (/private/comment)", 'SETMETADATA INBOX (/private/vendor/x/a "1" /private/vendor/x/a/b "2" /private/vendor/x-y "3")',
                    "GETMETADATA (DEPTH 1) INBOX /private/vendor/x", "GETMETADATA (DEPTH infinity) INBOX /private/vendor", "GETMETADATA (DEPTH 0) INBOX /private/vendor",
                    "GETMETADATA (MAXSIZE 2) INBOX (/shared/comment /private/vendor/x/a)", "GETMETADATA (DEPTH 7) INBOX /private/a",
                    "GETMETADATA INBOX /other/a", "GETMETADATA INBOX /private//a", "GETMETADATA Nowhere /private/a", 'SETMETADATA INBOX (/private/l {{4+}}\r\nfour)', "GETMETADATA INBOX /private/l",
                    'SETMETADATA "" (/private/comment "server")', 'GETMETADATA "" /private/comment', 'SETMETADATA Parts (/private/comment "kept")',
                    "RENAME Parts Pieces", "GETMETADATA Pieces /private/comment", "DELETE Pieces", "CREATE Pieces", "GETMETADATA Pieces /private/comment",
                    'SETMETADATA INBOX (/private/a*b "x")', "SETMETADATA INBOX ()", 'SETMETADATA INBOX (/private "x")'):
        run(d, command)
    return said


ours, theirs = session(sb), session(Peer())
new, seen = 0, set()
for (command, a), (_, b) in zip(ours, theirs):
    kind = next((k for k in DIFFERENT if re.fullmatch(k, command)), None)
    if a == b:
        continue
    if kind:
        seen.add(kind)
    else:
        new += 1
        tm.diag(f"{command}\n    ours   {a}\n    theirs {b}")
tm.is_((len(ours), new), (len(theirs), 0), f"{len(ours)} commands are answered alike, but for {len(DIFFERENT)} kinds that an RFC decides")
tm.is_(seen, set(DIFFERENT), "and each of those is a difference")
tm.done()
