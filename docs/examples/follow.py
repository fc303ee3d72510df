"""Lists the sessions, reloads the configuration, ends the sessions of a user, and shows what happens until it is interrupted. Events go on
over a restart of the runtime, without a repetition; `restarted` says that a killed one may have lost its last.

    python3 follow.py SOCKET USER
"""

import sys

from acceptd_client import Acceptd, ConfigInvalid


def about(event):
    if event["topic"] == "op":
        return event["data"]["method"]
    if event["topic"] == "auth":
        return event["data"]["user"]
    if event["topic"] == "session":
        return event["session"]["id"]
    return "-"


def main(path, user):
    with Acceptd(path) as acceptd:
        # Begun before anything is done, so that what is done is among them.
        events = acceptd.events(topics=["session", "auth", "config", "op"])

        for session in acceptd.session_list()["sessions"]:
            print("session", session["id"], session.get("user", "-"), session["state"], flush=True)

        try:
            reloaded = acceptd.config_reload(reason="follow.py")
            print("generation", reloaded["generation"], "as before" if reloaded["unchanged"] else "published", flush=True)
        except ConfigInvalid as error:
            for wrong in error.errors:
                print(f'{wrong["file"]}:{wrong["line"]}: {wrong["message"]}', file=sys.stderr)

        print("killed", acceptd.session_kill(user=user, mode="now", reason="follow.py")["killed"], flush=True)

        for event in events:
            if "dropped" in event:
                print("lost", event["dropped"], flush=True)
            print("event", event["seq"], event["topic"], event["name"], about(event), flush=True)


try:
    main(*sys.argv[1:3])
except KeyboardInterrupt:
    pass
