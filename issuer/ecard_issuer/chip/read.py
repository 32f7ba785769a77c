"""Reading a chip: find its applications, read the issuer's and (where open) the holder's records, and a certificate.

Needs no key and proves nothing: a copy of the files would read alike.
"""

from __future__ import annotations

from ecard_card.errors import ChipFault
from ecard_issuer.chip import apdu, tlv
from ecard_issuer.chip.apdu import Response
from ecard_issuer.chip.profiles import Environment, FileSpec, RecordSpec, environment
from ecard_issuer.chip.reader import ChipReader
from ecard_issuer.chip.reading import Reading

_READ_ALL = 256
_SELECT_EF = 0x02  # P1: an EF under the current DF
_SELECT_ANY = 0x00  # P1: the other form that is in the field


def read_chip(reader: ChipReader) -> Reading:
    """Read what a chip gives away freely.

    Looks for the social security environment and for a key that can sign (PIV card authentication). A closed EF06
    gives a partial reading. Raises `ChipFault`: `chip_unknown` where the chip has neither, `chip_refused` with the
    status word, `chip_answer_truncated`, `chip_answer_malformed`, `chip_identity_mismatch`,
    `chip_certificate_malformed`, `chip_atr_malformed`, or whatever the reader raises. Sends at most some 60 commands.
    """
    issuer_records: dict[int, bytes] = {}
    holder_records: dict[int, bytes] | None = None
    fci = select_environment(reader, environment("ssse"), read_all=False)
    if fci is not None:
        issuer_file, holder_file = environment("ssse").files
        issuer_records = _read_file(reader, issuer_file) or {}
        holder_records = _read_file(reader, holder_file)
    certificate = _read_certificate(reader)
    if fci is None and certificate is None:
        raise ChipFault("chip_unknown", "neither the social security environment nor a chip certificate was found")
    reading = Reading(reader.atr, fci or b"", issuer_records, holder_records, certificate)
    # Nothing half-understood leaves: identity, profile and historical bytes must be readable here already.
    _ = reading.profile, reading.atr_historical, reading.algorithm
    return reading


def select_environment(reader: ChipReader, wanted: Environment, *, read_all: bool) -> bytes | None:
    """SELECT by name; the FCI, or None where the chip does not know the name. `read_all` adds Le = 00."""
    for name in wanted.names:
        response = apdu.exchange(reader, apdu.select_name(name, le=_READ_ALL if read_all else None))
        if response.ok:
            return response.data
    return None


def _read_file(reader: ChipReader, file: FileSpec) -> dict[int, bytes] | None:
    """Tag to value of the file's records; None where the chip keeps the file closed (6982)."""
    selected = _select_file(reader, file.file_id)
    if file.may_be_closed and selected.status == apdu.SECURITY_NOT_SATISFIED:
        return None
    apdu.expect_ok(selected, f"SELECT {file.file_id:04X}")
    values: dict[int, bytes] = {}
    reselected = False
    for record in file.records:
        response = _read_record(reader, record)
        if response.status == apdu.NOT_ALLOWED_NO_FILE and not reselected:
            reselected = True
            apdu.expect_ok(_select_file(reader, file.file_id), f"SELECT {file.file_id:04X}")
            response = _read_record(reader, record)
        if response.ok:
            values[record.tag] = tlv.parse_record(response.data, record.tag)
        elif file.may_be_closed and response.status == apdu.SECURITY_NOT_SATISFIED:
            return None
        elif record.required or not (record.ignore_refusal or response.status == apdu.RECORD_NOT_FOUND):
            apdu.expect_ok(response, f"READ RECORD {record.tag:02X} of {file.file_id:04X}")
    return values


def _select_file(reader: ChipReader, file_id: int) -> Response:
    response = apdu.exchange(reader, apdu.select_file(file_id, p1=_SELECT_EF))
    if response.status in (apdu.FILE_NOT_FOUND, apdu.WRONG_P1_P2):
        response = apdu.exchange(reader, apdu.select_file(file_id, p1=_SELECT_ANY))
    return response


def _read_record(reader: ChipReader, record: RecordSpec) -> Response:
    exact = record.length + 2  # tag and length byte come with the value
    first, other = (_READ_ALL, exact) if record.may_be_longer else (exact, _READ_ALL)
    return apdu.exchange(reader, apdu.read_record(record.tag, le=first), other_le=other)


def _read_certificate(reader: ChipReader) -> bytes | None:
    """The card authentication certificate (SP 800-73-4, part 1, tag 5FC101), or None where there is none."""
    piv = environment("piv")
    if select_environment(reader, piv, read_all=True) is None:
        return None
    tag_list = tlv.encode(0x5C, piv.certificate_object)
    response = apdu.exchange(reader, apdu.Command(0x00, apdu.INS_GET_DATA, 0x3F, 0xFF, tag_list, _READ_ALL))
    if response.status in (apdu.FILE_NOT_FOUND, apdu.SECURITY_NOT_SATISFIED):
        return None
    content = tlv.require(apdu.expect_ok(response, "GET DATA of the certificate"), 0x53)
    if tlv.find(content, 0x71) not in (None, b"\x00"):
        raise ChipFault("chip_certificate_malformed", "a compressed certificate is not read")
    return tlv.require(content, 0x70)
