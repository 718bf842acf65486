"""A small application that keeps its own table of people, and who is in which group, by the feed of changes.

Run it by `SCIM_ENDPOINT=https://scim.example.com/scim/v2 SCIM_TOKEN_FILE=/scim/token uvicorn feed:app`. The token is
that of a ScimToken with `access: ReadOnly`, whose Secret is mounted: it is read anew for each request, so rotations pass
unnoticed. Tables and cursor are written in one transaction: after a crash it goes on where it was.
"""

import contextlib
import json
import logging
import os
import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any
from urllib import error, parse, request

from fastapi import FastAPI, HTTPException

SCIM = os.environ["SCIM_ENDPOINT"]
FEED = SCIM.removesuffix("/scim/v2") + "/changes/v1"
FILE = os.environ.get("DATABASE", "people.db")
SCHEMA = """CREATE TABLE IF NOT EXISTS person (id TEXT PRIMARY KEY, user_name TEXT, active INTEGER);
CREATE TABLE IF NOT EXISTS team (id TEXT PRIMARY KEY, name TEXT);
CREATE TABLE IF NOT EXISTS member (team TEXT, person TEXT, PRIMARY KEY (team, person));
CREATE TABLE IF NOT EXISTS position (one INTEGER PRIMARY KEY CHECK (one = 1), cursor TEXT)"""


def get(url: str, **parameters: Any) -> dict[str, Any]:
    token = Path(os.environ["SCIM_TOKEN_FILE"]).read_text().strip()
    query = f"?{parse.urlencode(parameters)}" if parameters else ""
    asked = request.Request(url + query, headers={"Authorization": f"Bearer {token}"})
    with request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def put_person(db: sqlite3.Connection, user: dict[str, Any]) -> None:
    db.execute("INSERT OR REPLACE INTO person VALUES (:id, :userName, :active)", user)


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
        answer: dict[str, Any] = {"nextCursor": ""}
        while "nextCursor" in answer:
            answer = get(SCIM + path, cursor=answer["nextCursor"], count=200)
            for resource in answer["Resources"]:
                put(db, resource)
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
            except error.HTTPError as refusal:
                if refusal.code != 404:
                    raise
                for gone in ("person WHERE id = ?", "team WHERE id = ?", "member WHERE ? IN (team, person)"):
                    db.execute(f"DELETE FROM {gone}", (identity,))


def follow() -> None:
    db = sqlite3.connect(FILE)
    db.executescript(SCHEMA)
    while True:
        try:
            with db:  # one transaction: the table and where it stands
                row = db.execute("SELECT cursor FROM position").fetchone()
                answer = get(FEED, after=row[0], wait=20) if row else {"changes": (), "next": snapshot(db)}
                for change in answer["changes"]:
                    apply(db, change)
                db.execute("INSERT OR REPLACE INTO position VALUES (1, ?)", (answer["next"],))
        except OSError as failure:  # HTTPError and URLError, too: try again
            logging.getLogger("uvicorn.error").warning("the feed: %s", failure)
            if getattr(failure, "code", None) == 410:
                db.executescript("DELETE FROM position")
            time.sleep(random.uniform(0.5, 5))


app = FastAPI()
follower = threading.Thread(target=follow, daemon=True)
follower.start()


@app.get("/healthz")
def everybody_was_read_and_is_followed() -> None:
    with contextlib.closing(sqlite3.connect(FILE)) as db:
        if not (follower.is_alive() and db.execute("SELECT cursor FROM position").fetchone()):
            raise HTTPException(503)


@app.get("/session/{user_name}")
def session(user_name: str) -> dict[str, Any]:
    with contextlib.closing(sqlite3.connect(FILE)) as db:
        row = db.execute("SELECT id, active FROM person WHERE user_name = ?", (user_name,)).fetchone()
        if row is None or not row[1]:
            raise HTTPException(401, "signed out")
        teams = "SELECT name FROM team JOIN member ON team = id WHERE person = ? ORDER BY name"
        return {"userName": user_name, "teams": [name for (name,) in db.execute(teams, (row[0],))]}
