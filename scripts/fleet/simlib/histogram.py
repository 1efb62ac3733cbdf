"""Histograms of times in the JSON of a run: HdrHistogram's V2 form, compressed, in base64, and our buckets in it.

A histogram is a dictionary: the number of a bucket of rust/core/src/count/log_linear.rs, and how many times are in it.
"""

import base64
import math
import struct
import sys
import zlib

COMPRESSED, PLAIN = 0x1C849314, 0x1C849313
HEADER = struct.Struct(">IIIIqqd")  # cookie, length, offset, digits, lowest, highest, ratio
SUB_BITS, MOST_NS = 6, (1 << 34) - 1
HALF_BITS, DIGITS, HIGHEST = 10, 3, (1 << 62) - 1
ROUNDED_DOWN = 1 - 4 * sys.float_info.epsilon

Buckets = dict[int, int]


def bucket(ns: int) -> int:
    """Our bucket of a time."""
    ns = min(ns, MOST_NS)
    shift = (ns | (2 << SUB_BITS) - 1).bit_length() - 1 - SUB_BITS
    return (shift << SUB_BITS) + (ns >> shift)


def middle_ns(number: int) -> int:
    """The time that represents those of a bucket."""
    shift = max((number >> SUB_BITS) - 1, 0)
    return (number - (shift << SUB_BITS) << shift) + ((1 << shift) - 1) // 2


def quantile_ns(buckets: Buckets, quantile: float) -> int | None:
    """As `Histogram::quantile_ns` of the program, to the last bit."""
    total = sum(buckets.values())
    rank = min(max(math.ceil(quantile * total * ROUNDED_DOWN), 1), total)
    below = 0
    for number, count in sorted(buckets.items()):
        below += count
        if below >= rank:
            return middle_ns(number)
    return None


def decode(text: str) -> Buckets:
    packed = base64.b64decode(text, validate=True)
    cookie, length = struct.unpack_from(">II", packed)
    plain = zlib.decompress(packed[8:8 + length])
    inner, _, _, digits, lowest, _, _ = HEADER.unpack_from(plain)
    if (cookie, inner, digits, lowest) != (COMPRESSED, PLAIN, DIGITS, 1):
        raise ValueError("it is not a histogram of the program")
    found: Buckets = {}
    index = number = shift = 0
    for byte in plain[HEADER.size:]:
        # ZigZag LEB128: -n stands for n empty buckets. The ninth byte has eight bits.
        number |= (byte if shift == 56 else byte & 0x7F) << shift
        shift += 7
        if byte >= 0x80 and shift < 63:
            continue
        signed = number >> 1 ^ -(number & 1)
        if signed > 0:
            half = max((index >> HALF_BITS) - 1, 0)
            lowest_ns = index - (half << HALF_BITS) << half
            found[bucket(lowest_ns)] = found.get(bucket(lowest_ns), 0) + signed
        index += -signed if signed < 0 else 1
        number = shift = 0
    return found


def encode(buckets: Buckets) -> str:
    payload, index = bytearray(), 0
    for number, count in sorted(buckets.items()):
        if count == 0:
            continue
        ns = middle_ns(number)
        shift = max(ns.bit_length() - HALF_BITS - 1, 0)
        at = (shift << HALF_BITS) + (ns >> shift)
        for signed in ([index - at] if at > index else []) + [count]:
            left = signed << 1 if signed >= 0 else (-signed << 1) - 1
            while left >= 0x80:
                payload.append(left & 0x7F | 0x80)
                left >>= 7
            payload.append(left)
        index = at + 1
    plain = zlib.compress(HEADER.pack(PLAIN, len(payload), 0, DIGITS, 1, HIGHEST, 1.0) + payload)
    return base64.b64encode(struct.pack(">II", COMPRESSED, len(plain)) + plain).decode()
