"""A small application that keeps its own table of people by a webhook.

Run it by `SCIM_ENDPOINT=https://scim.example.com/scim/v2 SCIM_TOKEN_FILE=/scim/token SIGNING_SECRET_FILE=/hook/secret
uvicorn webhook:app`. The files are mounted Secrets: of a ScimToken with `access: ReadOnly`, and of a ScimWebhook. They
are read anew each time, so rotations pass unnoticed.

Nobody is missing: a webhook is sent what is committed after it was created, so everybody has to be read after that. The
application reads everybody when it starts, and again when the first message has come, which proves that the webhook is
there. A message is answered once it is kept, and carried out then; those of one person come in their order.
"""

import contextlib
import json
import logging
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any
from urllib import parse, request

from fastapi import FastAPI, HTTPException, Request
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SCIM, FILE = os.environ["SCIM_ENDPOINT"], os.environ.get("DATABASE", "people.db")
TOKEN, SECRET = [Path(os.environ[name]) for name in ("SCIM_TOKEN_FILE", "SIGNING_SECRET_FILE")]
SCHEMA = """PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS person (id TEXT PRIMARY KEY, user_name TEXT, active INTEGER);
CREATE TABLE IF NOT EXISTS copy (one INTEGER PRIMARY KEY CHECK (one = 1), is_whole INTEGER);
CREATE TABLE IF NOT EXISTS message (number INTEGER PRIMARY KEY, id TEXT UNIQUE, at TEXT, body TEXT);
CREATE INDEX IF NOT EXISTS to_do ON message (number) WHERE body IS NOT NULL;
DELETE FROM message WHERE body IS NULL AND at < datetime('now', '-100 days')"""  # none comes again after 90
PUT = "INSERT OR REPLACE INTO person VALUES (:id, :userName, :active)"
KEEP = "INSERT OR IGNORE INTO message (id, at, body) VALUES (?, datetime('now'), ?)"
TO_DO = "SELECT number, body FROM message WHERE body IS NOT NULL ORDER BY number LIMIT 1"


def users(**parameters: Any) -> dict[str, Any]:
    url, token = f"{SCIM}/Users?{parse.urlencode(parameters)}", TOKEN.read_text().strip()
    asked = request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with request.urlopen(asked, timeout=60) as answer:
        return json.load(answer)


def snapshot(db: sqlite3.Connection) -> None:
    found, answer = [], {"nextCursor": ""}
    while "nextCursor" in answer:
        answer = users(cursor=answer["nextCursor"], count=200)
        found += answer["Resources"]
    db.execute("DELETE FROM person")  # only now, since messages are to be kept meanwhile
    db.executemany(PUT, found)


def apply(db: sqlite3.Connection, message: dict[str, Any]) -> None:
    if message["type"] == "user.deactivated":
        db.execute("UPDATE person SET active = 0 WHERE id = ?", (message["data"]["resourceId"],))
    elif person := message["data"].get("resourceId"):  # a ping has none
        found = users(filter=f'id eq "{person}"')["Resources"]
        db.execute("DELETE FROM person WHERE id = ?", (person,))
        db.executemany(PUT, found)


def step(db: sqlite3.Connection) -> None:
    """Do what is next, or wait for something to do."""
    news.clear()
    is_called = bool(db.execute("SELECT 1 FROM message").fetchone())
    if not db.execute("SELECT 1 FROM copy WHERE is_whole OR NOT ?", (is_called,)).fetchone():
        snapshot(db)
        db.execute("INSERT OR REPLACE INTO copy VALUES (1, ?)", (is_called,))
    elif row := db.execute(TO_DO).fetchone():
        apply(db, json.loads(row[1]))
        db.execute("UPDATE message SET body = NULL WHERE number = ?", (row[0],))
    else:
        news.wait()


def work() -> None:
    db = sqlite3.connect(FILE, timeout=30)
    while True:
        try:
            with db:  # one transaction: what is done, and that it is done
                step(db)
        except OSError as failure:  # HTTPError and URLError, too: try again
            logging.getLogger("uvicorn.error").warning("the service: %s", failure)
            news.wait(1)


sqlite3.connect(FILE, timeout=30).executescript(SCHEMA)
app, news, worker = FastAPI(), threading.Event(), threading.Thread(target=work, daemon=True)
worker.start()


@app.post("/hook", status_code=204)
async def receive(asked: Request) -> None:
    body = await asked.body()
    try:
        message = Webhook(SECRET.read_text().strip()).verify(body, dict(asked.headers))
    except (WebhookVerificationError, ValueError):
        raise HTTPException(401, "signed with another secret, or too old") from None
    with contextlib.closing(sqlite3.connect(FILE)) as db, db:
        is_new = db.execute(KEEP, (asked.headers["webhook-id"], body.decode())).rowcount
        if is_new and message["type"] == "user.deactivated":  # at once, whatever waits to be carried out
            apply(db, message)
    news.set()


@app.get("/healthz")
def everybody_was_read() -> None:
    with contextlib.closing(sqlite3.connect(FILE)) as db:
        if not (worker.is_alive() and db.execute("SELECT 1 FROM copy").fetchone()):
            raise HTTPException(503)


@app.get("/session/{user_name}")
def session(user_name: str) -> dict[str, Any]:
    with contextlib.closing(sqlite3.connect(FILE)) as db:
        if db.execute("SELECT 1 FROM person WHERE user_name = ? AND active", (user_name,)).fetchone():
            return {"userName": user_name}
    raise HTTPException(401, "signed out")
