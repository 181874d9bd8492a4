"""Recorded sessions and how they are played: what one build has said, another has to say too.

A transcript is text, one line for each line on the wire (CRLF is understood):

    # a comment
    a! open IMAP            connection `a` to the port IMAP (SMTP, SUBMISSION, LMTP, ...)
    a! tls                  a TLS handshake from here on (after STARTTLS)
    a! sleep 0.2            seconds; for what comes by itself
    a! at once              a group of `a` always is one write
    a! one write            everything that `a` says later may be sent at once (see below)
    a> b1 LOGIN @USER1@ @PASSWORD@      the client says
    a< b1 OK Logged in                  the server says
    a! closed               the server closes

Bytes that are not printable ASCII are \\xHH, a backslash is \\\\; a `>` line that ends in a single
backslash has no CRLF.  @NAME@ stands for a word of the sandbox, @x*500@ for 500 times x, @UIDVALIDITY@ for the last
that any connection was told.
`>` lines in a row are a group, sent together; then the `<` lines that follow are awaited.

To record, write the `!` and `>` lines, an empty line between groups, and run
    TM_RECORD=1 BINDIR=.../build/bin t/flow/transcript.t
which asks a build and fills in the `<` lines.  MASKS says which parts are not compared.
"""
import os, re, socket, ssl, time
import tm

FIXTURES = os.path.join(tm.TOP, "t/fixtures")

# Extensions that came after the transcripts were recorded; each is said by the test of its own.
LATER = re.compile(rb" (?:WITHIN|I18NLEVEL=1|QRESYNC|IMAP4rev2|UTF8=ACCEPT|BINARY|CONTEXT=SEARCH|CONTEXT=SORT|NOTIFY|PREVIEW|UIDONLY|COMPRESS=DEFLATE|INPROGRESS|REPLACE|CATENATE|MULTISEARCH|ACL|RIGHTS=texk|LIST-MYRIGHTS|LIST-METADATA|METADATA|SEARCHRES|PARTIAL|E?SORT(?:=DISPLAY)?|THREAD=[A-Z]+)(?=[ \]]|$)")

# And whole lines.
LATER_LINES = {b"* OK [URLMECH INTERNAL] URLs can be authorized"}

# What differs from run to run: pattern, what is compared instead, why.
MASKS = [
    (rb"(UIDVALIDITY |APPENDUID |COPYUID )\d+", rb"\1<uidvalidity>", "made from the clock"),
    (rb"((?:MAILBOXID|EMAILID|THREADID) )\([^)]*\)", rb"\1(<id>)", "made from the clock and counters"),
    (rb"(CAPABILITY IMAP4rev1 [^\]]*?ENABLE) IDLE [^\]]*", rb"\1 <extensions>", "grows"),
    (rb'SAVEDATE "[^"]*"', rb"SAVEDATE <date>", "now"),
    (rb"HIGHESTMODSEQ \d+", rb"HIGHESTMODSEQ <modseq>", "counts every change of the account"),
    (rb"MODSEQ \(\d+\)", rb"MODSEQ (<modseq>)", "the same"),
    (rb"\(MODSEQ \d+\)", rb"(MODSEQ <modseq>)", "the same, in SEARCH"),
    (rb"queued as [0-9a-z]{13}", rb"queued as <qid>", "the queue id has the time in it"),
    (rb"\b(id|ID) [0-9a-z]{13}\b", rb"\1 <qid>", "the same, in Received"),
    (rb"^(.*; |\t)?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [ 0-9]?\d \w{3} \d{4} \d\d:\d\d:\d\d [-+]\d{4}$", rb"\1<date>", "now, in Received"),
    (rb"(HEADER\.FIELDS \(Received\)\] )\{\d+\}", rb"\1{<size>}", "a day has one digit or two"),
    (rb"<[0-9a-z.]{10,}@mail\.example\.test>", rb"<message-id>", "made by us"),
    (rb"CAPABILITY [^\]]*", lambda m: LATER.sub(b"", m[0]), "grows"),
    (rb'("version" )"[^"]*"', rb'\1"<version>"', "grows"),
    (rb"FUTURERELEASE (\d+) \S+", rb"FUTURERELEASE \1 <date>", "the latest time, from now"),
    (rb"\b(sid=)[0-9a-z]+", rb"\1<sid>", "the session's id"),
    (rb"^(\+OK \d+ |\d+ )\d{9,10}(\.\d+)$", rb"\1<uidvalidity>\2", "made from the clock, in UIDL"),
]


def mask(line):
    for pattern, instead, _ in MASKS:
        line = re.sub(pattern, instead, line)
    return line


