"""Reads a TensorBoard event file by the public description of its format, and holds it against the run file.

Usage: check_tfevents.py FILE RUN.db
"""

import datetime
import math
import sqlite3
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        assert struct.unpack_from("<I", data, at + 8)[0] == masked(data[at : at + 8])
        body = data[at + 12 : at + 12 + length]
        assert len(body) == length
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked(body)
        yield body
        at += 16 + length


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def message(data):
    """{field: value}; each field comes once in what is written."""
    fields, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        field, wire = key >> 3, key & 7
        assert field not in fields
        if wire == 0:
            fields[field], at = varint(data, at)
        elif wire == 1:
            fields[field], at = struct.unpack_from("<d", data, at)[0], at + 8
        elif wire == 5:
            fields[field], at = struct.unpack_from("<f", data, at)[0], at + 4
        else:
            assert wire == 2
            length, at = varint(data, at)
            fields[field], at = data[at : at + length], at + length
    return fields


def doubles(data):
    return struct.unpack(f"<{len(data) // 8}d", data)


def check_histogram(histogram, site, step, db):
    low, high, count, total, squares = (histogram[field] for field in (1, 2, 3, 4, 5))
    limits, counts = doubles(histogram[6]), doubles(histogram[7])
    assert len(limits) == len(counts) and sum(counts) == count
    assert list(limits) == sorted(set(limits)), "limits ascend"
    values = sorted(
        row[0]
        for row in db.execute(
            "SELECT d.scale FROM divergence_by_name d JOIN sample_steps t ON t.step = d.step AND t.sample = d.sample"
            " WHERE d.site = ? AND d.step = ? AND t.in_batch AND d.scale IS NOT NULL",
            (site, step),
        )
    )
    assert len(values) == count
    if not values:
        return
    assert (values[0], values[-1]) == (low, high)
    assert math.isclose(sum(values), total, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(sum(v * v for v in values), squares, rel_tol=1e-9)
    below = -math.inf
    for limit, bucket in zip(limits, counts):
        assert sum(below <= v < limit for v in values) == bucket, (site, step, limit)
        below = limit


def main():
    data = open(sys.argv[1], "rb").read()
    db = sqlite3.connect(sys.argv[2])
    events = [message(body) for body in records(data)]
    assert events[0][3] == b"brain.Event:2"
    started = datetime.datetime.fromisoformat(db.execute("SELECT started_at FROM run").fetchone()[0].rstrip("Z") + "+00:00")
    scalars, histograms = {}, 0
    for event in events[1:]:
        assert math.isclose(event[1], started.timestamp(), abs_tol=1e-3)
        value = message(message(event[5])[1])
        tag, step = value[1].decode(), event[2]
        if 2 in value:
            scalars[tag, step] = value[2]
        else:
            assert tag.startswith("scale/")
            check_histogram(message(value[5]), tag[6:], step, db)
            histograms += 1
    words = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    rows = db.execute("SELECT key, step, value, nonfinite FROM scalars").fetchall()
    assert len(rows) == len(scalars)
    for key, step, number, word in rows:
        expected = words[word] if word else struct.unpack("<f", struct.pack("<f", number))[0]
        found = scalars[key, step]
        assert found == expected or (found != found and expected != expected), (key, step, found, expected)
    assert histograms == db.execute("SELECT count(*) FROM divergence_summary WHERE \"column\" = 'scale'").fetchone()[0]
    print(f"{len(scalars)} scalars, {histograms} histograms")


main()
