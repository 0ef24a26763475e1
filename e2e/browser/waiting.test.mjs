// New people where an administrator's approval is needed: what they see, and who lets them in.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { axe, sideways, Stack } from "./harness.mjs";

describe("who waits to be let in", { timeout: 300_000 }, () => {
  let stack;
  let admin;

  before(async () => {
    stack = await Stack.start({ github: true, settings: { SAM_SIGN_UP: "approval" } });
    admin = await stack.page();
  });
  after(() => stack?.stop());

  const knocks = async (person) => {
    await stack.is(person);
    const page = await stack.page({ signedIn: false, width: 375, height: 740 });
    await page.goto(`${stack.url}/sign-in`);
    await page.getByRole("link", { name: "Sign in with GitHub" }).click();
    return page;
  };
  const waiting = () => admin.getByRole("region", { name: "Who waits to be let in" });

  test("is told so, and comes in once an administrator says yes", async () => {
    const olga = await knocks({ id: 7, login: "olga", name: "Olga" });
    await olga.getByRole("alert").filter({ hasText: "An administrator has to let you in first." }).waitFor();
    assert.deepEqual(await axe(olga), []);

    await admin.goto(`${stack.url}/people`);
    await waiting().getByText("Olga", { exact: true }).first().waitFor();
    assert.deepEqual(await axe(admin), []);
    await admin.setViewportSize({ width: 320, height: 740 });
    assert.deepEqual(await sideways(admin), []);
    await admin.setViewportSize({ width: 1280, height: 860 });
    await waiting().getByRole("button", { name: "Let in Olga" }).click();
    await waiting().getByText("Nobody.").waitFor();

    await olga.getByRole("link", { name: "Sign in with GitHub" }).click();
    await olga.getByRole("heading", { name: "Projects", level: 1 }).waitFor();
    // Who runs nothing is not shown who waits.
    await olga.getByRole("link", { name: "Settings" }).click();
    await olga.getByRole("heading", { name: "API tokens" }).waitFor();
    assert.equal(await olga.getByRole("region", { name: "Who waits to be let in" }).count(), 0);
  });

  test("is nobody once an administrator says no", async () => {
    const eve = await knocks({ id: 8, login: "eve", name: "Eve" });
    await eve.getByRole("alert").filter({ hasText: "let you in first" }).waitFor();
    await admin.reload();
    await waiting().getByRole("button", { name: "Refuse Eve" }).click();
    await waiting().getByText("Nobody.").waitFor();
    const { people } = await stack.call("GET", "/api/people");
    assert.ok(!people.some((person) => person.name === "Eve"), JSON.stringify(people));
    assert.deepEqual(admin.complaints, []);
  });
});
