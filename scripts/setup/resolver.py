"""Asks name servers, for `tiermail-setup check`: which records of the own domains are published.  As much of RFC
1035 as that needs, since a Debian without further packages has no program that asks for an MX record."""
import ipaddress
import os
import socket
import struct

TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
SECONDS = 3


class Away(Exception):
    """No name server has answered."""


def servers(configured=""):
    """[(address, port)] of dns.resolvers, or of resolv.conf(5)."""
    if configured:
        return [(w.partition("@")[0], int(w.partition("@")[2] or 53)) for w in configured.replace(",", " ").split()]
    try:
        with open("/etc/resolv.conf") as f:
            return [(line.split()[1], 53) for line in f if line.startswith("nameserver ")][:3]
    except OSError:
        return []


def packed(name):
    labels = [label.encode("idna") if label else b"" for label in name.rstrip(".").split(".")]
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError("not a name: %s" % name)
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def name_at(packet, at):
    """(a name, where it ends)"""
    labels, end, jumps = [], None, 0
    while packet[at]:
        if packet[at] >= 0xc0:
            end = end if end is not None else at + 2
            at = (packet[at] & 0x3f) << 8 | packet[at + 1]
            jumps += 1
            if jumps > 64:
                raise ValueError("a name without end")
            continue
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("ascii", "replace"))
        at += 1 + packet[at]
    return ".".join(labels).lower(), end if end is not None else at + 1


def value_at(packet, kind, at, n):
    if kind in (TYPES["A"], TYPES["AAAA"]):
        return str(ipaddress.ip_address(packet[at:at + n]))
    if kind == TYPES["MX"]:
        return struct.unpack_from("!H", packet, at)[0], name_at(packet, at + 2)[0]
    if kind == TYPES["SRV"]:
        return (*struct.unpack_from("!HHH", packet, at), name_at(packet, at + 6)[0])
    if kind == TYPES["TXT"]:
        text, i = "", at
        while i < at + n:
            text += packet[i + 1:i + 1 + packet[i]].decode("utf-8", "replace")
            i += 1 + packet[i]
        return text
    return name_at(packet, at)[0]


def answers(packet, ident, kind):
    """The records of this type of a reply; KeyError when it is none of ours, Away when the server cannot."""
    got, flags, questions, count = struct.unpack_from("!HHHH", packet)
    if got != ident or not flags & 0x8000:
        raise KeyError
    if flags & 15 not in (0, 3):
        raise Away("a name server says code %d" % (flags & 15))
    at, found = 12, []
    for _ in range(questions):
        at = name_at(packet, at)[1] + 4
    for _ in range(count):
        at = name_at(packet, at)[1]
        has, _, _, n = struct.unpack_from("!HHIH", packet, at)
        at += 10
        if has == kind:
            found.append(value_at(packet, kind, at, n))
        at += n
    return found


def by_tcp(server, question):
    with socket.create_connection(server, SECONDS) as s:
        s.sendall(struct.pack("!H", len(question)) + question)
        with s.makefile("rb") as f:
            n = struct.unpack("!H", f.read(2))[0]
            return f.read(n)


def by_udp(server, question):
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(SECONDS)
        s.connect(server)
        s.send(question)
        return s.recv(4096)


def ask(name, kind, where):
    """The values of a name's records of a type; [] when there are none."""
    ident = int.from_bytes(os.urandom(2), "big")
    question = struct.pack("!HHHHHH", ident, 0x0100, 1, 0, 0, 0) + packed(name) + struct.pack("!HH", TYPES[kind], 1)
    why = "no name server is known"
    for server in where:
        try:
            reply = by_udp(server, question)
            if reply[2] & 2:
                reply = by_tcp(server, question)
            return answers(reply, ident, TYPES[kind])
        except Away as e:
            why = str(e)
        except OSError as e:
            why = "%s: %s" % (server[0], e.strerror or e)
        except (KeyError, ValueError, IndexError, struct.error, UnicodeError):
            why = "%s: an answer that makes no sense" % server[0]
    raise Away(why)


def reverse(address):
    return ipaddress.ip_address(address).reverse_pointer
