"""A checkpassword(8) for passwords that are known in the clear, and for tokens: plain-checkpassword.py FILE PROG [ARG ...]

Lines of FILE: user TAB password TAB token TAB uid TAB gid TAB home. Descriptor 3 brings user, response and challenge; ACCEPTD_AUTH says what
the response is.
"""
import hashlib
import hmac
import os
import sys

REFUSED, MISUSED, TEMPORARY = 1, 2, 111


def is_right(how, response, challenge, password, token):
    if how in ("XOAUTH2", "OAUTHBEARER"):
        return hmac.compare_digest(response, token)
    if how == "CRAM-MD5":
        wanted = hmac.new(password, challenge, hashlib.md5).hexdigest().encode()
    elif how == "APOP":
        wanted = hashlib.md5(challenge + password).hexdigest().encode()
    else:
        wanted = password
    return hmac.compare_digest(response, wanted)


def main():
    with os.fdopen(3, "rb") as credentials:
        fields = credentials.read().split(b"\0")
    if len(fields) != 4 or fields[3] or len(sys.argv) < 3:
        return MISUSED
    user, response, challenge, _ = fields
    with open(sys.argv[1], "rb") as lines:
        known = {line.split(b"\t")[0]: line.rstrip(b"\n").split(b"\t")[1:] for line in lines}
    if user not in known:
        return REFUSED
    password, token, uid, gid, home = known[user]
    if not is_right(os.environ.get("ACCEPTD_AUTH", ""), response, challenge, password, token):
        return REFUSED
    os.setgroups([int(gid)])
    os.setgid(int(gid))
    os.setuid(int(uid))
    os.chdir(home)
    os.environ.update(USER=user.decode(), HOME=home.decode(), SHELL="/bin/sh")
    try:
        os.execv(sys.argv[2], sys.argv[2:])
    except OSError:
        return TEMPORARY


sys.exit(main())
