"""Just enough LDAP (RFC 4511) to bind by password: is the directory there, are we let in?"""


def tlv(tag, body):
    n = len(body)
    if n < 128:
        return bytes([tag, n]) + body
    size = (n.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + n.to_bytes(size, "big") + body


def bind(sock, dn, password):
    """None when the bind succeeds, else why not."""
    request = tlv(0x60, tlv(2, b"\x03") + tlv(4, dn.encode()) + tlv(0x80, password.encode()))
    with sock:
        sock.sendall(tlv(0x30, tlv(2, b"\x01") + request))
        answer = sock.recv(4096)
    at = answer.find(b"\x0a\x01")  # the result code, ENUMERATED
    if answer[:1] != b"\x30" or at < 0:
        return "no answer to a bind"
    code = answer[at + 2]
    return None if code == 0 else "bind: LDAP result %d" % code
