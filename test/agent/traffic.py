#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Numbered UDP packets. Each end writes down which numbers it has seen when it is told to end (SIGTERM).

    traffic.py echo ADDRESS PORT FILE            answers every packet; FILE: {source address: [numbers]}
    traffic.py send SOURCE ADDRESS PORT FILE     100 packets a second; FILE: {"sent": n, "answered": [numbers]}
"""
import json
import select
import signal
import socket
import sys
import time

INTERVAL = 0.01
LAST_ANSWERS = 1.0  # seconds that answers may still take after the last packet


class Ended(Exception):
    pass


def end(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Ended


def bound(address, port):
    it = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    it.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    it.bind((address, port))
    return it


def echo(address, port):
    it, seen = bound(address, port), {}
    try:
        while True:
            data, source = it.recvfrom(64)
            seen.setdefault(source[0], []).append(int(data))
            it.sendto(data, source)
    except Ended:
        return seen


def send(source, address, port):
    it, number, answered = bound(source, 0), 0, []
    it.setblocking(False)

    def take(seconds):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([it], [], [], left)[0]:
                answered.append(int(it.recv(64)))

    try:
        while True:
            it.sendto(str(number).encode(), (address, port))
            number += 1
            take(INTERVAL)
    except Ended:
        take(LAST_ANSWERS)
    return {"sent": number, "answered": answered}


signal.signal(signal.SIGTERM, end)
what, *arguments, path = sys.argv[1:]
arguments[-1] = int(arguments[-1])
result = {"echo": echo, "send": send}[what](*arguments)
with open(path, "w", encoding="utf-8") as file:
    json.dump(result, file)
