# SPDX-License-Identifier: Apache-2.0
"""What an agent holds: descriptors, threads, memory, programs, maps, links, pins, and what is in its tables. Two
readings are compared by differences(); what the agent may keep by design (bytes of freed table space, which nothing
leads to) is in no reading.
"""
import ctypes
import errno
import mmap
import os
import platform
import re

PIN_PATH = "/sys/fs/bpf/postern"
MAP_CREATE, OBJECT_PIN, OBJECT_GET, INFO_BY_FD, LOOKUP_BATCH = 0, 6, 7, 15, 24
ARRAY = 2  # a type of map
FD_BY_ID = {"prog": 13, "map": 14, "link": 30}
SYSTEM_CALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
WITH_LOCK = 4
libc = ctypes.CDLL(None, use_errno=True)


class PathAttributes(ctypes.Structure):
    _fields_ = [("path", ctypes.c_uint64), ("fd", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


class InfoAttributes(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_uint32), ("length", ctypes.c_uint32), ("info", ctypes.c_uint64)]


class IdAttributes(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32), ("next", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


class BatchAttributes(ctypes.Structure):
    _fields_ = [("from_", ctypes.c_uint64), ("to", ctypes.c_uint64), ("keys", ctypes.c_uint64),
                ("values", ctypes.c_uint64), ("count", ctypes.c_uint32), ("fd", ctypes.c_uint32),
                ("element_flags", ctypes.c_uint64), ("flags", ctypes.c_uint64)]


def bpf(command, attributes, may=()):
    """The bpf system call; -1 for an error number in `may`."""
    result = libc.syscall(SYSTEM_CALL, command, ctypes.byref(attributes), ctypes.sizeof(attributes))
    number = ctypes.get_errno()
    if result < 0 and number not in may:
        raise OSError(number, os.strerror(number), "bpf command %d" % command)
    return result


def open_pin(path):
    text = ctypes.create_string_buffer(path.encode())
    return bpf(OBJECT_GET, PathAttributes(path=ctypes.addressof(text)))


def id_of(fd):
    """Of a program, map or link: the second number of each kind's information."""
    info = (ctypes.c_uint32 * 64)()
    bpf(INFO_BY_FD, InfoAttributes(fd=fd, length=ctypes.sizeof(info), info=ctypes.addressof(info)))
    return info[1]


def exists(kind, number):
    fd = bpf(FD_BY_ID[kind], IdAttributes(id=number), may=(errno.ENOENT,))
    if fd < 0:
        return False
    os.close(fd)
    return True


def pins():
    return sorted(os.path.join(at, name)[len(PIN_PATH) + 1:] for at, folders, files in os.walk(PIN_PATH)
                  for name in files + folders)


class Map:
    """A pinned map for reading."""

    def __init__(self, path):
        self.fd = open_pin(path)
        info = (ctypes.c_uint32 * 64)()
        bpf(INFO_BY_FD, InfoAttributes(fd=self.fd, length=ctypes.sizeof(info), info=ctypes.addressof(info)))
        self.key_size, self.value_size, self.entries = info[2:5]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def mapped(self, unit):
        """The elements of an array as one sequence of numbers of a `unit` of struct."""
        size = self.value_size * self.entries
        whole = (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE * mmap.PAGESIZE
        with mmap.mmap(self.fd, whole, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
            return memoryview(memory[:size]).cast(unit)

    def batches(self, flags=0, size=2048):
        """(keys, values) as bytes until all are read."""
        width = max(self.key_size, 8)
        keys, values = bytearray(size * self.key_size), bytearray(size * self.value_size)
        places = [ctypes.create_string_buffer(width) for _ in range(2)]
        at = [ctypes.addressof((ctypes.c_char * len(each)).from_buffer(each)) for each in (keys, values)]
        first, more = 0, True
        while more:
            attributes = BatchAttributes(first, ctypes.addressof(places[1]), *at, size, self.fd, flags, 0)
            more = bpf(LOOKUP_BATCH, attributes, may=(errno.ENOENT,)) == 0
            yield (bytes(keys[:attributes.count * self.key_size]),
                   bytes(values[:attributes.count * self.value_size]))
            places[0].raw = places[1].raw
            first = ctypes.addressof(places[0])


class MapAttributes(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint32), ("key_size", ctypes.c_uint32), ("value_size", ctypes.c_uint32),
                ("entries", ctypes.c_uint32), ("flags", ctypes.c_uint32)]


def pin_new_map(path):
    """A map that nobody needs."""
    fd = bpf(MAP_CREATE, MapAttributes(ARRAY, 4, 4, 1, 0))
    text = ctypes.create_string_buffer(path.encode())
    bpf(OBJECT_PIN, PathAttributes(path=ctypes.addressof(text), fd=fd))
    os.close(fd)


def used(numbers):
    return len(numbers) - numbers.tolist().count(0)


def generation():
    """The folder of the one generation that is pinned."""
    found = [each for each in pins() if re.fullmatch(r"v\d+/generation-\d+", each)]
    if len(found) != 1:
        raise AssertionError("expected one generation: %s" % pins())
    return os.path.join(PIN_PATH, found[0])


def tables():
    """How much is in each table that packets start from (engine/abi/tables.h, engine/abi/conntrack.h): what nothing
    there leads to is free."""
    folder, found = generation(), {}
    for name in ("slots", "idx"):
        with Map(os.path.join(folder, "pn_" + name)) as table:
            found[name] = used(table.mapped("Q"))
    with Map(os.path.join(folder, "pn_hosts")) as table:
        words = table.mapped("Q")
        found["hosts"] = sum(used(words[1 + way::16]) for way in range(5))
    for name in ("slots_far", "hosts_far"):
        with Map(os.path.join(folder, "pn_" + name)) as table:
            found[name] = sum(len(keys) // table.key_size for keys, _ in table.batches(size=table.entries))
    with Map(os.path.join(folder, "pn_ct")) as table:
        found["connections"] = 0
        for _, values in table.batches(WITH_LOCK):
            words = memoryview(values).cast("I")
            found["connections"] += sum(used(words[20 + 14 * way::120]) for way in range(8))
    return found


def table_pages():
    """Kilobytes of pages of the tables that were ever used. What is freed keeps its bytes until it is used again, and
    what was never used goes first, so they grow up to the tables' size; the agent has a copy of them."""
    pages, empty = 0, bytes(mmap.PAGESIZE)
    for name in ("pods", "seg", "rows", "bodies", "portdirs", "portpages"):
        with Map(os.path.join(generation(), "pn_" + name)) as table:
            memory = bytes(table.mapped("B"))
        pages += sum(memory[at:at + len(empty)] != empty[:len(memory) - at] for at in range(0, len(memory), len(empty)))
    return pages * mmap.PAGESIZE // 1024


def descriptors(pid):
    """({kind: count}, {(kind of BPF object, id)}) of a process."""
    kinds, objects = {}, set()
    folder = "/proc/%d/fd" % pid
    for fd in os.listdir(folder):
        try:
            kind = re.sub(r":\[\d+\]", "", os.readlink(os.path.join(folder, fd)))
            with open("/proc/%d/fdinfo/%s" % (pid, fd), encoding="ascii") as file:
                objects |= {(what, int(number)) for what, number in
                            re.findall(r"^(prog|map|link)_id:\s+(\d+)$", file.read(), re.MULTILINE)
                            if kind == "anon_inode:bpf_" + what or kind == "anon_inode:bpf-" + what}
        except FileNotFoundError:
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds, objects


def connections(pid):
    """How many of its sockets are IPv4 connections, as those to an API server are; its own server speaks IPv6. It keeps
    some for the next question, so their number depends on how many questions once met."""
    sockets = set()
    with open("/proc/%d/net/tcp" % pid, encoding="ascii") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if not fields[2].endswith(":0000"):  # its other end
                sockets.add("socket:[%s]" % fields[9])
    folder, count = "/proc/%d/fd" % pid, 0
    for fd in os.listdir(folder):
        try:
            count += os.readlink(os.path.join(folder, fd)) in sockets
        except FileNotFoundError:
            continue
    return count


def pinned_objects():
    """{(kind, id)} of what is pinned."""
    found = set()
    for at, _, files in os.walk(PIN_PATH):
        for name in files:
            try:
                fd = open_pin(os.path.join(at, name))
            except FileNotFoundError:
                continue
            try:
                kind = re.sub("^anon_inode:bpf.", "", os.readlink("/proc/self/fd/%d" % fd))
                if kind in FD_BY_ID:
                    found.add((kind, id_of(fd)))
            finally:
                os.close(fd)
    return found


def objects(pid):
    return descriptors(pid)[1] | pinned_objects()


def memory(pid):
    """Resident kilobytes of the process's own: {"heap", "aside"}. Aside is what is mapped for itself, without the pages
    of the copy of the tables."""
    found, where = {"heap": 0, "aside": -table_pages()}, None
    with open("/proc/%d/smaps" % pid, encoding="ascii") as file:
        for line in file:
            mapping = re.match(r"([0-9a-f]+)-[0-9a-f]+ \S+ \S+ \S+ \S+\s*(.*)", line)
            if mapping:
                where = "heap" if mapping[2] == "[heap]" else "aside"
            elif line.startswith("Anonymous:"):
                found[where] += int(line.split()[1])
    return found


def reading(pid):
    """All but memory, which never comes back exactly, and connections(), which have a bound of their own."""
    kinds, _ = descriptors(pid)
    kinds["socket"] -= connections(pid)
    return {"descriptors": kinds, "objects": objects(pid), "pins": set(pins()), "tables": tables(),
            "threads": len(os.listdir("/proc/%d/task" % pid)), "links": set(os.listdir("/sys/class/net")),
            "namespaces": set(os.listdir("/run/netns"))}


def differences(before, after):
    """{what: (before, after)}, of sets only what they do not share."""
    found = {}
    for what, old in before.items():
        new = after[what]
        if old != new:
            found[what] = (old - new, new - old) if isinstance(old, set) else (old, new)
    return found
