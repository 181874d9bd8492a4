"""Does a daemon answer?  A `ping` on its control socket and a real question on its ports."""
import os
import socket
import ssl

import ldap_ber


def tcp(s, port):
    return socket.create_connection((s.get("host", "127.0.0.1"), s["ports"][port]), timeout=5)


def unix(path, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.settimeout(5)
    s.connect(path)
    return s


def talk(sock, script):
    """[(what we say or None, what the reply's last line must begin with)]"""
    with sock, sock.makefile("rb") as f:
        for say, want in script:
            if say is not None:
                sock.sendall(say + b"\r\n")
            while True:
                line = f.readline()
                if not line:
                    return "closed the connection"
                if line[3:4] != b"-" and not line.startswith((b"* CAP", b'"')):
                    break
            if not line.startswith(want):
                return "said " + line.decode(errors="replace").strip()
    return None


def ctl(s, name, line=b"ping"):
    with unix("%s/%s.ctl" % (s["rundir"], name)) as sock:
        sock.sendall(line + b"\n")
        answer = b""
        while True:
            got = sock.recv(65536)
            if not got:
                return answer
            answer += got


def smtp(s, port, hello=b"EHLO probe.test"):
    return talk(tcp(s, port), [(None, b"220 "), (hello, b"250 "), (b"QUIT", b"221 ")])


def slapd(s):
    return ldap_ber.bind(unix(s["rundir"] + "/ldapi"),
                         "uid=tiermail,ou=services," + s["base"], s["service_password"])


def smtp_relay(s):
    return smtp(s, "SMTP_PORT") or smtp(s, "SUBMISSION_PORT")


def lmtpd(s):
    return smtp(s, "LMTP_PORT", b"LHLO probe.test")


def imapd(s):
    return talk(tcp(s, "IMAP_PORT"),
                [(None, b"* OK"), (b"a NOOP", b"a OK"), (b"b LOGOUT", b"* BYE")])


def pop3d(s):
    return talk(tcp(s, "POP3_PORT"), [(None, b"+OK"), (b"QUIT", b"+OK")])


def jmapd(s):
    context = ssl.create_default_context(cafile=s["dir"] + "/tls/ca.pem")
    context.check_hostname = False
    return talk(context.wrap_socket(tcp(s, "JMAP_PORT")), [(b"GET /.well-known/jmap HTTP/1.0\r\n", b"HTTP/1.1 401")])


def sieved(s):
    return talk(tcp(s, "SIEVE_PORT"), [(None, b"OK"), (b"LOGOUT", b"OK")])


def mmpd(s):
    return talk(tcp(s, "MMP_IMAP_PORT"),
                [(None, b"* OK"), (b"a NOOP", b"a OK"), (b"b LOGOUT", b"* BYE")]) or \
        talk(tcp(s, "MMP_POP3_PORT"), [(None, b"+OK"), (b"QUIT", b"+OK")])


def admind(s):
    tls = ssl.create_default_context(cafile=s["dir"] + "/tls/ca.pem")
    tls.check_hostname = False
    with tls.wrap_socket(tcp(s, "ADMIN_PORT")) as sock, sock.makefile("rb") as f:
        sock.sendall(b"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        line = f.readline()
    return None if line.startswith(b"HTTP/1.1 401") else "said " + line.decode(errors="replace").strip()


def memd(s):
    tls = ssl.create_default_context(cafile=s["dir"] + "/tls/ca.pem")
    tls.check_hostname = False
    with tls.wrap_socket(tcp(s, "HTTPS_PORT")) as sock, sock.makefile("rb") as f:
        sock.sendall(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        line = f.readline()
    return None if line.startswith(b"HTTP/1.1 200") else "said " + line.decode(errors="replace").strip()


def tmctl_serve(s):
    return talk(tcp(s, "METRICS_PORT"), [(b"HEAD / HTTP/1.0\r\n", b"HTTP/1.1 200")])


def storectl_serve(s):
    tcp(s, "MOVE_PORT").close()


def stored(s):
    unix(s["rundir"] + "/stored.sock", socket.SOCK_SEQPACKET).close()


def jobctl(s):
    unix(s["rundir"] + "/jobctl.sock").close()


def piped(s):
    return talk(unix(s["rundir"] + "/piped.sock"), [(None, b"220"), (b"LHLO probe.test", b"250"), (b"QUIT", b"221")])


QUESTIONS = {"piped": piped, "slapd": slapd, "smtp-relay": smtp_relay, "lmtpd": lmtpd, "imapd": imapd, "pop3d": pop3d, "jmapd": jmapd, "sieved": sieved, "mmpd": mmpd, "memd": memd, "admind": admind,
             "stored": stored, "jobctl": jobctl, "tmctl-serve": tmctl_serve, "storectl-serve": storectl_serve}


def ask(s, name):
    """None when it answers, else why not.  The listeners come last when a daemon starts, so
    the protocol is asked only after the control socket has answered."""
    try:
        if name != "slapd":
            answer = ctl(s, name)
            if not answer:
                return "control socket: no answer"
        return QUESTIONS[name](s)
    except FileNotFoundError as e:
        return "no socket yet (%s)" % os.path.basename(e.filename or name)
    except OSError as e:
        return str(e)
