// SCIMMY as a contender: its own routers on Express, people in memory, found by id, userName and work e-mail
// through a Map each. Other filters walk all of them with SCIMMY's own matcher.
import {randomUUID} from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const people = new Map(), byName = new Map(), byEmail = new Map();
const workEmail = person => person.emails?.find(email => email.type === "work")?.value?.toLowerCase();

function found(filter) {
    // SCIMMY parses a filter into an array of objects: attribute -> [operator, value], or deeper.
    if (filter.length !== 1) return filter.match([...people.values()]);
    const [wanted] = filter, names = Object.keys(wanted);
    if (names.length !== 1) return filter.match([...people.values()]);
    let person;
    if (names[0] === "userName" && wanted.userName[0] === "eq") {
        person = byName.get(String(wanted.userName[1]).toLowerCase());
    } else if (names[0] === "emails" && wanted.emails.type?.[0] === "eq" && wanted.emails.value?.[0] === "eq") {
        person = byEmail.get(String(wanted.emails.value[1]).toLowerCase());
    } else {
        return filter.match([...people.values()]);
    }
    return person ? [person] : [];
}

SCIMMY.Resources.declare(SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false), {
    egress: resource => {
        if (resource.id) {
            const person = people.get(resource.id);
            if (!person) throw new SCIMMY.Types.Error(404, null, `${resource.id} is not here`);
            return person;
        }
        if (resource.filter) return found(resource.filter);
        // A page as SCIMMY takes it: cut here, with the total beside it, so that it renders only what it sends.
        const {startIndex = 1, count = 20} = resource.constraints ?? {};
        const page = [];
        let position = 0;
        for (const person of people.values()) {
            if (++position >= startIndex && page.length < count) page.push(person);
            if (page.length >= count) break;
        }
        if (resource.constraints) resource.constraints.totalResults = people.size;
        return page;
    },
    ingress: (resource, data) => {
        const now = new Date().toISOString(), before = resource.id ? people.get(resource.id) : undefined;
        const id = resource.id ?? randomUUID();
        const person = {...JSON.parse(JSON.stringify(data)), id};
        person.meta = {created: before?.meta?.created ?? now, lastModified: now};
        const name = person.userName.toLowerCase();
        if (!before && byName.has(name)) throw new SCIMMY.Types.Error(409, "uniqueness", "userName is taken");
        people.set(id, person);
        byName.set(name, person);
        const email = workEmail(person);
        if (email) byEmail.set(email, person);
        return person;
    },
    degress: resource => {
        people.delete(resource.id);
    },
});

const app = express();
// SCIMMY 1.3.5 takes paging parameters as numbers only, which a query string never holds: it would send 20.
app.set("query parser", text => {
    const query = Object.fromEntries(new URLSearchParams(text));
    for (const name of ["startIndex", "count"]) if (name in query) query[name] = Number(query[name]);
    return query;
});
app.use("/scim/v2", new SCIMMYRouters({
    type: "bearer",
    handler: request => {
        if (!request.header("Authorization")?.startsWith("Bearer ")) throw new Error("no token");
        return "entra";
    },
}));
const port = Number(process.argv[2]);
app.listen(port, "127.0.0.1", () => console.log("listening"));
