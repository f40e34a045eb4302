"""One of every kind of secret and personal data, as people write them, and a search for what is left of them bare."""

from __future__ import annotations

import re

BODY = "MIIEpAIBAAKCAQEAx7" + "Kq3vT9ZsLmBf0dWn" * 2 + "Rr5uYcEo8hJ1"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
AWS = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def block(kind: str, line: str = "\n", *, footer: bool = True) -> str:
    """A private key: header, two lines of body and a short one, footer."""
    end = [f"-----END {kind}-----"] if footer else []
    return line.join([f"-----BEGIN {kind}-----", BODY, f"b2{BODY}", "q7Zz==", *end])


BARE = {
    "private key": (block("RSA PRIVATE KEY"), ["q7Zz==", BODY]),
    "private key without footer": (block("PRIVATE KEY", footer=False), ["q7Zz==", BODY]),
    "private key without header": (block("PRIVATE KEY").split("\n", 1)[1], ["q7Zz==", BODY]),
    "private key escaped": (block("EC PRIVATE KEY", "\\n"), ["q7Zz==", BODY]),
    "private key in one line": (block("PRIVATE KEY", " "), ["q7Zz==", BODY]),
    "private key of Windows": (block("ENCRYPTED PRIVATE KEY", "\r\n"), ["q7Zz==", BODY]),
    "PGP": (block("PGP PRIVATE KEY BLOCK").replace("BLOCK-----\n", "BLOCK-----\nVersion: X 1\n\n", 1), [BODY]),
    "OpenSSH": (block("OPENSSH PRIVATE KEY"), ["q7Zz==", BODY]),
    "address": ("anna.lee@example.org", ["anna", "example.org"]),
    "international address": ("anna@bücher.de", ["anna", "bücher"]),
    "address of other letters": ("жанна@пример.рф", ["жанна", "пример"]),
    "address among Chinese": ("联系zhang@example.com谢谢", ["zhang", "example.com"]),
    "phone": ("+49 170 1234567", ["1234567"]),
    "local mobile": ("Mobil 01761234567", ["01761234567"]),
    "local number in threes": ("081-234-5678", ["234-5678"]),
    "number after a number": ("room 12 (415) 555-0177", ["555-0177"]),
    "number before a number": ("030/7654321 22", ["7654321"]),
    "local mobile without a word": ("01761234568", ["01761234568"]),
    "card": ("4111 1111 1111 1111", ["1111"]),
    "card with dots": ("4111.1111.1111.1111", ["1111"]),
    "card with several signs": ("4111-1111 1111.1111", ["1111"]),
    "card in full width": ("４１１１１１１１１１１１１１１１", ["１１１１"]),
    "card of the 2 series": ("2223003122003222", ["2223003122003222"]),
    "IBAN": ("DE89 3704 0044 0532 0130 00", ["0532"]),
    "IBAN in lower case": ("de89370400440532013000", ["0532"]),
    "IBAN with hyphens": ("DE89-3704-0044-0532-0130-00", ["0532"]),
    "AWS secret": (f"aws_secret_access_key = {AWS}", [AWS]),
    "AWS pair": (f"AKIAABCDEFGHIJKLMNOP {AWS}", ["AKIAABCD", AWS]),
    "bearer": ("Authorization: Bearer Zx81abcd0123efgh4567", ["Zx81abcd"]),
    "basic": ("Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==", ["dXNlcjpw"]),
    "JWT": (JWT, ["eyJhbGci", "dozjgNry"]),
    "JWT cut off": (JWT.rsplit(".", 1)[0], ["eyJhbGci", "eyJzdWIi"]),
    "key by its name": ('api_key: "abcd1234efgh5678ijkl"', ["abcd1234"]),
    "PuTTY": (
        f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: x\nPublic-Lines: 2\n{BODY}\nPrivate-Lines: 1\n"
        f"b2{BODY}\nPrivate-MAC: 00ffab12",
        [BODY, "00ffab12"],
    ),
    "PuTTY cut off": (f"PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nPrivate-Lines: 2\n{BODY}\nq7Zz==", [BODY]),
    "password": ("password: hunter22", ["hunter22"]),
    "password in quotes": ("\"passwd\": 'S3cr3t!x'", ["S3cr3t!x"]),
    "password of letters": ("db_password=correcthorse", ["correcthorse"]),
    "password in a sentence": ("the password is Sommer2024!", ["Sommer2024!"]),
    "secret": ("secret: q1w2e3r4", ["q1w2e3r4"]),
    "address with zero width": ("an\u200bna.lee@exam\u2060ple.org", ["lee@"]),
    "key with zero width": ("sk-ant-api03-" + "A1b2\u200bC3d4" * 6, ["C3d4A1b2"]),
    "router's key": ("sk-or-v1-" + "0a1b2c3d" * 8, ["0a1b2c3d"]),
    "service's token": ("gsk_" + "A1b2C3d4" * 7, ["gsk_A1b2"]),
    "bot's token": ("1234567890:AA" + "b7Cd_e8F" * 4 + "x", ["b7Cd_e8F"]),
    "storage key": ("AccountName=x;AccountKey=" + "Eby8vdM0" * 10 + "==;", ["Eby8vdM0"]),
    "vendor's key": ("sk-ant-api03-" + "A1b2C3d4" * 6, ["A1b2C3d4"]),
}
"""Name -> the text, and the parts of it that nobody may see."""


def found_bare(shown: str) -> list[str]:
    """Names of those of which a part is in a text, a screen or a file, however it is folded into lines."""
    whole = "".join(re.sub(r'"token": "[^"]*"', "", shown).split()).replace(
        "\\n", ""
    )  # a token may hold any four digits
    return [name for name, (_, parts) in BARE.items() if any("".join(part.split()) in whole for part in parts)]
