"""A small application that keeps its own table of people, and who is in which group, by the feed of changes.

    SCIM_ENDPOINT=https://scim.example.com/scim/v2 SCIM_TOKEN_FILE=/scim/token uvicorn feed:app

The token is that of a ScimToken with `access: ReadOnly`, whose Secret is mounted: it is read anew for each request, so
rotations pass unnoticed. Tables and cursor are written in one transaction: after a crash it goes on where it was.
"""

import contextlib
import json
import logging
import os
import random
import sqlite3
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException

SCIM = os.environ["SCIM_ENDPOINT"]
FEED = SCIM.removesuffix("/scim/v2") + "/changes/v1"
FILE = os.environ.get("DATABASE", "people.db")
LOG = logging.getLogger("uvicorn.error")
SCHEMA = """
CREATE TABLE IF NOT EXISTS person (id TEXT PRIMARY KEY, user_name TEXT, active INTEGER);
CREATE TABLE IF NOT EXISTS team (id TEXT PRIMARY KEY, name TEXT);
CREATE TABLE IF NOT EXISTS member (team TEXT, person TEXT, PRIMARY KEY (team, person));
CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT);
"""


def get(url: str, **parameters: Any) -> dict[str, Any]:
    token = Path(os.environ["SCIM_TOKEN_FILE"]).read_text().strip()
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    request = urllib.request.Request(url + query, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def put_person(db: sqlite3.Connection, user: dict[str, Any]) -> None:
    row = (user["id"], user["userName"], user["active"])
    db.execute("INSERT OR REPLACE INTO person VALUES (?, ?, ?)", row)


def put_team(db: sqlite3.Connection, group: dict[str, Any]) -> None:
    db.execute("INSERT OR REPLACE INTO team VALUES (?, ?)", (group["id"], group["displayName"]))
    db.execute("DELETE FROM member WHERE team = ?", (group["id"],))
    members = [(group["id"], member["value"]) for member in group.get("members", ())]
    db.executemany("INSERT INTO member VALUES (?, ?)", members)


def snapshot(db: sqlite3.Connection) -> str:
    """Everything there is, and the cursor of before it was read: what changed meanwhile comes again."""
    cursor = get(FEED, after="now")["next"]
    for table in ("person", "team", "member"):
        db.execute(f"DELETE FROM {table}")
    for path, put in (("/Users", put_person), ("/Groups", put_team)):
        page: str | None = ""
        while page is not None:
            answer = get(SCIM + path, cursor=page, count=200)
            for resource in answer["Resources"]:
                put(db, resource)
            page = answer.get("nextCursor")
    return cursor


def apply(db: sqlite3.Connection, change: dict[str, Any]) -> None:
    """What a change says is a reason to read the resource again; of members it says everything itself."""
    match change["resourceType"], change["type"].partition(".")[2], change["resourceId"]:
        case "Group", "member_added", team:
            db.execute("INSERT OR IGNORE INTO member VALUES (?, ?)", (team, change["member"]))
        case "Group", "member_removed", team:
            db.execute("DELETE FROM member WHERE team = ? AND person = ?", (team, change["member"]))
        case kind, _, identity:
            try:
                (put_person if kind == "User" else put_team)(db, get(f"{SCIM}/{kind}s/{identity}"))
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
                for gone in ("person WHERE id = ?", "team WHERE id = ?", "member WHERE ? IN (team, person)"):
                    db.execute(f"DELETE FROM {gone}", (identity,))


def follow() -> None:
    db, pause = sqlite3.connect(FILE), 1.0
    db.executescript(SCHEMA)
    while True:
        try:
            with db:  # one transaction: the table and where it stands
                row = db.execute("SELECT cursor FROM position").fetchone()
                answer = get(FEED, after=row[0], wait=20) if row else {"changes": (), "next": snapshot(db)}
                for change in answer["changes"]:
                    apply(db, change)
                db.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (answer["next"],))
            pause = 1.0
        except OSError as error:  # HTTPError and URLError, too: try again, and more and more slowly
            LOG.warning("the feed: %s", error)
            if getattr(error, "code", None) == 410:
                with db:
                    db.execute("DELETE FROM position")
            time.sleep(pause * random.random())
            pause = min(60.0, pause * 2)


app = FastAPI()
follower = threading.Thread(target=follow, daemon=True)
follower.start()


@app.get("/healthz")
def healthz() -> None:
    """Whether everybody was read, and is followed."""
    with contextlib.closing(sqlite3.connect(FILE)) as db:
        if not (follower.is_alive() and db.execute("SELECT cursor FROM position").fetchone()):
            raise HTTPException(503)


@app.get("/session/{user_name}")
def session(user_name: str) -> dict[str, Any]:
    """Whether a person may be signed in, and their teams."""
    with contextlib.closing(sqlite3.connect(FILE)) as db:
        row = db.execute("SELECT id, active FROM person WHERE user_name = ?", (user_name,)).fetchone()
        if row is None or not row[1]:
            raise HTTPException(401, "signed out")
        teams = "SELECT name FROM team JOIN member ON team = id WHERE person = ? ORDER BY name"
        return {"userName": user_name, "teams": [name for (name,) in db.execute(teams, (row[0],))]}
