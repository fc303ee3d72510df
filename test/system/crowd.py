"""Clients that say nothing, more than one test process may have files: crowd.py PORT ADDRESS COUNT.

Says how many were greeted with which code when all of them were, and holds the connections until its input ends.
"""
import collections
import json
import selectors
import socket
import sys

port, address, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
AT_ONCE = 128
selector = selectors.DefaultSelector()
greetings = collections.Counter()
held = []


def open_one():
    client = socket.socket()
    client.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: the port is chosen when it is connected
    client.bind((address, 0))
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", port))
    selector.register(client, selectors.EVENT_READ)
    held.append(client)


for _ in range(min(AT_ONCE, count)):
    open_one()
while sum(greetings.values()) < count:
    for key, _ in selector.select():
        client = key.fileobj
        selector.unregister(client)
        try:
            greetings[client.recv(3).decode("latin1")] += 1
        except OSError as error:
            greetings[type(error).__name__] += 1
        if len(held) < count:
            open_one()
print(json.dumps(greetings), flush=True)
sys.stdin.read()
