# SPDX-License-Identifier: Apache-2.0
"""Tables of policy changed behind the agent's back, for tests that want this to be noticed."""
import ctypes
import os
import struct

import rig


def bpf(command, attributes):
    memory = ctypes.create_string_buffer(attributes, 128)
    done = ctypes.CDLL(None, use_errno=True).syscall(321, command, memory, 128)
    if done < 0:
        raise OSError(ctypes.get_errno(), "bpf(%d)" % command)
    return done


def opened(name):
    """A table of the generation in force."""
    path = ctypes.create_string_buffer(("/sys/fs/bpf/postern/%s/%s" % (generation(), name)).encode())
    return bpf(7, struct.pack("QII", ctypes.addressof(path), 0, 0))


def read(table, index, size):
    key, value = ctypes.c_uint32(index), ctypes.create_string_buffer(size)
    bpf(1, struct.pack("I4xQQQ", table, ctypes.addressof(key), ctypes.addressof(value), 0))
    return value.raw


def write(table, index, element):
    key, value = ctypes.c_uint32(index), ctypes.create_string_buffer(element, len(element))
    bpf(2, struct.pack("I4xQQQ", table, ctypes.addressof(key), ctypes.addressof(value), 0))


def poison(name, elements):
    """Whatever the first elements of a table deny for want of a rule, they allow by rule 999."""
    isolated, allowed = 32 << 24, 1 << 30 | 3 << 24 | 999
    table = opened(name)
    for index in range(elements):
        words = struct.unpack("16I", read(table, index, 64))
        write(table, index, struct.pack("16I", *[allowed if word == isolated else word for word in words]))
    os.close(table)


def generation():
    return [path for path in rig.pins() if path.endswith("/pn_rows")][0][len("postern/"):-len("/pn_rows")]