def escape(data):
    return "".join(chr(b) if 32 <= b < 127 and b != 92 else "\\\\" if b == 92 else f"\\x{b:02x}" for b in data)


def unescape(text):
    return re.sub(rb"\\(?:x([0-9a-f]{2})|(\\))", lambda m: bytes([int(m[1], 16)]) if m[1] else b"\\", text.encode())


def words_of(sb, first=1):
    """What @NAME@ means; @USER1@ is the user number `first`."""
    import base64
    def b64(text):
        return base64.b64encode(text.encode()).decode()
    words = {"PASSWORD": sb.password, "DOMAIN": sb.domain, "PASSWORD64": b64(sb.password)}
    for n in range(1, 10):
        user = sb.user(first + n - 1)
        words.update({f"USER{n}": user, f"USER{n}64": b64(user), f"PLAIN{n}": b64(f"\0{user}\0{sb.password}")})
    return words


def fill(text, words):
    text = re.sub(r"@(.{1,4}?)\*(\d+)@", lambda m: m[1] * int(m[2]), text)
    return re.sub(r"@([A-Z0-9]+)@", lambda m: words.get(m[1], m[0]), text)


def learn(words, lines):
    for line in lines:
        m = re.search(rb"\[UIDVALIDITY (\d+)", line)
        if m:
            words["UIDVALIDITY"] = m[1].decode()


class Step:
    """One group: what is said on a connection, and the lines that come back on every one."""

    def __init__(self, conn):
        self.conn, self.said, self.want, self.doing = conn, [], [], None


def parse(text):
    """The steps of a transcript in order."""
    steps, fresh = [], True
    for n, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            fresh = True
            continue
        if line.startswith("#"):
            continue
        m = re.match(r"(\w)([!><]) ?(.*)$", line, re.S)
        if not m:
            raise ValueError(f"line {n}: {line!r}")
        conn, kind, rest = m.groups()
        if kind == "!":
            steps.append(Step(conn))
            steps[-1].doing = rest.split()
            fresh = True
        elif kind == ">":
            if fresh or steps[-1].conn != conn or steps[-1].want:
                steps.append(Step(conn))
            steps[-1].said.append(rest)
            fresh = False
        else:
            steps[-1].want.append((conn, rest))
    return steps


def bytes_of(said, words):
    out = b""
    for line in said:
        whole = re.search(r"(?<!\\)(?:\\\\)*\\$", line) is None
        out += unescape(fill(line if whole else line[:-1], words)) + (b"\r\n" if whole else b"")
    return out


class Conn:
    def __init__(self, sb, port):
        self.sb, self.buf, self.eof, self.held, self.at_once = sb, b"", False, False, False
        self.sock = socket.create_connection((sb.host, sb.port(port)), timeout=tm.LONG)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def tls(self):
        context = ssl.create_default_context(cafile=self.sb.env["CAFILE"])
        context.check_hostname = False
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def fill(self, seconds):
        """Reads once; False when nothing came."""
        self.sock.settimeout(seconds)
        try:
            more = self.sock.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except OSError:
            more = b""
        self.eof = self.eof or not more
        self.buf += more
        return bool(more)

    def lines(self, n, seconds):
        """At most n lines, waiting for each."""
        out, end = [], time.monotonic() + seconds
        while len(out) < n:
            line, eol, rest = self.buf.partition(b"\r\n")
            if eol:
                out += [line] if line not in LATER_LINES else []
                self.buf = rest
            elif self.eof or not self.fill(max(0.01, end - time.monotonic())):
                break
        return out

    def all_lines(self, quiet, first):
        """What comes until nothing has come for `quiet` seconds, `first` for the first of it."""
        if not self.eof and self.fill(first):
            while not self.eof and self.fill(quiet):
                pass
        out = self.buf.split(b"\r\n")
        self.buf = out.pop()
        return [line for line in out if line not in LATER_LINES]

    def say(self, data, step):
        try:
            self.sock.settimeout(tm.LONG)
            for at in range(0, len(data), step or len(data) or 1):
                self.sock.sendall(data[at:at + (step or len(data))])
        except OSError:
            pass                                # the server has closed; its lines say why


