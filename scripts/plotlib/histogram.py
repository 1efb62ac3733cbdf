"""Decodes the histograms of the JSON: HdrHistogram's V2 form, compressed, in base64 (HISTFA...)."""

import base64
import binascii
import struct
import zlib
from typing import NamedTuple

import numpy as np

COMPRESSED, PLAIN, COOKIE_BASE = 0x1C849304, 0x1C849303, 0xFFFFFF0F
HEADER = struct.Struct(">IIIIqqd")  # cookie, length, offset, digits, lowest, highest, ratio
MOST_BYTES = 64 << 20  # unpacked: a file that claims more is not ours


class BadHistogram(ValueError):
    """What is wrong with it, in one line."""


class Distribution(NamedTuple):
    """Values in ascending order, and how many were recorded of each."""
    values: np.ndarray
    counts: np.ndarray

    def at(self, quantile: float) -> float:
        """The value that a share of `quantile` does not exceed."""
        place = np.searchsorted(np.cumsum(self.counts), np.ceil(quantile * self.counts.sum()))
        return float(self.values[min(place, len(self.values) - 1)])

    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """For an axis of percentiles: where each value begins, as the number of nines (-log10 of the share above),
        and the values; the last one ends where one packet is left."""
        total = float(self.counts.sum())
        above = total - np.concatenate(([0.0], np.cumsum(self.counts)[:-1]))
        nines = np.append(np.log10(total) - np.log10(above), np.log10(total))
        return nines, np.append(self.values, self.values[-1])


def counts_of(payload: bytes) -> list[tuple[int, int]]:
    """The counts that are not 0, by index: ZigZag LEB128 numbers, where -n stands for n times 0."""
    found, index, at = [], 0, 0
    while at < len(payload):
        number = shift = 0
        while True:
            if at == len(payload):
                raise BadHistogram("it ends within a number")
            byte = payload[at]
            at += 1
            if shift == 56:  # the ninth byte has eight bits
                number |= byte << shift
                break
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        signed = (number >> 1) ^ -(number & 1)
        if signed > 0:
            found.append((index, signed))
        index += -signed if signed < 0 else 1
    return found


def decode(text: str) -> Distribution:
    try:
        packed = base64.b64decode(text, validate=True)
        cookie, length = struct.unpack_from(">II", packed)
        if cookie & COOKIE_BASE != COMPRESSED & COOKIE_BASE:
            raise BadHistogram("it is not of the compressed V2 form")
        plain = zlib.decompressobj().decompress(packed[8:8 + length], MOST_BYTES)
        cookie, length, _, digits, lowest, _, _ = HEADER.unpack_from(plain)
    except (binascii.Error, struct.error, zlib.error, TypeError) as error:
        raise BadHistogram(str(error)) from None
    if cookie & COOKIE_BASE != PLAIN & COOKIE_BASE or not 0 < digits <= 5 or lowest < 1:
        raise BadHistogram("its head is not that of the V2 form")
    unit = lowest.bit_length() - 1
    half = (2 * 10**digits - 1).bit_length() - 1  # of the number of sub-buckets, as a power of two
    found = counts_of(plain[HEADER.size:HEADER.size + length])
    if not found:
        raise BadHistogram("it is empty")
    values = []
    for index, _ in found:
        bucket = max(0, (index >> half) - 1)
        sub = (index & ((1 << half) - 1)) + (1 << half if index >> half else 0)
        values.append(((sub + 1) << (bucket + unit)) - 1)  # the highest that counts as the same
    return Distribution(np.array(values, dtype=float), np.array([count for _, count in found], dtype=float))
