"""Documents against pycose, cbor2 and cryptography: each side reads the other's."""

import hashlib
import random
from datetime import datetime, timedelta, timezone

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from pycose.algorithms import Es256
from pycose.headers import Algorithm, KID
from pycose.keys import EC2Key
from pycose.keys.curves import P256
from pycose.messages import Sign1Message

NOW = datetime(2027, 1, 1, tzinfo=timezone.utc)
ACCESS = "aliro-a"
X5CHAIN = 33
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Key:
    """A P-256 key pair, in everybody's form."""

    def __init__(self, dice):
        self.scalar = dice.randrange(1, ORDER)
        self.private = ec.derive_private_key(self.scalar, ec.SECP256R1())
        point = self.private.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        self.point, self.x, self.y = point, point[1:33], point[33:]
        self.kid = hashlib.sha256(b"key-identifier" + point).digest()[:8]

    def cose(self):
        return EC2Key(crv=P256, x=self.x, y=self.y, d=self.scalar.to_bytes(32, "big"))


def stamp(time):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def random_element(dice):
    data = {0: 1}
    if dice.random() < 0.7:
        data[1] = dice.randbytes(dice.randint(1, 16))
    if dice.random() < 0.7:
        schedules = dice.randint(1, 3)
        data[2] = [{0: dice.randint(1, 0x3F), 1: 1 << dice.randrange(schedules)}]
        data[3] = [
            {0: dice.getrandbits(32), 2: [3600, dice.randint(1, 127), 2, 1, 0], 3: 0}
            for _ in range(schedules)
        ]
    if dice.random() < 0.3:
        data[4] = [dice.getrandbits(16)]
    if dice.random() < 0.3:
        data[6] = {0xFA1466: [[1, 1, 1, cbor2.dumps({0: "x"})]]}
    return data


def random_elements(dice):
    return {name: random_element(dice) for name in dice.sample(["floor1", "floor2", "x.3"], 2)}


def certificate(authority, key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "documents")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=90))
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, False, False, False, False),
            critical=True,
        )
        .sign(authority.private, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def issue(issuer, credential, elements, der=None):
    """An Access Document, by pycose and cbor2 alone."""
    items, digests = [], {}
    for number, (name, data) in enumerate(elements.items(), 1):
        item = cbor2.CBORTag(
            24, cbor2.dumps({"1": number, "2": b"s" * 16, "3": name, "4": data})
        )
        items.append(item)
        digests[number] = hashlib.sha256(cbor2.dumps(item)).digest()

    def date(time):
        return cbor2.CBORTag(0, stamp(time))

    mso = {
        "1": "1.0",
        "2": "SHA-256",
        "3": {ACCESS: digests},
        "4": {"1": {1: 2, -1: 1, -2: credential.x, -3: credential.y}},
        "5": ACCESS,
        "6": {
            "1": date(NOW - timedelta(hours=1)),
            "2": date(NOW - timedelta(hours=1)),
            "3": date(NOW + timedelta(days=1)),
            "5": 4,
        },
        "7": True,
    }
    message = Sign1Message(
        phdr={Algorithm: Es256},
        uhdr={X5CHAIN: der} if der else {KID: issuer.kid},
        payload=cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(mso))),
        key=issuer.cose(),
    )
    sign1 = cbor2.loads(message.encode(tag=False))
    return cbor2.dumps({"1": {"1": {ACCESS: items}, "2": sign1}, "5": ACCESS})


def ours_at_pycose(dice, peer):
    """Rust issues; pycose checks the signature, hashlib the digests."""
    issuer, credential = Key(dice), Key(dice)
    elements = random_elements(dice)
    answer = peer.ask(
        "issue",
        issuer_priv=f"{issuer.scalar:064x}",
        credential_pub=credential.point.hex(),
        elements={name: cbor2.dumps(data).hex() for name, data in elements.items()},
        signed=stamp(NOW),
        valid_from=stamp(NOW),
        valid_until=stamp(NOW + timedelta(days=7)),
        iteration=9,
        time_required=False,
    )
    document = cbor2.loads(bytes.fromhex(answer["document"]))
    sign1 = document["1"]["2"]
    # pycose reads tagged messages only; the document has none.
    message = Sign1Message.decode(cbor2.dumps(cbor2.CBORTag(18, sign1)))
    message.key = issuer.cose()
    assert message.verify_signature(), "pycose refuses the signature"
    assert message.uhdr[KID] == issuer.kid
    mso = cbor2.loads(cbor2.loads(message.payload).value)
    key = mso["4"]["1"]
    assert (key[-2], key[-3]) == (credential.x, credential.y)
    assert mso["5"] == document["5"] == ACCESS
    items = document["1"]["1"][ACCESS]
    for item in items:
        content = cbor2.loads(item.value)
        digest = hashlib.sha256(cbor2.dumps(item)).digest()
        assert mso["3"][ACCESS][content["1"]] == digest, "another digest"
        assert content["4"] == elements[content["3"]], "another element"
    assert len(items) == len(elements)


def pycoses_at_ours(dice, peer):
    """pycose issues; Rust verifies, and refuses one changed byte."""
    issuer, credential, authority = Key(dice), Key(dice), Key(dice)
    elements = random_elements(dice)
    der = certificate(authority, issuer) if dice.random() < 0.5 else None
    document = issue(issuer, credential, elements, der)
    trust = {"authority_pub": authority.point.hex()} if der else {"issuer_pub": issuer.point.hex()}

    def verified(document, credential=credential, now=NOW):
        return peer.ask(
            "verify",
            document=document.hex(),
            credential_pub=credential.point.hex(),
            asked=list(elements),
            now=stamp(now),
            **trust,
        )

    answer = verified(document)
    found = {
        name: cbor2.loads(bytes.fromhex(data)) for name, data in answer.get("elements", {}).items()
    }
    assert found == elements, f"another content: {answer}"
    assert answer["iteration"] == 4
    assert "refused" in verified(document, credential=authority), "another device's"
    assert "refused" in verified(document, now=NOW + timedelta(days=2)), "expired"
    at = dice.randrange(len(document))
    spoilt = document[:at] + bytes([document[at] ^ 1 << dice.randrange(8)]) + document[at + 1 :]
    assert "refused" in verified(spoilt), f"byte {at} may change"


def run(peer, case):
    """How many agree in this case, and what to say about those that do not."""
    passed, failures = 0, []
    for check in (ours_at_pycose, pycoses_at_ours):
        try:
            check(random.Random(case), peer)
            passed += 1
        except AssertionError as failure:
            failures.append(f"{check.__name__} {case}: {failure}")
    return passed, failures