def record(sb, text, quiet=0.15, first=1):
    """The transcript with what the server says now."""
    words, conns, out = words_of(sb, first), {}, []
    secret = [(words[w], f"@{w}@") for w in ("PASSWORD", "USER1", "USER2", "USER3")]

    def heard(who):
        for name, c in conns.items():
            lines = c.all_lines(quiet, 1.0 if name == who else quiet)
            learn(words, lines)
            for line in lines:
                shown = escape(mask(line))
                for value, word in secret:
                    shown = shown.replace(value, word)
                out.append(f"{name}< {shown}")

    pending = None
    def flush():
        nonlocal pending
        if pending:
            conns[pending[0]].say(bytes_of(pending[1], words), 0)
            heard(pending[0])
            pending = None

    for line in text.split("\n"):
        m = re.match(r"(\w)([!><]) ?(.*)$", line, re.S)
        if m and m[2] == "<":
            flush()
            continue
        if not m or m[2] == "!" or (pending and pending[0] != m[1]):
            flush()
        out.append(line)
        if not m:
            continue
        if m[2] == ">":
            pending = pending or (m[1], [])
            pending[1].append(m[3])
            continue
        word = m[3].split()
        if word[0] == "open":
            conns[m[1]] = Conn(sb, word[1])
        elif word[0] == "tls":
            conns[m[1]].tls()
        elif word[0] == "sleep":
            time.sleep(float(word[1]))
        elif word[0] == "closed" and not conns[m[1]].eof:
            out.append(f"# {m[1]} is not closed!")
        heard(m[1] if word[0] == "open" else None)
    flush()
    return "\n".join(out)


def play(sb, steps, step=0, whole=False, first=1):
    """Plays the steps, `step` bytes a write (0: a group in one write; `whole`: all that one
    connection says after `one write`).  Returns None, or what differed."""
    words, conns, patience = words_of(sb, first), {}, tm.LONG
    for at, s in enumerate(steps):
        said = " / ".join(s.said)[:200]
        if s.doing:
            said = " ".join(s.doing)
            if s.doing[0] == "open":
                conns[s.conn] = Conn(sb, s.doing[1])
            elif s.doing[0] == "tls":
                conns[s.conn].tls()
            elif s.doing[0] == "sleep":
                time.sleep(float(s.doing[1]))
            elif s.doing == ["at", "once"]:
                conns[s.conn].at_once = True
            elif s.doing == ["one", "write"] and whole:
                conns[s.conn].say(b"".join(bytes_of(x.said, words) for x in steps[at:] if x.conn == s.conn), 0)
                conns[s.conn].held = True
            elif s.doing[0] == "closed":
                c = conns[s.conn]
                while not c.eof and c.fill(patience):
                    pass
                if c.buf or not c.eof:
                    return f"{s.conn} is not closed: {c.buf[:300]!r}"
        elif not conns[s.conn].held:
            conns[s.conn].say(bytes_of(s.said, words), 0 if conns[s.conn].at_once else step)
        for name in dict.fromkeys(conn for conn, _ in s.want):
            want = [unescape(fill(line, words)) for conn, line in s.want if conn == name]
            lines = conns[name].lines(len(want), patience)
            learn(words, lines)
            got = [mask(line) for line in lines]
            if got != want:
                n = next((i for i, (g, w) in enumerate(zip(got, want)) if g != w), min(len(got), len(want)))
                show = lambda lines: "".join(f"\n    {name}< {escape(x)[:400]}" for x in lines[max(0, n - 1):n + 3])
                return f"after: {said}\n  recorded:{show(want)}\n  now:{show(got)}" + ("" if len(got) == len(want) else f"\n  then nothing more ({escape(conns[name].buf)[:200]})")
    for name, c in conns.items():
        c.sock.setblocking(False)
        if not c.eof and c.fill(0.02) or c.buf:
            return f"{name} says more than was recorded: {c.buf[:300]!r}"
        c.sock.close()
    return None


def intended():
    """{transcript: [(old lines, new lines, reason)]} of the table of intended differences."""
    table, name, entry = {}, None, None
    with open(os.path.join(FIXTURES, "intended")) as f:
        for line in f.read().split("\n"):
            if line.startswith("== "):
                name, entry = line[3:].strip(), None
            elif line.startswith("reason: "):
                entry = ([], [], line[8:])
                table.setdefault(name, []).append(entry)
            elif line[:2] in ("- ", "+ "):
                entry[line[0] == "+"].append(line[2:])
    return table


def load(name, differences):
    """The text of a transcript with the intended differences put in; and those that fit nowhere."""
    with open(os.path.join(FIXTURES, name)) as f:
        text = f.read()
    stale = []
    for old, new, reason in differences.get(name, []):
        before, after = "\n" + "\n".join(old) + "\n", "\n" + "".join(x + "\n" for x in new)
        if before not in text:
            stale.append(reason)
        while before in text:
            text = text.replace(before, after, 1)
            if before in after:
                break
    return text, stale
